//! New tips over ZeroMQ, as Bitcoin Core's `-zmqpubhashblock` publishes them.

use std::io;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;
use zeromq::{PubSocket, Socket as _, SocketSend as _, ZmqError, ZmqMessage};

use super::{DevNode, Tip};

/// Publishes `hashblock` for every new tip of a node until dropped: the topic, the hash in the
/// order RPC prints it, and a little-endian count from 0.
///
/// ```
/// # use std::sync::Arc;
/// use chimera_chain::{DevChain, DevNode, DevParams, ZmqPublisher, system_clock};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let node = DevNode::new(Arc::new(DevChain::in_memory(DevParams::default())?), system_clock());
/// let publisher = ZmqPublisher::bind(&node, "127.0.0.1:0").await?;
/// assert!(publisher.address().starts_with("tcp://127.0.0.1:"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct ZmqPublisher {
    node: DevNode,
    address: String,
    publishing: JoinHandle<()>,
}

impl ZmqPublisher {
    /// Listens at `HOST:PORT`. `getzmqnotifications` tells of it from then on.
    ///
    /// # Errors
    /// When the address cannot be listened at.
    pub async fn bind(node: &DevNode, address: &str) -> io::Result<Self> {
        let mut socket = PubSocket::new();
        let bound = socket.bind(&format!("tcp://{address}")).await.map_err(|error| match error {
            ZmqError::Network(error) => error,
            other => io::Error::other(other.to_string()),
        });
        let address = bound?.to_string();
        node.chain().state().zmq_address = Some(address.clone());
        let tips = node.chain().tips.subscribe();
        let publishing = tokio::spawn(publish(node.clone(), socket, tips));
        Ok(Self { node: node.clone(), address, publishing })
    }

    /// Where subscribers connect, e.g. `tcp://127.0.0.1:28332`.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for ZmqPublisher {
    fn drop(&mut self) {
        self.publishing.abort();
        self.node.chain().state().zmq_address = None;
    }
}

async fn publish(node: DevNode, mut socket: PubSocket, mut tips: Receiver<Tip>) {
    let mut sequence: u32 = 0;
    loop {
        match tips.recv().await {
            Ok(tip) if !node.faults().take_zmq_silence() => {
                // Subscribers that are gone or slow miss it, as with any publisher.
                let _ = socket.send(hashblock(tip, sequence)).await;
                sequence = sequence.wrapping_add(1);
            }
            // Lost ones show as a gap.
            Ok(_) => sequence = sequence.wrapping_add(1),
            Err(RecvError::Lagged(missed)) => sequence = sequence.wrapping_add(missed as u32),
            Err(RecvError::Closed) => return,
        }
    }
}

fn hashblock(tip: Tip, sequence: u32) -> ZmqMessage {
    let mut message = ZmqMessage::from("hashblock");
    message.push_back(crate::wire::reversed(tip.hash.0).to_vec().into());
    message.push_back(sequence.to_le_bytes().to_vec().into());
    message
}
