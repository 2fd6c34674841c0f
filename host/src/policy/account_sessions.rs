//! How many sessions each account has, for policies that limit them. A place is given back
//! when it is dropped: however a session ends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Sessions by account, and how many logins each session has for it: a proxy logs in a whole
/// farm over one session.
type Accounts = HashMap<String, HashMap<u64, u32>>;

/// Counts sessions by account.
#[derive(Debug, Clone, Default)]
pub(crate) struct AccountSessions(Arc<Mutex<Accounts>>);

/// A session's place under an account; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    account: String,
    session: u64,
    sessions: AccountSessions,
}

impl AccountSessions {
    /// A place for a session, unless the account has `most` others.
    pub(crate) fn take(&self, account: &str, session: u64, most: Option<u32>) -> Option<Place> {
        let mut accounts = self.accounts();
        let sessions = accounts.get(account);
        let known = sessions.is_some_and(|sessions| sessions.contains_key(&session));
        let count = sessions.map_or(0, HashMap::len);
        if !known && most.is_some_and(|most| count >= most as usize) {
            return None;
        }
        *accounts.entry(account.to_owned()).or_default().entry(session).or_default() += 1;
        Some(Place { account: account.to_owned(), session, sessions: self.clone() })
    }

    fn accounts(&self) -> MutexGuard<'_, Accounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Under whose account.
    pub(crate) fn account(&self) -> &str {
        &self.account
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut accounts = self.sessions.accounts();
        let Some(sessions) = accounts.get_mut(&self.account) else { return };
        if let Some(logins) = sessions.get_mut(&self.session) {
            *logins -= 1;
            if *logins == 0 {
                sessions.remove(&self.session);
            }
        }
        if sessions.is_empty() {
            accounts.remove(&self.account);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_so_many_sessions_however_often_each_logs_in() {
        let sessions = AccountSessions::default();
        let first = sessions.take("alice", 1, Some(2)).unwrap();
        let again = sessions.take("alice", 1, Some(2)).unwrap();
        let second = sessions.take("alice", 2, Some(2)).unwrap();
        assert!(sessions.take("alice", 3, Some(2)).is_none());
        assert!(sessions.take("bob", 3, Some(2)).is_some());
        assert!(sessions.take("alice", 4, None).is_some(), "another grant may be without limit");
        drop(again);
        assert!(sessions.take("alice", 3, Some(2)).is_none(), "session 1 is still there");
        drop(first);
        let third = sessions.take("alice", 3, Some(2)).unwrap();
        assert!(sessions.take("nobody", 1, Some(0)).is_none());
        drop((second, third));
        assert!(sessions.accounts().is_empty(), "nothing is left behind");
    }
}
