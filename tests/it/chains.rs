//! Chains as a pool meets them: nodes that are away, kinds of blocks that are paused, checks
//! before anybody mines, several pools in one process.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;

use chimera_chain::{Action, DevChain, DevNode, DevParams, DevRules, SimServer, system_clock};
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::harness::{Miner, TestPool};
use crate::node::{Node, pool_on};
use crate::process::chimera;

const BINARY: &str = env!("CARGO_BIN_EXE_chimera");

/// A Verge node with a chain of its own, and the profile a pool needs for it.
struct Verge {
    node: DevNode,
    server: SimServer,
    profile: String,
    address: String,
}

impl Verge {
    async fn start(dir: &TempDir) -> Self {
        let chain = DevChain::in_memory(DevParams::regtest(DevRules::Verge)).expect("good rules");
        let node = DevNode::new(Arc::new(chain), system_clock());
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = SimServer::start(node.clone(), anywhere, None).await;
        let server = server.expect("a free port");
        let address = node.call("getnewaddress", json!(["pool"])).await.expect("a wallet");
        let shipped = include_str!("../../config/chains/verge-regtest.toml");
        // The rule that main net has from its height 2,042,001 on.
        let text = shipped.replace("[coinbase]", "pause_from_height = 1\n\n[coinbase]");
        let text = text.replace("maturity = 121", "maturity = 3");
        let profile = dir.path().join("verge.toml");
        std::fs::write(&profile, text).expect("written");
        let profile = profile.to_str().expect("text").to_owned();
        let address = address.as_str().expect("text").to_owned();
        Self { node, server, profile, address }
    }

    fn settings(&self) -> [(&'static str, String); 7] {
        [
            ("CHAIN__KIND", "node".to_owned()),
            ("CHAIN__PROFILE", self.profile.clone()),
            ("CHAIN__NODES", format!("[{{ url = \"{}\" }}]", self.server.url())),
            ("CHAIN__PAYOUT_ADDRESS", self.address.clone()),
            ("CHAIN__POLL_MS", "50".to_owned()),
            ("CHAIN__REFRESH_S", "1".to_owned()),
            ("CHAIN__MATURITY", "3".to_owned()),
        ]
    }
}

fn borrowed<'a, const N: usize>(
    settings: &'a [(&'static str, String); N],
) -> [(&'a str, &'a str); N] {
    settings.each_ref().map(|(key, value)| (*key, value.as_str()))
}

/// T27: while nobody knows whether their work could win, miners are told so and nothing is
/// credited; when a node is back they get work at once, on the same connection.
#[tokio::test(flavor = "multi_thread")]
async fn t27_without_a_node_work_is_withdrawn_after_the_operators_time() {
    let mut node = Node::start().await;
    let mut settings = Vec::from(node.settings().await);
    settings.push(("CHAIN__WITHDRAW_AFTER_S", "1".to_owned()));
    let settings: Vec<_> = settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let pool = TestPool::start(&settings).await;
    let mut miner = Miner::start(pool.stratum, "alice.rig").await;
    miner.mine(3).await;

    node.goes_away().await;
    let told = loop {
        let line = miner.line().await.expect("the connection stays");
        if line["method"] == "client.show_message" {
            break line["params"][0].as_str().expect("text").to_owned();
        }
    };
    assert!(told.contains("no node") && told.contains("1 s"), "{told}");
    let refused = miner.mine_share().await;
    assert_eq!(refused["error"], json!([21, "stale job", null]), "{refused}");
    let status = pool.wait_for("status", |status| status["work"]["state"] == "withdrawn").await;
    assert!(status["work"]["why"].as_str().is_some_and(|why| why.contains("no node")), "{status}");
    assert_eq!(status["nodes"][0]["state"], "failing");
    pool.wait_for_metric("chimera_work_withdrawn 1").await;
    let late = Miner::connect(pool.stratum, "bob.rig");
    let mut late = late.await;
    late.subscribe(None).await;
    assert_eq!(late.authorize().await["result"], true, "who comes now may wait");

    miner.job = None;
    node.comes_back().await;
    miner.wait_for_job().await;
    late.wait_for_job().await;
    miner.mine(2).await;
    pool.wait_for("status", |status| status["work"]["state"] == "flowing").await;
    assert_eq!(pool.shares(&["alice"], 5).await, 5, "three before, two after, none between");
    pool.stop().await;
}

/// Verge end to end: Blake2s blocks with a time in the coinbase, paid to a key of the node's
/// wallet, named by scrypt; and no work while this kind of block may not be mined.
#[tokio::test(flavor = "multi_thread")]
async fn verge_blocks_are_paid_and_mining_disabled_pauses() {
    let dir = TempDir::new().expect("a directory");
    let verge = Verge::start(&dir).await;
    let pool = TestPool::start(&borrowed(&verge.settings())).await;
    let mut miner = Miner::start(pool.stratum, "alice.rig").await;
    let settled = |blocks: &Value| {
        let all = blocks["items"].as_array().expect("a list");
        all.iter().any(|block| block["state"] == "settled")
    };
    while !settled(&pool.get("blocks").await) {
        miner.mine_share().await;
    }

    verge.node.simulate(Action::MiningDisabled(true)).expect("it can");
    let status = pool.wait_for("status", |status| status["work"]["state"] == "withdrawn").await;
    let why = status["work"]["why"].as_str().expect("a reason");
    assert!(why.contains("kind of block"), "{why}");
    assert_eq!(status["nodes"][0]["state"], "answering", "nothing is wrong with the node");
    miner.catch_up().await;
    assert_eq!(miner.mine_share().await["error"][0], 21);

    miner.job = None;
    verge.node.simulate(Action::MiningDisabled(false)).expect("it can");
    miner.wait_for_job().await;
    miner.mine(1).await;
    pool.stop().await;
}

/// What an operator asks before the first miner is let in.
#[tokio::test(flavor = "multi_thread")]
async fn chain_check_tells_what_is_wrong_and_what_to_do() {
    let dir = TempDir::new().expect("a directory");
    let verge = Verge::start(&dir).await;
    let stranger = "D8hSQF7nKWmKBbHUyyzNTVnuVGrTqHzbYE".to_owned();
    let nobody = "[{ url = \"http://127.0.0.1:1\" }]".to_owned();
    let deaf = format!("[{{ url = \"{}\", zmq = \"tcp://127.0.0.1:1\" }}]", verge.server.url());
    let rows = [
        ("as it should be", None, 0, "its key is in the node's wallet"),
        ("somebody else's address", Some(("CHAIN__PAYOUT_ADDRESS", stranger)), 1, "payout address"),
        ("no node", Some(("CHAIN__NODES", nobody)), 1, "start the node"),
        ("no announcements", Some(("CHAIN__NODES", deaf)), 0, "zmqpubhashblock"),
        ("another chain", Some(("CHAIN__PROFILE", "bitcoin".to_owned())), 1, "another network"),
    ];
    for (what, change, code, word) in rows {
        let mut settings = Vec::from(verge.settings());
        settings.extend(change);
        let environment: Vec<_> =
            settings.into_iter().map(|(key, value)| (format!("CHIMERA_{key}"), value)).collect();
        let (found, output) = tokio::task::spawn_blocking(move || {
            let environment: Vec<_> =
                environment.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            chimera(&["chain", "check"], &environment)
        })
        .await
        .expect("it ends");
        assert_eq!(found, Some(code), "{what}: {output}");
        assert!(output.contains(word), "{what}: {output}");
    }
}

/// What stands before a node that is not on this machine: TLS, with a certificate of its own.
/// Its port, and the certificate as a file.
async fn tls_before(node: SocketAddr, dir: &TempDir) -> (u16, String) {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("it can");
    let path = dir.path().join("node.pem");
    std::fs::write(&path, issued.cert.pem()).expect("written");
    let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let settings = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_no_client_auth()
        .with_single_cert(vec![issued.cert.der().clone()], key);
    let acceptor = TlsAcceptor::from(Arc::new(settings.expect("they belong together")));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // Who does not trust the certificate goes away: no more to do here.
                let Ok(mut outside) = acceptor.accept(socket).await else { return };
                let mut inside = TcpStream::connect(node).await.expect("the node listens");
                let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
            });
        }
    });
    (port, path.to_str().expect("text").to_owned())
}

/// A pool mines through TLS where it was told whose certificate to trust, and not otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_behind_tls_is_trusted_by_its_certificate_only() {
    let dir = TempDir::new().expect("a directory");
    let verge = Verge::start(&dir).await;
    let (port, certificate) = tls_before(verge.server.address(), &dir).await;
    let url = format!("https://localhost:{port}");
    let trusted = format!("[{{ url = \"{url}\", ca_file = \"{certificate}\" }}]");
    let unknown = format!("[{{ url = \"{url}\" }}]");
    for (nodes, code, word) in [(trusted.clone(), 0, "answers"), (unknown, 1, "set ca_file")] {
        let mut settings = Vec::from(verge.settings());
        settings.push(("CHAIN__NODES", nodes));
        let environment: Vec<_> =
            settings.into_iter().map(|(key, value)| (format!("CHIMERA_{key}"), value)).collect();
        let (found, output) = tokio::task::spawn_blocking(move || {
            let environment: Vec<_> =
                environment.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            chimera(&["chain", "check"], &environment)
        })
        .await
        .expect("it ends");
        assert_eq!(found, Some(code), "{output}");
        assert!(output.contains(word), "{output}");
    }
    let mut settings = Vec::from(verge.settings());
    settings.push(("CHAIN__NODES", trusted));
    let settings: Vec<_> = settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let pool = TestPool::start(&settings).await;
    Miner::start(pool.stratum, "alice.rig").await.mine(1).await;
    pool.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nodes_status_is_shown() {
    let node = Node::start().await;
    let pool = pool_on(&node).await;
    let answering = |status: &Value| status["nodes"][0]["state"] == "answering";
    let status = pool.wait_for("status", answering).await;
    let shown = &status["nodes"][0];
    assert_eq!((&shown["source"], &shown["announcements"]), (&json!(true), &json!("off")));
    assert_eq!(status["chain"]["network"], "devchain");
    pool.stop().await;
}

/// Two pools, two chains, one process: each serves, and the one whose node is away costs the
/// other nothing.
#[tokio::test(flavor = "multi_thread")]
async fn several_chains_run_in_one_process() {
    let dir = TempDir::new().expect("a directory");
    let file = |name: &str, chain: &str| {
        let path = dir.path().join(format!("{name}.toml"));
        let data = dir.path().join(name);
        let text = format!(
            "[pool]\nname = \"{name}\"\ndata_dir = {data:?}\n[stratum]\nlisten = \"127.0.0.1:0\"\n\
             [api]\nlisten = \"127.0.0.1:0\"\n[chain]\n{chain}\n"
        );
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("text").to_owned()
    };
    let away = "kind = \"node\"\nprofile = \"devchain\"\npayout_address = \"dev1x\"\n\
                nodes = [{ url = \"http://127.0.0.1:1\" }]";
    let files = [file("one", ""), file("two", "algorithm = \"sha256d\""), file("away", away)];
    let mut command = Command::new(BINARY);
    command.args(["run", "--json"]).stdout(Stdio::piped()).stderr(Stdio::null());
    for path in &files {
        command.args(["--config", path]);
    }
    let mut child = command.spawn().expect("it starts");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines().take(2);
    let lines = tokio::task::spawn_blocking(move || -> Vec<Value> {
        lines.map(|line| serde_json::from_str(&line.expect("text")).expect("JSON")).collect()
    });
    let greetings = lines.await.expect("two of them serve");
    let mut names: Vec<&str> = greetings.iter().filter_map(|it| it["pool"].as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["one", "two"]);
    for greeting in &greetings {
        let stratum = greeting["stratum"].as_str().expect("an address").to_owned();
        let algorithm = if greeting["pool"] == "two" { "sha256d" } else { "blake2s" };
        let mining = tokio::task::spawn_blocking(move || {
            let pool = ["mine", "--url", &stratum, "--algo", algorithm, "--shares", "20", "--json"];
            chimera(&pool, &[])
        });
        let (code, output) = mining.await.expect("it ends");
        assert_eq!(code, Some(0), "{output}");
    }
    let pid = child.id().to_string();
    Command::new("kill").args(["-TERM", &pid]).status().expect("kill is there");
    let ended = tokio::task::spawn_blocking(move || child.wait()).await.expect("it ends");
    assert!(ended.expect("a status").success(), "asked to stop, it stops well");
}

#[test]
fn pools_that_would_share_what_must_not_be_shared_are_refused() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("pool.toml");
    std::fs::write(&path, "").expect("written");
    let path = path.to_str().expect("text");
    let (code, output) = chimera(&["run", "--config", path, "--config", path], &[]);
    assert_eq!(code, Some(64), "{output}");
    assert!(output.contains("pool.name is the same in"), "{output}");
}
