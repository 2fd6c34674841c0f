//! Attempts and grants to begin a test with.

use crate::{Attempt, Grant, Protocol};

/// An attempt from 127.0.0.1 in November 2023, by Stratum V1 without TLS. `None` as password
/// is an attempt without the grant `credential`.
pub fn attempt(user: &str, password: Option<&str>) -> Attempt {
    Attempt {
        remote_ip: "127.0.0.1".to_owned(),
        listener: "stratum".to_owned(),
        protocol: Protocol::StratumV1,
        tls: false,
        user: user.to_owned(),
        password: password.map(str::to_owned),
        user_agent: "cpuminer/2.5.1".to_owned(),
        at: 1_700_000_000_000,
    }
}

/// A grant of nothing but the account, for a minute.
pub fn grant(account: &str) -> Grant {
    Grant {
        account: account.to_owned(),
        worker: None,
        ttl_s: 60,
        start_difficulty: None,
        max_sessions: None,
        tags: Vec::new(),
    }
}
