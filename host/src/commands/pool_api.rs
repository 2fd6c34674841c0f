//! The way to a running pool's API, for the commands that ask it.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::Url;
use serde_json::Value;

use crate::causes;

/// What the pool said.
pub(super) enum Answer {
    /// An HTTP status and a body.
    Said(u16, Value),
    /// Nobody answers there.
    Nobody(String),
}

/// Reads `--api`: an address without a scheme is meant as `http://`.
///
/// # Errors
/// What would be right, when it is no address of a pool.
pub(crate) fn api_url(text: &str) -> Result<String, String> {
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let is_pool = |url: &Url| ["http", "https"].contains(&url.scheme()) && url.has_host();
    match Url::parse(&with_scheme).ok().filter(is_pool) {
        Some(_) => Ok(with_scheme.trim_end_matches('/').to_owned()),
        None => Err("must be the pool's api.listen, e.g. http://127.0.0.1:8080".to_owned()),
    }
}

/// Asks without a token.
pub(super) async fn get(api: &str, path: &str) -> anyhow::Result<Answer> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build()?;
    let url = format!("{api}{path}");
    read(&url, client.get(&url).send().await).await
}

/// Reads the answer to a request that was sent to `url`.
pub(super) async fn read(
    url: &str,
    sent: reqwest::Result<reqwest::Response>,
) -> anyhow::Result<Answer> {
    let answer = match sent {
        Ok(answer) => answer,
        Err(error) => {
            let why = causes(&error.without_url().into());
            return Ok(Answer::Nobody(format!("no answer from {url}: {why}")));
        }
    };
    let status = answer.status().as_u16();
    let body = answer.json().await.map_err(reqwest::Error::without_url);
    Ok(Answer::Said(status, body.with_context(|| format!("{url} does not answer in JSON"))?))
}

#[cfg(test)]
mod tests {
    use super::api_url;

    /// (Found by use: it ended with "builder error".)
    #[test]
    fn an_address_needs_no_scheme() {
        for (text, expected) in [
            ("127.0.0.1:8080", Some("http://127.0.0.1:8080")),
            ("localhost:8080/", Some("http://localhost:8080")),
            ("[::1]:8080", Some("http://[::1]:8080")),
            ("https://pool.example/", Some("https://pool.example")),
            ("ftp://pool.example", None),
            ("http://", None),
            ("", None),
            ("two words", None),
        ] {
            assert_eq!(api_url(text).ok().as_deref(), expected, "{text}");
        }
        assert!(api_url("ftp://x").unwrap_err().contains("http://127.0.0.1:8080"));
    }
}
