//! A node behind a real port: HTTP as Bitcoin Core serves it, and as a node in trouble does.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::task::{JoinHandle, JoinSet};

use super::DevNode;
use super::faults::Fault;
use super::http::{Request, read_request, response};
use super::login::Login;
use super::node::{WARM_UP, failure, methods_of};
use crate::rpc::RpcFault;

const JSON: &str = "application/json";
const TEXT: &str = "text/html; charset=ISO-8859-1";

/// Serves one [`DevNode`], faults included, until stopped or dropped. Its chain goes on; a
/// server started at the same address is the same node restarted.
///
/// ```
/// # use std::sync::Arc;
/// use chimera_chain::{DevChain, DevNode, DevParams, SimServer, system_clock};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let node = DevNode::new(Arc::new(DevChain::in_memory(DevParams::default())?), system_clock());
/// let server = SimServer::start(node.clone(), "127.0.0.1:0", None).await?;
/// let address = server.address();
/// server.stop().await;
/// let again = SimServer::start(node, address, None).await?;
/// assert_eq!(again.address(), address);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct SimServer {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct Face {
    node: DevNode,
    login: Option<Login>,
}

/// What is sent, and whether the connection lives on.
enum Reply {
    Whole(Vec<u8>),
    Last(Vec<u8>),
    Never,
    Nothing,
}

impl SimServer {
    /// Listens at an address and answers; with a user and a password, callers must log in.
    ///
    /// # Errors
    /// When the address cannot be listened at.
    pub async fn start(
        node: DevNode,
        address: impl ToSocketAddrs,
        login: Option<(String, String)>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let login = login.map(|(user, password)| Login::new(&user, &password));
        let face = Arc::new(Face { node, login });
        Ok(Self { address, accepting: tokio::spawn(accept(listener, face)) })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as a node is configured.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Closes all connections and the port; when this returns the port is free.
    pub async fn stop(mut self) {
        self.accepting.abort();
        // Cancelled, or ended by itself: it is gone either way.
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for SimServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A pool on an easy chain hands in hundreds of blocks at once; each connection may hold one.
const CONNECTIONS_MAX: usize = 1_000;

async fn accept(listener: TcpListener, face: Arc<Face>) {
    // Connections end with the server.
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            // Core's rpcthreads and work queue are fewer.
            Ok(_) if connections.len() >= CONNECTIONS_MAX => {}
            Ok((socket, _)) => {
                connections.spawn(exchange(socket, Arc::clone(&face)));
            }
            // Out of file descriptors: better soon than in a loop.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn exchange(mut socket: TcpStream, face: Arc<Face>) {
    let mut buffer = Vec::new();
    // An error is a client that went away or is none.
    while let Ok(Some(request)) = read_request(&mut socket, &mut buffer).await {
        let keep_alive = request.keep_alive;
        match face.reply(request).await {
            Reply::Whole(bytes) => {
                if socket.write_all(&bytes).await.is_err() || !keep_alive {
                    return;
                }
            }
            Reply::Last(bytes) => return drop(socket.write_all(&bytes).await),
            Reply::Nothing => return,
            Reply::Never => {
                let mut ignored = [0; 256];
                while matches!(socket.read(&mut ignored).await, Ok(1..)) {}
                return;
            }
        }
    }
}

impl Face {
    async fn reply(&self, request: Request) -> Reply {
        let shown = request.authorization.as_deref();
        if self.login.as_ref().is_some_and(|login| !login.admits(shown)) {
            return text(401, "");
        }
        if request.method != "POST" {
            return text(405, "JSONRPC server handles only POST requests");
        }
        if request.path != "/" && !request.path.starts_with("/wallet/") {
            return text(404, "");
        }
        // Whatever the content type says: command-line clients send text/plain.
        let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
            let error = json!({ "code": -32700, "message": "Parse error" });
            return whole(&json!({ "result": null, "error": error, "id": null }));
        };
        let Some(fault) = self.node.faults().take(&methods_of(&body)) else {
            return whole(&self.node.serve_unharmed(body).await);
        };
        self.fail(fault, body).await
    }

    async fn fail(&self, fault: Fault, body: Value) -> Reply {
        let error = |code, message: &str| RpcFault { code, message: message.to_owned() };
        match fault {
            Fault::Slow { ms } => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                whole(&self.node.serve_unharmed(body).await)
            }
            Fault::Hang => Reply::Never,
            Fault::Status(503) => text(503, "Work queue depth exceeded"),
            Fault::Status(status) => text(status, "no JSON here"),
            Fault::WarmUp => whole(&failure(&body, &error(WARM_UP.0, WARM_UP.1))),
            Fault::Error { code, message } => whole(&failure(&body, &error(code, &message))),
            Fault::HalfReply => {
                let text = self.node.serve_unharmed(body).await.to_string();
                Reply::Last(response(200, JSON, half(&text), text.len()))
            }
            Fault::HalfJson => {
                let text = self.node.serve_unharmed(body).await.to_string();
                Reply::Whole(response(200, JSON, half(&text), half(&text).len()))
            }
            Fault::Closed => Reply::Nothing,
            Fault::Stale | Fault::ZmqSilent => whole(&self.node.serve_unharmed(body).await),
        }
    }
}

fn half(text: &str) -> &str {
    &text[..text.floor_char_boundary(text.len() / 2)]
}

fn text(status: u16, body: &str) -> Reply {
    Reply::Whole(response(status, TEXT, body, body.len()))
}

fn whole(answer: &Value) -> Reply {
    let body = answer.to_string();
    Reply::Whole(response(status_of(answer), JSON, &body, body.len()))
}

/// Core's: an error in the body is one of the status, too.
fn status_of(answer: &Value) -> u16 {
    match answer.get("error") {
        None | Some(Value::Null) => 200,
        Some(error) => match error.get("code").and_then(Value::as_i64) {
            Some(-32601) => 404,
            Some(-32600) => 400,
            _ => 500,
        },
    }
}
