//! New tips over ZeroMQ.

mod common;

use chimera_chain::{Action, DevNode, Fault, FaultRule, ZmqPublisher};
use serde_json::json;
use zeromq::{Socket as _, SocketRecv as _, SubSocket};

use common::{START, VirtualTime, easy_node, soon};

async fn subscribed(node: &DevNode) -> (ZmqPublisher, SubSocket) {
    let publisher = ZmqPublisher::bind(node, "127.0.0.1:0").await.expect("a port");
    let mut socket = SubSocket::new();
    socket.connect(publisher.address()).await.expect("it listens");
    socket.subscribe("hashblock").await.expect("subscribed");
    // The subscription is on its way.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    (publisher, socket)
}

async fn next(socket: &mut SubSocket) -> (String, u32) {
    let message = soon("a message", socket.recv()).await.expect("the publisher lives").into_vec();
    assert_eq!(message.len(), 3);
    assert_eq!(&message[0][..], b"hashblock");
    let count = message[2][..].try_into().expect("four bytes");
    (hex::encode(&message[1]), u32::from_le_bytes(count))
}

#[tokio::test]
async fn every_tip_is_published_once_and_counted() {
    let node = easy_node(&VirtualTime::starting());
    let (publisher, mut socket) = subscribed(&node).await;
    let told = node.chain().rpc("getzmqnotifications", &json!([]), START).expect("a list");
    let row = json!({ "type": "pubhashblock", "address": publisher.address(), "hwm": 1000 });
    assert_eq!(told, json!([row]));

    for nth in 0..3 {
        let tip = node.simulate(Action::Mine { blocks: 1 }).expect("mined")["tip"].clone();
        assert_eq!(next(&mut socket).await, (tip.as_str().expect("hex").to_owned(), nth));
    }
    let tip = node.simulate(Action::Reorg { depth: 2 }).expect("turned")["tip"].clone();
    let (hash, count) = next(&mut socket).await;
    assert_eq!((json!(hash), count), (tip, 3), "a reorganisation is one new tip");
    node.simulate(Action::Flap { times: 4 }).expect("flapped");
    for nth in 4..8 {
        assert_eq!(next(&mut socket).await.1, nth);
    }

    drop(publisher);
    let told = node.chain().rpc("getzmqnotifications", &json!([]), START).expect("a list");
    assert_eq!(told, json!([]));
}

#[tokio::test]
async fn a_silent_publisher_skips_and_the_count_shows_it() {
    let node = easy_node(&VirtualTime::starting());
    let (_publisher, mut socket) = subscribed(&node).await;
    let silent = FaultRule::always(Fault::ZmqSilent).times(2);
    node.simulate(Action::Fault(silent)).expect("set");
    let tip = node.simulate(Action::Mine { blocks: 3 }).expect("mined")["tip"].clone();
    let (hash, count) = next(&mut socket).await;
    assert_eq!((json!(hash), count), (tip, 2));
}
