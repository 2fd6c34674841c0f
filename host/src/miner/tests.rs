//! The whole miner over real sockets against small scripted pools that judge its shares.

use std::time::Duration;

use chimera_pow::{Algorithm, Difficulty};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::job::tests::difficulty;
use super::*;

/// Far above what any test here needs; only a hang meets it.
const PATIENCE: Duration = Duration::from_secs(120);

/// The pool's end of one connection.
struct Peer {
    stream: BufReader<TcpStream>,
}

impl Peer {
    async fn accept(listener: &TcpListener) -> Self {
        Self { stream: BufReader::new(listener.accept().await.expect("a connection").0) }
    }

    async fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.stream.read_line(&mut line).await.expect("readable");
        serde_json::from_str(&line).expect("one JSON object per line")
    }

    /// The next request of that method; anything else is an error of the miner.
    async fn expect(&mut self, method: &str) -> Value {
        let heard = self.hear().await;
        assert_eq!(heard["method"], method, "{heard}");
        heard
    }

    async fn say(&mut self, line: Value) {
        let line = format!("{line}\n");
        self.stream.get_mut().write_all(line.as_bytes()).await.expect("writable");
    }

    /// Accepts what still comes until the miner leaves: it waits for these answers.
    async fn until_left(&mut self) {
        let mut line = String::new();
        while self.stream.read_line(&mut line).await.unwrap_or(0) > 0 {
            let submit: Value = serde_json::from_str(&line).expect("one JSON object per line");
            self.answer(&submit, json!(true)).await;
            line.clear();
        }
    }

    async fn answer(&mut self, request: &Value, result: Value) {
        self.say(json!({ "id": request["id"], "result": result, "error": null })).await;
    }

    async fn refuse(&mut self, request: &Value, code: u32, reason: &str) {
        let error = json!([code, reason, null]);
        self.say(json!({ "id": request["id"], "result": null, "error": error })).await;
    }

    /// Subscribes and authorises the miner; gives the parameters of its subscribe.
    async fn welcome(&mut self, session: &str, extranonce1: &str, size: u8) -> Value {
        let subscribe = self.expect("mining.subscribe").await;
        let pairs = json!([["mining.set_difficulty", session], ["mining.notify", session]]);
        self.answer(&subscribe, json!([pairs, extranonce1, size])).await;
        let authorize = self.expect("mining.authorize").await;
        self.answer(&authorize, json!(true)).await;
        let asked = self.expect("mining.extranonce.subscribe").await;
        self.refuse(&asked, 20, "not supported").await;
        subscribe["params"].clone()
    }

    async fn notify(&mut self, id: &str, at: f64, clean: bool) {
        self.say(json!({ "id": null, "method": "mining.set_difficulty", "params": [at] })).await;
        let params = notify_params(id, clean);
        self.say(json!({ "id": null, "method": "mining.notify", "params": params })).await;
    }
}

fn notify_params(id: &str, clean: bool) -> Value {
    let previous = "00112233445566778899aabbccddeeff".repeat(2);
    let branch = ["ab".repeat(32), "cd".repeat(32)];
    json!([id, previous, "0100", "ffff", branch, "20000000", "1d00ffff", "6b00b23c", clean])
}

/// Judges a submit as a pool would: rebuilds the header from its own job and the five
/// submitted fields alone.
fn judge(submit: &Value, extranonce1: &str, size: u8, at: f64) -> bool {
    let params = submit["params"].as_array().expect("a list");
    assert_eq!(params.len(), 5);
    let text = |index: usize| params[index].as_str().expect("text");
    assert_eq!(text(2).len(), 2 * usize::from(size), "extranonce2 fills its size");
    assert_eq!(text(3), "6b00b23c");
    let coinbase = hex::decode(format!("0100{extranonce1}{}ffff", text(2))).expect("hex");
    let root = ["ab", "cd"].iter().fold(chimera_pow::sha256d(&coinbase), |root, byte| {
        let sibling = hex::decode(byte.repeat(32)).expect("hex");
        chimera_pow::sha256d(&[root.to_vec(), sibling].concat())
    });
    let mut header = [0; 80];
    header[..4].copy_from_slice(&0x2000_0000_u32.to_le_bytes());
    let previous = hex::decode("3322110077665544bbaa9988ffeeddcc".repeat(2)).expect("hex");
    header[4..36].copy_from_slice(&previous);
    header[36..68].copy_from_slice(&root);
    header[68..72].copy_from_slice(&0x6b00_b23c_u32.to_le_bytes());
    header[72..76].copy_from_slice(&0x1d00_ffff_u32.to_le_bytes());
    let nonce = u32::from_str_radix(text(4), 16).expect("hex");
    header[76..].copy_from_slice(&nonce.to_le_bytes());
    difficulty(at).target().is_met_by(&Algorithm::Blake2s.hash(&header))
}

async fn pool() -> (TcpListener, MinerConfig) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let pool = Endpoint { host: "127.0.0.1".to_owned(), port };
    let mut config = MinerConfig::new(pool, "alice.rig1");
    config.engine = Engine::Task;
    config.output = Output::Silent;
    (listener, config)
}

/// About one hash in 4,000.
const EASY: f64 = 1e-6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shares_are_valid_for_every_extranonce2_size_and_engine() {
    for (size, engine) in [(1, Engine::Task), (4, Engine::Threads(2)), (16, Engine::Task)] {
        let (listener, mut config) = pool().await;
        config.engine = engine;
        config.stop_after_shares = Some(20);
        let serve = async {
            let mut peer = Peer::accept(&listener).await;
            peer.welcome("51", "0a0b0c0d", size).await;
            peer.notify("1", EASY, true).await;
            for _ in 0..20 {
                let submit = peer.expect("mining.submit").await;
                assert!(judge(&submit, "0a0b0c0d", size, EASY), "{submit}");
                peer.answer(&submit, json!(true)).await;
            }
            // The run ends only when the shares on the way are answered too.
            peer.until_left().await;
        };
        let mine = run(config, CancellationToken::new());
        let (report, ()) = tokio::time::timeout(PATIENCE, async { tokio::join!(mine, serve) })
            .await
            .expect("no hang");
        let report = report.expect("the pool is good");
        assert!(report.accepted >= 20 && report.rejected == 0, "{report:?}");
        assert_eq!(report.unanswered, 0);
        assert_eq!(report.connections, 1);
        assert_eq!(report.difficulty, Some(difficulty(EASY)));
        assert!(report.best.expect("shares were accepted") >= difficulty(EASY));
        assert!(report.hashes > report.accepted && report.hashes_per_s() > 0.0);
        assert!(report.first_job.is_some());
        let work = difficulty(EASY).target().work().hashes() * u128::from(report.accepted);
        assert_eq!(report.accepted_work.hashes(), work);
    }
}

#[tokio::test]
async fn equal_seeds_send_equal_shares() {
    let shares_of = |seed| async move {
        let (listener, mut config) = pool().await;
        config.seed = seed;
        let stop = CancellationToken::new();
        let serve = async {
            let mut peer = Peer::accept(&listener).await;
            peer.welcome("51", "0a0b0c0d", 8).await;
            peer.notify("1", EASY, true).await;
            let mut shares = vec![];
            for _ in 0..5 {
                let submit = peer.expect("mining.submit").await;
                peer.answer(&submit, json!(true)).await;
                shares.push(submit["params"].clone());
            }
            stop.cancel();
            peer.until_left().await;
            shares
        };
        let mine = run(config, stop.clone());
        let (report, shares) = tokio::time::timeout(PATIENCE, async { tokio::join!(mine, serve) })
            .await
            .expect("no hang");
        assert_eq!(report.expect("stopped by hand").unanswered, 0);
        shares
    };
    let first = shares_of(7).await;
    assert_eq!(first, shares_of(7).await);
    assert_ne!(first, shares_of(8).await);
}

#[tokio::test]
async fn a_cut_is_survived_with_the_session_of_before() {
    let (listener, mut config) = pool().await;
    config.stop_after_shares = Some(1);
    let serve = async {
        let mut peer = Peer::accept(&listener).await;
        let first = peer.welcome("51", "0a0b0c0d", 8).await;
        peer.notify("1", EASY, true).await;
        peer.expect("mining.submit").await;
        drop(peer);
        let mut peer = Peer::accept(&listener).await;
        let second = peer.welcome("51", "0a0b0c0d", 8).await;
        peer.notify("1", EASY, true).await;
        let submit = peer.expect("mining.submit").await;
        peer.answer(&submit, json!(true)).await;
        peer.until_left().await;
        (first, second)
    };
    let mut causes = vec![];
    let mut resumptions = vec![];
    let mine = run_observed(config, CancellationToken::new(), |event, _| match event {
        Event::Disconnected { cause, unanswered, .. } => causes.push((cause.clone(), *unanswered)),
        Event::Subscribed { resumed, .. } => resumptions.push(*resumed),
        _ => {}
    });
    let (report, (first, second)) = tokio::join!(mine, serve);
    let report = report.expect("the pool came back");
    assert_eq!(first, json!([USER_AGENT]));
    assert_eq!(second, json!([USER_AGENT, "51"]));
    assert_eq!(resumptions, [false, true]);
    assert!(causes[0].1 >= 1, "the unanswered share is reported: {causes:?}");
    assert!(report.unanswered >= 1 && report.connections == 2);
}

#[tokio::test]
async fn reconnect_is_obeyed_to_another_port() {
    let (listener, config) = pool().await;
    let other = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = other.local_addr().expect("bound").port();
    let stop = CancellationToken::new();
    let serve = async {
        let mut peer = Peer::accept(&listener).await;
        peer.welcome("51", "0a0b0c0d", 4).await;
        let params = json!(["127.0.0.1", port, 0]);
        peer.say(json!({ "id": null, "method": "client.reconnect", "params": params })).await;
        let mut moved = Peer::accept(&other).await;
        let params = moved.welcome("52", "0a0b0c0e", 4).await;
        stop.cancel();
        moved.until_left().await;
        params
    };
    let (report, params) = tokio::join!(run(config, stop.clone()), serve);
    assert_eq!(params[1], "51");
    assert_eq!(report.expect("moved").connections, 2);
}

#[tokio::test]
async fn refused_shares_are_counted_by_reason() {
    let (listener, mut config) = pool().await;
    config.stop_after_shares = Some(1);
    let serve = async {
        let mut peer = Peer::accept(&listener).await;
        peer.welcome("51", "", 4).await;
        peer.notify("1", EASY, true).await;
        let first = peer.expect("mining.submit").await;
        let second = peer.expect("mining.submit").await;
        let third = peer.expect("mining.submit").await;
        assert!(first["id"] != second["id"] && second["id"] != third["id"]);
        peer.refuse(&second, 21, "job not found").await;
        peer.refuse(&first, 23, "low difficulty share").await;
        peer.answer(&third, json!(true)).await;
        peer.until_left().await;
    };
    let (report, ()) = tokio::join!(run(config, CancellationToken::new()), serve);
    let report = report.expect("one share was accepted");
    assert!(report.accepted >= 1 && report.rejected == 2, "{report:?}");
    let reasons: Vec<_> = report.rejections.keys().map(String::as_str).collect();
    assert_eq!(reasons, ["job not found", "low difficulty share"]);
}

#[tokio::test]
async fn a_new_job_is_worked_on_at_its_own_difficulty() {
    let (listener, mut config) = pool().await;
    config.stop_after_shares = Some(1);
    let hard = EASY * 4.0;
    let serve = async {
        let mut peer = Peer::accept(&listener).await;
        peer.welcome("51", "0a0b0c0d", 8).await;
        peer.notify("1", EASY, true).await;
        let mut submit = peer.expect("mining.submit").await;
        peer.notify("2", hard, true).await;
        loop {
            peer.refuse(&submit, 21, "stale job").await;
            submit = peer.expect("mining.submit").await;
            if submit["params"][1] == "2" {
                assert!(judge(&submit, "0a0b0c0d", 8, hard));
                peer.answer(&submit, json!(true)).await;
                return peer.until_left().await;
            }
        }
    };
    let (report, ()) = tokio::join!(run(config, CancellationToken::new()), serve);
    let report = report.expect("one share was accepted");
    assert_eq!(report.difficulty.map(Difficulty::get), Some(hard));
    assert_eq!(report.jobs, 2);
}

#[tokio::test]
async fn failures_are_told_to_people() {
    let (listener, mut config) = pool().await;
    config.connect_attempts = 1;
    let serve = async {
        let mut web = Peer::accept(&listener).await;
        web.stream
            .get_mut()
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .expect("writable");
        let mut stranger = Peer::accept(&listener).await;
        let subscribe = stranger.expect("mining.subscribe").await;
        stranger.answer(&subscribe, json!([[["mining.notify", "1"]], "00", 8])).await;
        let authorize = stranger.expect("mining.authorize").await;
        stranger.refuse(&authorize, 24, "unauthorized worker").await;
        let mut full = Peer::accept(&listener).await;
        let subscribe = full.expect("mining.subscribe").await;
        full.refuse(&subscribe, 20, "pool full").await;
        // Keeps the refused connections open: it is the miner who leaves.
        (web, stranger, full)
    };
    let tries = async {
        let mut told = vec![];
        for _ in 0..3 {
            let failed = run(config.clone(), CancellationToken::new()).await;
            told.push(failed.expect_err("refused").to_string());
        }
        told
    };
    let (told, peers) = tokio::join!(tries, serve);
    drop((peers, listener));
    let unreachable = run(config, CancellationToken::new()).await.expect_err("closed").to_string();
    for (told, expected) in told.iter().chain([&unreachable]).zip([
        "does not speak Stratum, it answered \"HTTP/1.1 400 Bad Request\"",
        "does not let \"alice.rig1\" mine: unauthorized worker",
        "refuses the subscription: pool full",
        "connection refused; is the pool running there",
    ]) {
        assert!(told.contains(expected), "{told}");
    }
}

#[tokio::test]
async fn an_end_by_time_or_by_hand_comes_before_any_connection_too() {
    let (listener, mut config) = pool().await;
    drop(listener);
    config.connect_attempts = u32::MAX;
    let stop = CancellationToken::new();
    stop.cancel();
    run(config.clone(), stop).await.expect("asked to stop");
    config.stop_after = Some(Duration::from_millis(1));
    let report = run(config, CancellationToken::new()).await.expect("its time was over");
    assert_eq!(report.hashes, 0);
}

#[test]
fn a_run_can_be_spawned() {
    fn spawnable(_: impl Future + Send + 'static) {}
    let pool = Endpoint { host: "127.0.0.1".to_owned(), port: 1 };
    spawnable(run(MinerConfig::new(pool, "a"), CancellationToken::new()));
}
