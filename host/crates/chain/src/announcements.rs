//! A node's announcements of new blocks over ZMQ (`zmqpubhashblock`): the fastest news there
//! is, and none to rely on. A node that stops announcing looks like one without news, so the
//! tip is asked for as well.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use zeromq::{Socket as _, SocketEvent, SocketRecv as _, SubSocket, ZmqMessage};

use crate::wire::reversed;

const TOPIC: &str = "hashblock";
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// Between two tries to connect; polling goes on meanwhile.
const PAUSE: Duration = Duration::from_secs(1);

/// What was last heard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// Whether there is a connection.
    pub(crate) connected: bool,
    /// The last block announced, in header order.
    pub(crate) block: Option<[u8; 32]>,
}

/// A subscription; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Subscription {
    heard: watch::Receiver<Heard>,
    task: JoinHandle<()>,
}

impl Subscription {
    /// Follows an endpoint (`tcp://host:port`) for ever. A thing of the runtime, so only there.
    pub(crate) fn new(endpoint: String) -> Self {
        let (heard, receiver) = watch::channel(Heard::default());
        Self { heard: receiver, task: tokio::spawn(follow(endpoint, heard)) }
    }

    /// The next change. May be dropped and asked again.
    pub(crate) async fn changed(&mut self) -> Heard {
        if self.heard.changed().await.is_err() {
            // Only at the end of the program.
            std::future::pending::<()>().await;
        }
        *self.heard.borrow_and_update()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Whether a subscription can be had there, in time.
pub(crate) async fn can_connect(endpoint: &str) -> Result<(), String> {
    connected(endpoint).await.map(drop)
}

async fn follow(endpoint: String, heard: watch::Sender<Heard>) {
    loop {
        match connected(&endpoint).await {
            Ok(mut socket) => {
                tracing::info!(endpoint, "blocks are announced over ZMQ");
                heard.send_modify(|heard| heard.connected = true);
                let cause = listen(&mut socket, &heard).await;
                tracing::warn!(endpoint, cause, "ZMQ announcements ended; connecting again");
                heard.send_modify(|heard| heard.connected = false);
            }
            Err(cause) => tracing::debug!(endpoint, cause, "no ZMQ announcements"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn connected(endpoint: &str) -> Result<SubSocket, String> {
    let mut socket = SubSocket::new();
    let connecting = async {
        socket.connect(endpoint).await?;
        socket.subscribe(TOPIC).await
    };
    match tokio::time::timeout(CONNECT_WAIT, connecting).await {
        Ok(Ok(())) => Ok(socket),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", CONNECT_WAIT.as_secs())),
    }
}

/// Until the connection ends; tells why. A socket that connects again by itself would do so
/// with growing pauses, so another one takes its place.
async fn listen(socket: &mut SubSocket, heard: &watch::Sender<Heard>) -> String {
    use futures_util::StreamExt as _;
    let mut events = socket.monitor();
    loop {
        tokio::select! {
            message = socket.recv() => match message {
                Ok(message) => {
                    if let Some(block) = block_of(&message) {
                        heard.send_modify(|heard| heard.block = Some(block));
                    }
                }
                Err(error) => return error.to_string(),
            },
            event = events.next() => match event {
                Some(SocketEvent::Disconnected(_) | SocketEvent::Closed) => {
                    return "the node closed the connection".to_owned();
                }
                Some(_) => {}
                None => return "the subscription ended".to_owned(),
            },
        }
    }
}

/// The block of `["hashblock", 32 bytes in display order, sequence]` (Core's doc/zmq.md).
fn block_of(message: &ZmqMessage) -> Option<[u8; 32]> {
    if message.get(0)?.as_ref() != TOPIC.as_bytes() {
        return None;
    }
    let display: [u8; 32] = message.get(1)?.as_ref().try_into().ok()?;
    Some(reversed(display))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_announcements_of_blocks_are_heard() {
        let message = |parts: &[&[u8]]| {
            let frames: Vec<Vec<u8>> = parts.iter().map(|part| part.to_vec()).collect();
            let mut frames = frames.into_iter();
            let mut message = ZmqMessage::from(frames.next().expect("a first frame"));
            frames.for_each(|frame| message.push_back(frame.into()));
            message
        };
        let mut hash = [0; 32];
        hash[31] = 7;
        let mut expected = [0; 32];
        expected[0] = 7;
        assert_eq!(block_of(&message(&[b"hashblock", &hash, &[0; 4]])), Some(expected));
        for parts in [
            &[b"hashtx".as_slice(), &hash, &[0; 4]][..],
            &[b"hashblock", &hash[1..]],
            &[b"hashblock"],
        ] {
            assert_eq!(block_of(&message(parts)), None, "{parts:?}");
        }
    }
}
