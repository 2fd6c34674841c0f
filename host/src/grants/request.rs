//! What of a component's request is sent: a path below the endpoint's own, a known method,
//! and no header that is the host's business.

use std::fmt::Write as _;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};

/// Headers that say where a request goes, who sends it, or how it travels.
const NOT_THE_COMPONENTS: [&str; 16] = [
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-forwarded-for",
];

/// The address of a request: the endpoint's, its path, and the component's path behind it.
///
/// # Errors
/// What is wrong with the path.
pub(super) fn url(endpoint: &Url, path: &str) -> Result<Url, String> {
    let (path, query) = match path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path, None),
    };
    let strange = |c: char| c.is_ascii_control() || c.is_whitespace() || "\\#<>\"{}|^`".contains(c);
    if let Some(found) = path.chars().chain(query.unwrap_or_default().chars()).find(|c| strange(*c))
    {
        return Err(format!("the path has the character {found:?}; percent-encode it"));
    }
    let path = path.strip_prefix('/').unwrap_or(path);
    for segment in path.split('/') {
        let decoded = decoded(segment).ok_or("the path has a % without two hex digits")?;
        let climbs = |part: &[u8]| part == b"." || part == b"..";
        if decoded.split(|byte| b"/\\".contains(byte)).any(climbs) {
            return Err("the path climbs out of the endpoint with . or ..".to_owned());
        }
        if decoded.iter().any(u8::is_ascii_control) {
            return Err("the path has an encoded control character".to_owned());
        }
    }
    if path.starts_with('/') {
        return Err("the path begins with //".to_owned());
    }
    let mut joined = endpoint.path().trim_end_matches('/').to_owned();
    if !path.is_empty() {
        write!(joined, "/{path}").expect("writing to a String");
    }
    let mut url = endpoint.clone();
    url.set_path(&joined);
    url.set_query(query);
    let below = url.path() == joined.as_str() || joined.is_empty();
    let same = |of: fn(&Url) -> Option<&str>| of(&url) == of(endpoint);
    if !below || !same(Url::host_str) || url.port() != endpoint.port() {
        return Err("the path is not plain ASCII; percent-encode it".to_owned());
    }
    Ok(url)
}

/// A segment's bytes; `None` if a percent sign has no two digits behind it.
fn decoded(segment: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first == b'%' {
            let [high, low, tail @ ..] = rest else { return None };
            let digit = |byte: u8| char::from(byte).to_digit(16);
            bytes.push(u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?);
            rest = tail;
        } else {
            bytes.push(*first);
        }
    }
    Some(bytes)
}

/// A method by its name; only those that read for an endpoint that is read-only.
///
/// # Errors
/// Which would be right.
pub(super) fn method(name: &str, read_only: bool) -> Result<Method, String> {
    match name {
        "GET" => Ok(Method::GET),
        "HEAD" => Ok(Method::HEAD),
        "POST" | "PUT" | "PATCH" | "DELETE" if read_only => {
            Err(format!("method {name}: this endpoint is read-only, GET and HEAD are possible"))
        }
        "POST" => Ok(Method::POST),
        "PUT" => Ok(Method::PUT),
        "PATCH" => Ok(Method::PATCH),
        "DELETE" => Ok(Method::DELETE),
        _ => Err(format!("method {name:?}: GET, HEAD, POST, PUT, PATCH and DELETE are possible")),
    }
}

/// The component's headers with the operator's over them.
///
/// # Errors
/// Which header is not the component's to send, or is none.
pub(super) fn headers(
    wanted: &[(String, String)],
    operators: &HeaderMap,
) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in wanted {
        let parsed: HeaderName = name.parse().map_err(|_| format!("{name:?} names no header"))?;
        if NOT_THE_COMPONENTS.contains(&parsed.as_str()) || operators.contains_key(&parsed) {
            return Err(format!("header {name} is the host's to send"));
        }
        let value = HeaderValue::from_str(value)
            .map_err(|_| format!("header {name} has characters a header cannot carry"))?;
        headers.append(parsed, value);
    }
    headers.extend(operators.clone());
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_below_the_endpoints_own() {
        for (endpoint, path, expected) in [
            ("https://h.example/api", "users/alice", Ok("https://h.example/api/users/alice")),
            (
                "https://h.example/api/",
                "/users?name=a.b",
                Ok("https://h.example/api/users?name=a.b"),
            ),
            ("https://h.example:8443", "check", Ok("https://h.example:8443/check")),
            ("https://h.example/api", "", Ok("https://h.example/api")),
            ("https://h.example/api", "?q=1", Ok("https://h.example/api?q=1")),
            ("https://h.example/api", "http://evil/", Ok("https://h.example/api/http://evil/")),
            ("https://h.example/api", "@evil.example/", Ok("https://h.example/api/@evil.example/")),
            ("https://h.example/api", "a%2Fb", Ok("https://h.example/api/a%2Fb")),
            ("https://h.example/api", "v1..2/...", Ok("https://h.example/api/v1..2/...")),
            ("https://h.example/api", "?q=../..", Ok("https://h.example/api?q=../..")),
            ("https://h.example/api", "../admin", Err("climbs")),
            ("https://h.example/api", "users/..", Err("climbs")),
            ("https://h.example/api", "users/%2e%2E/admin", Err("climbs")),
            ("https://h.example/api", ".%2e/admin", Err("climbs")),
            ("https://h.example/api", "a%2f..%2f..%2fadmin", Err("climbs")),
            ("https://h.example/api", "..%5cadmin", Err("climbs")),
            ("https://h.example/api", "..\\admin", Err("character")),
            ("https://h.example/api", "//evil.example/", Err("//")),
            ("https://h.example/api", "a b", Err("character")),
            ("https://h.example/api", "a#b", Err("character")),
            ("https://h.example/api", "a\r\nHost: evil", Err("character")),
            ("https://h.example/api", "a%0d%0ab", Err("control")),
            ("https://h.example/api", "a%", Err("hex")),
            ("https://h.example/api", "a%4", Err("hex")),
            ("https://h.example/api", "жук", Err("percent-encode")),
        ] {
            let found = url(&endpoint.parse().unwrap(), path);
            match expected {
                Ok(expected) => assert_eq!(found.unwrap().as_str(), expected),
                Err(words) => {
                    let refused = found.expect_err(path);
                    assert!(refused.contains(words), "{path}: {refused}");
                }
            }
        }
    }

    #[test]
    fn read_only_endpoints_are_only_read() {
        for (name, read_only, possible) in [
            ("GET", true, true),
            ("HEAD", true, true),
            ("POST", true, false),
            ("POST", false, true),
            ("DELETE", false, true),
            ("get", false, false),
            ("CONNECT", false, false),
            ("TRACE", false, false),
        ] {
            assert_eq!(method(name, read_only).is_ok(), possible, "{name} {read_only}");
        }
    }

    #[test]
    fn a_component_sends_its_own_headers_and_not_the_hosts() {
        let mut operators = HeaderMap::new();
        operators.insert("x-pool-token", HeaderValue::from_static("secret"));
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let sent = headers(&[header("Accept", "text/plain")], &operators).unwrap();
        assert_eq!(sent["accept"], "text/plain");
        assert_eq!(sent["x-pool-token"], "secret");
        for (name, value) in [
            ("Host", "evil"),
            ("AUTHORIZATION", "x"),
            ("Content-Length", "7"),
            ("Transfer-Encoding", "chunked"),
            ("X-Pool-Token", "mine"),
            ("a b", "x"),
            ("accept", "x\r\nHost: evil"),
        ] {
            assert!(headers(&[header(name, value)], &operators).is_err(), "{name}");
        }
    }
}
