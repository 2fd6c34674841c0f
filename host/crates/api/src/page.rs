//! One page of a list: `?limit=` and where it starts.

use std::fmt::Write as _;

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::ApiError;

/// Lines of a page when nothing is asked.
const LIMIT_USUAL: u32 = 50;
/// Keeps one answer within what a reader can take in and the store reads at once.
pub(crate) const LIMIT_MAX: u32 = 500;

/// One page.
#[derive(Debug, Serialize)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    /// Path of the next page; null at the end.
    pub(crate) next: Option<String>,
}

/// Newest first, from before a line's number.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Newest {
    limit: Option<u32>,
    before: Option<u64>,
}

/// By name, from after a name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ByName {
    limit: Option<u32>,
    pub(crate) after: Option<String>,
}

impl Newest {
    pub(crate) const fn new(limit: Option<u32>, before: Option<u64>) -> Self {
        Self { limit, before }
    }

    pub(crate) fn limit(&self, max: u32) -> Result<u32, ApiError> {
        check(self.limit, max)
    }

    /// The store counts to 2^63 - 1; above it every line is before.
    pub(crate) fn before(&self) -> Option<u64> {
        self.before.filter(|before| i64::try_from(*before).is_ok())
    }
}

impl ByName {
    pub(crate) fn limit(&self) -> Result<u32, ApiError> {
        check(self.limit, LIMIT_MAX)
    }
}

fn check(limit: Option<u32>, max: u32) -> Result<u32, ApiError> {
    let limit = limit.unwrap_or(LIMIT_USUAL.min(max));
    if (1..=max).contains(&limit) {
        return Ok(limit);
    }
    Err(ApiError::BadQuery(format!("limit is {limit}; it must be from 1 to {max}")))
}

impl<T> Page<T> {
    /// From one line more than fits, so that the end is known without another question.
    /// `cursor` names the last line shown, as `key=value` of the next request.
    pub(crate) fn cut<R>(
        mut rows: Vec<R>,
        limit: u32,
        path: &str,
        cursor: impl FnOnce(&R) -> (&'static str, String),
        item: impl FnMut(R) -> T,
    ) -> Self {
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let next = rows.last().filter(|_| more).map(|last| {
            let (key, value) = cursor(last);
            let mark = if path.contains('?') { '&' } else { '?' };
            format!("{path}{mark}limit={limit}&{key}={}", percent(&value))
        });
        Self { items: rows.into_iter().map(item).collect(), next }
    }
}

/// A query, its errors in our words.
#[derive(Debug)]
pub(crate) struct Asked<Q>(pub(crate) Q);

impl<Q: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<Q> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let asked: Result<Query<Q>, QueryRejection> = Query::from_request_parts(parts, state).await;
        asked.map(|Query(query)| Self(query)).map_err(|error| ApiError::BadQuery(error.body_text()))
    }
}

/// RFC 3986: everything but the unreserved characters.
fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("writing to a String");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_knows_whether_another_follows() {
        let page = |rows: Vec<u64>, limit| {
            Page::cut(rows, limit, "/x", |row| ("before", row.to_string()), |row| row)
        };
        let full = page(vec![9, 8, 7], 2);
        assert_eq!(full.items, [9, 8]);
        assert_eq!(full.next.as_deref(), Some("/x?limit=2&before=8"));
        assert_eq!(page(vec![9, 8], 2).next, None);
        assert_eq!(page(vec![], 2).next, None);
    }

    #[test]
    fn names_survive_the_address_line() {
        assert_eq!(percent("a b&c/ж"), "a%20b%26c%2F%D0%B6");
    }
}
