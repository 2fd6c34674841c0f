//! A miner that truly hashes, and an HTTP server in front of an embedded chain.
#![allow(dead_code, reason = "each test file uses its part")]

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chimera_chain::{Clock, DevChain, DevNode, DevParams, Profile};
use chimera_pow::{CompactBits, Difficulty};
use chimera_work::{
    Extranonce2, ExtranonceSpace, Job, JobBook, JobId, NonceLayout, Solution, Submission, Template,
    WorkerId,
};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Later than the genesis block.
pub(crate) const START: u64 = 1_800_000_000;

/// A clock that stands still until it is moved.
#[derive(Clone)]
pub(crate) struct VirtualTime(Arc<AtomicU64>);

impl VirtualTime {
    pub(crate) fn starting() -> Self {
        Self(Arc::new(AtomicU64::new(START)))
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }

    pub(crate) fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn clock(&self) -> Clock {
        let time = self.clone();
        Arc::new(move || time.now())
    }
}

/// Two hashes a block, so that tests are quick; the hashes are real.
pub(crate) fn easy() -> DevParams {
    DevParams { easiest: CompactBits(0x207f_ffff), ..DevParams::default() }
}

pub(crate) fn easy_node(time: &VirtualTime) -> DevNode {
    let chain = DevChain::in_memory(easy()).expect("good parameters");
    DevNode::new(Arc::new(chain), time.clock())
}

/// Finds a block as a session would: job, shares, judge.
pub(crate) fn solve(template: &Arc<Template>) -> Solution {
    let mut space = ExtranonceSpace::new(0);
    let layout = NonceLayout::DEFAULT;
    let mut book = JobBook::new(space.lease().expect("an empty space"), layout);
    let job = Job::new(JobId(0x100), 1, Arc::clone(template), true);
    book.issue(Arc::new(job), Difficulty::new(1e-9).expect("positive"));
    for nonce in 0..u32::MAX {
        let submission = Submission {
            worker: WorkerId(1),
            job: JobId(0x100),
            extranonce2: Extranonce2::new(&[0; 8]).expect("eight bytes"),
            time: template.time,
            nonce,
            version_bits: None,
        };
        if let Some(solution) = book.judge(&submission, template.version_mask).solution {
            return *solution;
        }
    }
    unreachable!("an easy block takes a few hashes");
}

/// Mines on the chain itself, a block per spacing from `now` on, so that the difficulty stays;
/// the pool sees only that somebody did.
pub(crate) fn somebody_mines(node: &DevNode, blocks: u64, now: u64) -> Vec<String> {
    let chain = node.chain();
    let address = chain.rpc("getnewaddress", &json!(["somebody"]), now).expect("an address");
    let mine = |nth| {
        let now = now + nth * u64::from(chain.params().spacing_s);
        let found = chain.rpc("generatetoaddress", &json!([1, address]), now).expect("mined");
        found[0].as_str().expect("the tries are enough").to_owned()
    };
    (0..blocks).map(mine).collect()
}

/// Waits for what must come; a test that hangs fails with the name of what it waited for.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let patience = Duration::from_secs(60);
    tokio::time::timeout(patience, future).await.unwrap_or_else(|_| panic!("{what} never came"))
}

/// A node on a port of its own, gone when dropped.
pub(crate) struct HttpNode {
    pub(crate) address: SocketAddr,
    server: tokio::task::JoinHandle<()>,
}

impl HttpNode {
    pub(crate) async fn start(node: DevNode) -> Self {
        Self::start_at("127.0.0.1:0".parse().expect("an address"), node).await
    }

    pub(crate) async fn start_at(address: SocketAddr, node: DevNode) -> Self {
        Self::serve(address, move |_head, body| {
            let node = node.clone();
            async move {
                let request = serde_json::from_slice(&body).expect("the adapter sends JSON");
                (200, node.serve(request).await.to_string())
            }
        })
        .await
    }

    /// Answers each request (head, body) with a status and a body.
    pub(crate) async fn serve<A>(
        address: SocketAddr,
        answer: impl Fn(String, Vec<u8>) -> A + Clone + Send + Sync + 'static,
    ) -> Self
    where
        A: Future<Output = (u16, String)> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let server = tokio::spawn(async move {
            // Connections end with the server.
            let mut connections = JoinSet::new();
            loop {
                let (socket, _) = listener.accept().await.expect("a connection");
                connections.spawn(exchange(socket, answer.clone()));
            }
        });
        Self { address, server }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) async fn stop(mut self) {
        self.server.abort();
        assert!((&mut self.server).await.is_err_and(|error| error.is_cancelled()));
    }
}

impl Drop for HttpNode {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn exchange<A>(mut socket: TcpStream, answer: impl Fn(String, Vec<u8>) -> A)
where
    A: Future<Output = (u16, String)> + Send,
{
    let Some((head, body)) = read_request(&mut socket).await else { return };
    let (status, body) = answer(head, body).await;
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status} Status\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    // The client may have given up waiting.
    drop(socket.write_all(text.as_bytes()).await);
}

async fn read_request(socket: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length?.trim().parse().ok()?;
        if bytes.len() >= end + 4 + length {
            return Some((head, bytes[end + 4..end + 4 + length].to_vec()));
        }
    }
}

/// The embedded chain's profile.
pub(crate) fn devchain() -> Profile {
    Profile::named("devchain").expect("it is shipped")
}
