//! Requests to the endpoints the operator named. A component gives a name and a path; where
//! that is, and what lets it in there, only the host knows.
//!
//! No proxy of the environment, no redirect, no other host, and no address of a private
//! network unless the operator allows it for the endpoint: names are resolved here, and only
//! public addresses are connected to.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use chimera_plugin::{Fetch, FetchCall, FetchError, FetchReply};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::HeaderMap;
use reqwest::{Client, Response, Url, redirect};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::{address, rehearsal, request};
use crate::config;

/// Requests under way to one endpoint; more are told that it is busy.
const REQUESTS_MAX: usize = 16;
/// A reply about one user is small; this bounds what a broken endpoint can send.
const BODY_BYTES_MAX: usize = 256 << 10;
/// Beyond the endpoint's own limit: for the way through the runtime.
const SLACK: Duration = Duration::from_millis(250);
/// Headers of replies that mean something between the endpoint and the host alone.
const NOT_PASSED_ON: [&str; 10] = [
    "set-cookie",
    "connection",
    "keep-alive",
    "transfer-encoding",
    "proxy-authenticate",
    "www-authenticate",
    // They tell where the endpoint is.
    "location",
    "content-location",
    "refresh",
    "link",
];

/// The operator's endpoints.
pub(super) struct Endpoints {
    by_name: BTreeMap<String, Arc<Endpoint>>,
    runtime: Handle,
}

struct Endpoint {
    url: Url,
    client: Client,
    timeout: Duration,
    read_only: bool,
    /// The operator's, some of them secret.
    headers: HeaderMap,
    turn: Semaphore,
}

impl Endpoints {
    /// Endpoints as they are configured. Must be called on the runtime that makes requests.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub(super) fn new(endpoints: &BTreeMap<String, config::Endpoint>) -> anyhow::Result<Self> {
        let by_name = endpoints.iter().map(|(name, endpoint)| {
            let client = Client::builder()
                .no_proxy()
                .redirect(redirect::Policy::none())
                .dns_resolver(Arc::new(Outside { allow_private: endpoint.allow_private }))
                .timeout(endpoint.timeout)
                .user_agent(concat!("chimera/", env!("CARGO_PKG_VERSION")))
                .build()?;
            let endpoint = Endpoint {
                url: endpoint.url.clone(),
                client,
                timeout: endpoint.timeout,
                read_only: endpoint.read_only,
                headers: endpoint.headers.clone(),
                turn: Semaphore::new(REQUESTS_MAX),
            };
            Ok((name.clone(), Arc::new(endpoint)))
        });
        let by_name = by_name.collect::<Result<_, reqwest::Error>>()?;
        Ok(Self { by_name, runtime: Handle::current() })
    }
}

impl Fetch for Endpoints {
    fn send(&self, call: &FetchCall) -> Result<FetchReply, FetchError> {
        let endpoint = self.by_name.get(&call.endpoint).ok_or(FetchError::NotGranted)?;
        if rehearsal::under_way().is_some() && !endpoint.read_only {
            rehearsal::refused();
            let why = "on trial, a component asks only endpoints with read_only = true";
            return Err(FetchError::Failed(why.to_owned()));
        }
        let url = request::url(&endpoint.url, &call.path).map_err(FetchError::Failed)?;
        let method =
            request::method(&call.method, endpoint.read_only).map_err(FetchError::Failed)?;
        let headers =
            request::headers(&call.headers, &endpoint.headers).map_err(FetchError::Failed)?;
        let timeout = endpoint.timeout.min(call.timeout);
        let (endpoint, body) = (Arc::clone(endpoint), call.body.clone());
        let (tell, told) = mpsc::sync_channel(1);
        self.runtime.spawn(async move {
            let Ok(_turn) = endpoint.turn.try_acquire() else {
                let _ = tell.send(Err(FetchError::Busy));
                return;
            };
            let request =
                endpoint.client.request(method, url).headers(headers).timeout(timeout).body(body);
            let reply = async { read(request.send().await?).await };
            let reply = match tokio::time::timeout(timeout, reply).await {
                Ok(Ok(reply)) => reply.ok_or(FetchError::TooLarge),
                Ok(Err(error)) => Err(failure(error)),
                Err(_) => Err(FetchError::Timeout),
            };
            // Whoever waited too long is told nothing.
            let _ = tell.send(reply);
        });
        told.recv_timeout(timeout + SLACK).unwrap_or(Err(FetchError::Timeout))
    }
}

/// The reply with its whole body; `None` if that is too large.
async fn read(mut response: Response) -> Result<Option<FetchReply>, reqwest::Error> {
    let status = response.status().as_u16();
    let headers = response
        .headers()
        .iter()
        .filter(|(name, _)| !NOT_PASSED_ON.contains(&name.as_str()))
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(FetchReply { status, headers, body }))
}

/// Why a request failed, without the address, which the component must not learn.
fn failure(error: reqwest::Error) -> FetchError {
    if error.is_timeout() {
        return FetchError::Timeout;
    }
    let what = if error.is_connect() { "cannot connect" } else { "the request failed" };
    // The operator sees where and why.
    tracing::warn!(error = %Chain(&error), "a component's request failed");
    FetchError::Failed(what.to_owned())
}

/// An error with what it came from.
struct Chain<'a>(&'a (dyn std::error::Error + 'static));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// Resolves names to addresses that may be connected to. An address written in the
/// configuration itself is checked there.
struct Outside {
    allow_private: bool,
}

impl Resolve for Outside {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> =
                found.filter(|found| allow_private || address::is_public(found.ip())).collect();
            if allowed.is_empty() {
                let why = format!(
                    "{} has only private addresses; allow_private = true lets the endpoint use them",
                    name.as_str()
                );
                return Err(why.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Whether an endpoint may be at an address that is written as a number.
pub(crate) fn may_be_at(address: IpAddr, allow_private: bool) -> bool {
    allow_private || address::is_public(address)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::super::{Overlay, rehearse};
    use super::*;
    use crate::config::Endpoint as Configured;

    /// A web server of one thread: answers each request by its path, and tells what it heard.
    fn server() -> (u16, mpsc::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, heard) = mpsc::channel();
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let (mut socket, tell) = (socket.unwrap(), tell.clone());
                std::thread::spawn(move || {
                    let mut head = Vec::new();
                    let mut byte = [0];
                    while !head.ends_with(b"\r\n\r\n") && socket.read(&mut byte).unwrap_or(0) > 0 {
                        head.push(byte[0]);
                    }
                    let head = String::from_utf8(head).unwrap();
                    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                    let _ = tell.send(head);
                    let reply = match path.as_str() {
                        "/api/slow" => return std::thread::sleep(Duration::from_secs(30)),
                        "/api/large" => {
                            let length = 300 << 10;
                            format!(
                                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
                            ) + &"x".repeat(length)
                        }
                        "/api/elsewhere" => {
                            "HTTP/1.1 302 Found\r\nlocation: /api/users\r\ncontent-length: 0\r\n\
                              connection: close\r\n\r\n"
                                .to_owned()
                        }
                        _ => "HTTP/1.1 200 OK\r\ncontent-length: 4\r\nset-cookie: a=b\r\n\
                              x-plan: gold\r\nconnection: close\r\n\r\nyes!"
                            .to_owned(),
                    };
                    let _ = socket.write_all(reply.as_bytes());
                });
            }
        });
        (port, heard)
    }

    fn endpoint(url: &str, allow_private: bool, read_only: bool) -> Configured {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", "Bearer of-the-operator".parse().unwrap());
        Configured {
            url: url.parse().unwrap(),
            timeout: Duration::from_millis(500),
            allow_private,
            read_only,
            headers,
        }
    }

    fn call(endpoint: &str, path: &str) -> FetchCall {
        FetchCall {
            endpoint: endpoint.to_owned(),
            path: path.to_owned(),
            method: "GET".to_owned(),
            headers: vec![("accept".to_owned(), "text/plain".to_owned())],
            body: Vec::new(),
            timeout: Duration::from_secs(2),
        }
    }

    /// Runs what blocks where components run.
    async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
        tokio::task::spawn_blocking(work).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_component_reaches_its_endpoint_and_nothing_else() {
        let (port, heard) = server();
        let configured = [
            ("users", endpoint(&format!("http://127.0.0.1:{port}/api"), true, true)),
            ("writing", endpoint(&format!("http://127.0.0.1:{port}/api"), true, false)),
            // A public name that leads inside.
            ("inside", endpoint(&format!("http://localhost:{port}/api"), false, true)),
        ];
        let configured = configured.map(|(name, endpoint)| (name.to_owned(), endpoint)).into();
        let endpoints = Arc::new(Endpoints::new(&configured).unwrap());
        let asked = Arc::clone(&endpoints);
        apart(move || {
            let reply = asked.send(&call("users", "users/alice?full=1")).unwrap();
            assert_eq!((reply.status, reply.body.as_slice()), (200, &b"yes!"[..]));
            let header = |name| reply.headers.iter().find(|(found, _)| found == name);
            assert_eq!(header("x-plan").unwrap().1, "gold");
            assert!(header("set-cookie").is_none());
            let head = heard.recv().unwrap().to_lowercase();
            assert!(head.starts_with("get /api/users/alice?full=1 http/1.1"), "{head}");
            assert!(head.contains("authorization: bearer of-the-operator"), "{head}");
            assert!(head.contains("accept: text/plain"), "{head}");

            let elsewhere = asked.send(&call("users", "elsewhere")).unwrap();
            assert_eq!(elsewhere.status, 302, "nothing is followed");
            assert_eq!(asked.send(&call("users", "large")), Err(FetchError::TooLarge));
            assert_eq!(asked.send(&call("users", "slow")), Err(FetchError::Timeout));
            assert_eq!(asked.send(&call("nobody", "users")), Err(FetchError::NotGranted));
            let climbing = asked.send(&call("users", "../admin"));
            assert!(matches!(climbing, Err(FetchError::Failed(_))), "{climbing:?}");

            while heard.try_recv().is_ok() {}
            let inside = asked.send(&call("inside", "users"));
            assert_eq!(inside, Err(FetchError::Failed("cannot connect".to_owned())));
            assert!(heard.try_recv().is_err(), "nobody was connected to");
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn on_trial_only_what_is_read_only_is_asked() {
        let (port, _heard) = server();
        let configured = [
            ("users", endpoint(&format!("http://127.0.0.1:{port}/api"), true, true)),
            ("writing", endpoint(&format!("http://127.0.0.1:{port}/api"), true, false)),
        ];
        let configured = configured.map(|(name, endpoint)| (name.to_owned(), endpoint)).into();
        let endpoints = Endpoints::new(&configured).unwrap();
        apart(move || {
            let overlay = Arc::new(Overlay::default());
            for (name, asked) in [("users", true), ("writing", false), ("users", true)] {
                let (reply, refused) = rehearse(&overlay, || endpoints.send(&call(name, "users")));
                assert_eq!((reply.is_ok(), refused), (asked, !asked), "{name}");
            }
            assert!(endpoints.send(&call("writing", "users")).is_ok(), "not on trial any more");
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_endpoint_has_so_many_requests_at_once() {
        let (port, _heard) = server();
        let url = format!("http://127.0.0.1:{port}/api");
        let configured = [("users".to_owned(), endpoint(&url, true, true))].into();
        let endpoints = Arc::new(Endpoints::new(&configured).unwrap());
        let calls: Vec<_> = (0..REQUESTS_MAX + 4)
            .map(|_| {
                let asked = Arc::clone(&endpoints);
                tokio::task::spawn_blocking(move || asked.send(&call("users", "slow")))
            })
            .collect();
        let mut busy = 0;
        for call in calls {
            match call.await.unwrap() {
                Err(FetchError::Busy) => busy += 1,
                outcome => assert_eq!(outcome, Err(FetchError::Timeout)),
            }
        }
        assert_eq!(busy, 4);
    }
}
