//! The doors themselves: TLS, load balancers, several of them, and everybody who does not come
//! to mine.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::harness::{Miner, PATIENCE, TestPool, connect_from};

const ELSEWHERE: [u8; 4] = [127, 0, 0, 2];

/// The files a door reads its certificate from.
struct Files {
    _dir: TempDir,
    chain: PathBuf,
    key: PathBuf,
}

impl Files {
    fn new() -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let (chain, key) = (dir.path().join("chain.pem"), dir.path().join("key.pem"));
        Self { _dir: dir, chain, key }
    }

    /// Replaces both by a new pair; the certificate.
    fn issue(&self) -> CertificateDer<'static> {
        let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
        let issued = issued.expect("a certificate can be made");
        std::fs::write(&self.chain, issued.cert.pem()).expect("writable");
        std::fs::write(&self.key, issued.signing_key.serialize_pem()).expect("writable");
        issued.cert.der().clone()
    }

    fn settings<'a>(&'a self, tls: &'a str) -> [(&'a str, &'a str); 3] {
        let text = |path: &'a Path| path.to_str().expect("a temporary path is text");
        [
            ("STRATUM__TLS", tls),
            ("STRATUM__CERTIFICATE", text(&self.chain)),
            ("STRATUM__KEY", text(&self.key)),
        ]
    }
}

/// Speaks TLS over a socket, trusting these certificates only.
async fn encrypt(socket: TcpStream, trusted: &[&CertificateDer<'static>]) -> TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in trusted {
        roots.add((*certificate).clone()).expect("a certificate");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let connected = TlsConnector::from(Arc::new(config)).connect(name, socket).await;
    connected.expect("the pool speaks TLS")
}

async fn plain(pool: &TestPool) -> TcpStream {
    TcpStream::connect(pool.stratum).await.expect("the pool listens")
}

/// Which certificate the pool has shown.
fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    let (_, session) = stream.get_ref();
    session.peer_certificates().expect("the pool shows one")[0].clone().into_owned()
}

/// Everything a stranger is told until the pool closes.
async fn answer_to(mut socket: TcpStream, said: &[u8]) -> String {
    // A pool that has closed takes nothing more.
    let _ = socket.write_all(said).await;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut answer)).await;
    let _ = read.expect("the pool closes");
    String::from_utf8_lossy(&answer).into_owned()
}

async fn connected(pool: &TestPool, count: u64) {
    pool.wait_for("status", |status| status["sessions"]["connected"] == count).await;
}

/// What the health of the certificates is said to be.
fn certificate_trouble(health: &Value) -> Option<&str> {
    let parts = health["components"].as_array().expect("a list");
    let part = parts.iter().find(|part| part["name"] == "certificates").expect("a door has one");
    assert_eq!(part["state"], "healthy", "the one before is in use");
    part["cause"].as_str()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_miner_mines_over_tls_and_a_plain_one_is_told_why_not() {
    let files = Files::new();
    let certificate = files.issue();
    let pool = TestPool::start(&files.settings("required")).await;
    let mut miner = Miner::over(encrypt(plain(&pool).await, &[&certificate]).await, "alice.rig");
    miner.begin().await;
    miner.mine(5).await;

    let mut other = Miner::connect(pool.stratum, "bob").await;
    other.send(r#"{"id":1,"method":"mining.subscribe","params":[]}"#).await;
    assert_eq!(other.last_words().await, "this port speaks TLS only");
    let answer = answer_to(plain(&pool).await, b"GET / HTTP/1.1\r\n\r\n").await;
    assert!(answer.contains("this port speaks TLS only"), "{answer}");
    miner.mine(1).await;
    pool.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_port_serves_both_by_the_first_byte() {
    let files = Files::new();
    let certificate = files.issue();
    let pool = TestPool::start(&files.settings("optional")).await;
    let mut plain_miner = Miner::start(pool.stratum, "alice.plain").await;
    let mut encrypted =
        Miner::over(encrypt(plain(&pool).await, &[&certificate]).await, "alice.tls");
    encrypted.begin().await;
    plain_miner.mine(2).await;
    encrypted.mine(2).await;

    // A browser is answered in both languages.
    let mut browser = encrypt(plain(&pool).await, &[&certificate]).await;
    browser.write_all(b"GET / HTTP/1.1\r\nHost: pool\r\n\r\n").await.expect("the pool reads");
    let mut answer = String::new();
    // The end comes with TLS's goodbye: nothing was cut off.
    browser.read_to_string(&mut answer).await.expect("a whole answer");
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
    pool.stop().await;
}

/// Many requests in one flight over TLS: what rustls has taken from the socket already is not
/// told of by the system again.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_pipelined_requests_over_tls_are_answered_in_order() {
    const REQUESTS: u64 = 10_000;
    let files = Files::new();
    let certificate = files.issue();
    let pool = TestPool::start(&files.settings("required")).await;
    let stream = encrypt(plain(&pool).await, &[&certificate]).await;
    let (reader, mut writer) = tokio::io::split(stream);
    let sending = tokio::spawn(async move {
        for id in 0..REQUESTS {
            let ping = json!({ "id": id, "method": "mining.ping", "params": [] });
            writer.write_all(format!("{ping}\n").as_bytes()).await.expect("the pool reads");
        }
        writer.flush().await.expect("the pool reads");
        writer
    });
    let mut miner = Miner::over(tokio::io::join(reader, tokio::io::sink()), "alice");
    for id in 0..REQUESTS {
        let answer = miner.raw_line().await.expect("the pool goes on");
        assert_eq!((&answer["id"], &answer["result"]), (&json!(id), &json!("pong")));
    }
    drop(sending.await.expect("everything was sent"));
    pool.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_replaced_while_miners_mine() {
    let files = Files::new();
    let first = files.issue();
    let pool = TestPool::start(&files.settings("required")).await;
    let mut miner = Miner::over(encrypt(plain(&pool).await, &[&first]).await, "alice.rig");
    miner.begin().await;

    let second = files.issue();
    let next = |trusted: [CertificateDer<'static>; 2], expected: CertificateDer<'static>| async {
        let (trusted, expected) = (trusted, expected);
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let stream = encrypt(plain(&pool).await, &[&trusted[0], &trusted[1]]).await;
            if shown(&stream) == expected {
                return stream;
            }
            assert!(tokio::time::Instant::now() < deadline, "the old one stayed");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let stream = next([first.clone(), second.clone()], second.clone()).await;
    let mut with_new = Miner::over(stream, "alice.new");
    with_new.begin().await;
    with_new.mine(1).await;
    miner.mine(1).await;

    std::fs::write(&files.chain, "-----BEGIN NONSENSE-----").expect("writable");
    let health = pool.wait_for("health", |health| certificate_trouble(health).is_some()).await;
    let told = certificate_trouble(&health).expect("just seen").to_owned();
    assert!(told.contains("\"stratum\"") && told.contains("chain.pem"), "{told}");
    assert_eq!(shown(&encrypt(plain(&pool).await, &[&second]).await), second, "it stays");
    miner.mine(1).await;

    let third = files.issue();
    next([second, third.clone()], third).await;
    pool.wait_for("health", |health| certificate_trouble(health).is_none()).await;
    miner.mine(1).await;
    pool.stop().await;
}

/// What begins like TLS and is none ends there, and nobody else notices.
#[tokio::test(flavor = "multi_thread")]
async fn garbage_at_a_tls_door_is_closed() {
    let files = Files::new();
    let certificate = files.issue();
    let mut settings = files.settings("optional").to_vec();
    settings.push(("STRATUM__HANDSHAKE_S", "1"));
    let pool = TestPool::start(&settings).await;
    let mut miner = Miner::over(encrypt(plain(&pool).await, &[&certificate]).await, "alice.rig");
    miner.begin().await;
    let all_of_it: Vec<u8> = [0x16].into_iter().chain((0..40_000_u32).map(|n| n as u8)).collect();
    let record = |length: u16| [&[0x16, 3, 1][..], &length.to_be_bytes()].concat();
    for garbage in [
        &b"\x16"[..],
        b"\x16\x16\x16\x16\x16\x16\x16\x16",
        b"\x16\x03\x01\x00\x05hello",
        &record(u16::MAX),
        // The beginning of a handshake whose end never comes.
        &record(512),
        &all_of_it,
    ] {
        let answer = answer_to(plain(&pool).await, garbage).await;
        assert!(!answer.contains("mining"), "{answer:?}");
        miner.mine(1).await;
    }
    connected(&pool, 1).await;
    pool.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_and_a_load_balancers_probe_get_a_readable_400() {
    let pool = TestPool::start(&[]).await;
    let flood = [&b"POST /rpc HTTP/1.1\r\n\r\n"[..], &[b'x'; 200_000]].concat();
    for request in
        [&b"GET / HTTP/1.1\r\nHost: pool\r\n\r\n"[..], b"HEAD / HTTP/1.0\r\n\r\n", &flood]
    {
        let answer = answer_to(plain(&pool).await, request).await;
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
        assert!(answer.contains("speaks Stratum"), "{answer}");
    }
    let answer = answer_to(plain(&pool).await, b"\x16\x03\x01\x02\x00").await;
    assert!(answer.contains("this port does not speak TLS"), "{answer}");
    connected(&pool, 0).await;
    pool.stop().await;
}

/// A PROXY header of version 2 for TCP over IPv4.
fn binary_header(source: [u8; 4]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c".to_vec();
    header.extend(source);
    header.extend([192, 0, 2, 1, 0x12, 0x34, 0x0d, 0x05]);
    header
}

fn text_header(source: &str) -> Vec<u8> {
    format!("PROXY TCP4 {source} 192.0.2.1 5555 3333\r\n").into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_load_balancer_miners_have_their_own_addresses() {
    let pool = TestPool::start(&[
        ("STRATUM__PROXIES", r#"["127.0.0.1/32", "10.0.0.0/8"]"#),
        ("STRATUM__PER_ADDRESS_MAX", "1"),
        ("STRATUM__CONDUCT", "{ warn = 0, drop = 3, ban_after = 1 }"),
    ])
    .await;
    let full = "your address has all the connections it may have (1)";
    let come = async |header: Vec<u8>, user: &str| {
        let mut miner = Miner::connect(pool.stratum, user).await;
        miner.send_bytes(&header).await;
        miner
    };
    let mut alice = come(text_header("203.0.113.7"), "alice").await;
    alice.begin().await;
    let mut bob = come(binary_header([203, 0, 113, 8]), "bob").await;
    bob.begin().await;
    for header in [text_header("203.0.113.7"), binary_header([203, 0, 113, 8])] {
        assert_eq!(come(header, "again").await.last_words().await, full);
    }

    // Byte for byte, with the first requests in one packet with its end.
    let mut carol = Miner::connect(pool.stratum, "carol").await;
    let header = text_header("203.0.113.9");
    for byte in &header[..header.len() - 1] {
        carol.send_bytes(&[*byte]).await;
    }
    carol.send_bytes(b"\n{\"id\":9,\"method\":\"mining.ping\",\"params\":[]}\n").await;
    assert_eq!(carol.raw_line().await.expect("an answer")["result"], "pong");

    // It is the miner that is banned, not the load balancer.
    let mut mallory = come(text_header("203.0.113.66"), "mallory").await;
    mallory.send_bytes(b"junk\njunk\njunk\n").await;
    assert!(mallory.last_words().await.starts_with("closed: "));
    let refused = come(binary_header([203, 0, 113, 66]), "mallory").await.last_words().await;
    assert!(refused.starts_with("your address is banned for another "), "{refused}");
    alice.mine(1).await;
    bob.mine(1).await;

    let mut bare = Miner::connect(pool.stratum, "dave").await;
    bare.send(r#"{"id":1,"method":"mining.subscribe","params":[]}"#).await;
    let words = bare.last_words().await;
    assert!(words.starts_with("a PROXY header was expected: no PROXY protocol header"), "{words}");
    pool.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_may_claim_an_address() {
    let pool = TestPool::start(&[("STRATUM__PROXIES", r#"["127.0.0.1"]"#)]).await;
    for header in [text_header("203.0.113.7"), binary_header([203, 0, 113, 8])] {
        let mut liar = Miner::over(connect_from(ELSEWHERE, pool.stratum).await, "mallory");
        liar.send_bytes(&header).await;
        let words = liar.last_words().await;
        assert_eq!(words, "this address may not send PROXY headers here: see stratum.proxies");
    }
    // Who comes past the load balancer is served as what he is.
    let mut direct = Miner::over(connect_from(ELSEWHERE, pool.stratum).await, "alice");
    direct.begin().await;
    direct.mine(1).await;
    pool.stop().await;
}

/// Three doors, each with its own bounds and language.
#[tokio::test(flavor = "multi_thread")]
async fn several_doors_each_have_their_own_policy() {
    let files = Files::new();
    let certificate = files.issue();
    let (chain, key) = (files.chain.display(), files.key.display());
    let doors = format!(
        r#"[
            {{ name = "big", listen = "127.0.0.1:0", difficulty_min = 2e-6, difficulty_max = 4e-6 }},
            {{ name = "balanced", listen = "127.0.0.1:0", tls = "required", certificate = "{chain}",
               key = "{key}", proxies = ["127.0.0.1"], per_address_max = 1 }},
        ]"#
    );
    let pool = TestPool::start(&[("STRATUM__LISTENER", &doors)]).await;
    let mut small = Miner::start(pool.stratum, "alice.small").await;
    let mut big = Miner::start(pool.doors[0], "alice.big").await;
    let (low, high) = (small.difficulty.get(), big.difficulty.get());
    assert!(low < 1.5e-6 && (1.9e-6..=4e-6).contains(&high), "{low} and {high}");
    // What a miner asks for is not beyond its door either.
    let mut greedy = Miner::connect(pool.doors[0], "alice.greedy").await;
    greedy.subscribe(None).await;
    greedy.call(3, "mining.suggest_difficulty", json!([1_000])).await;
    greedy.authorize().await;
    greedy.wait_for_job().await;
    assert!(greedy.difficulty.get() <= 4e-6, "{}", greedy.difficulty);

    let mut socket = TcpStream::connect(pool.doors[1]).await.expect("the pool listens");
    socket.write_all(&text_header("203.0.113.7")).await.expect("the pool reads");
    let mut behind = Miner::over(encrypt(socket, &[&certificate]).await, "alice.behind");
    behind.begin().await;
    for miner in [&mut small, &mut big] {
        miner.mine(1).await;
    }
    behind.mine(1).await;
    // One address, one place at that door, whatever it speaks.
    let again = [text_header("203.0.113.7"), b"{}\n".to_vec()].concat();
    let answer =
        answer_to(TcpStream::connect(pool.doors[1]).await.expect("the pool listens"), &again).await;
    assert!(answer.contains("all the connections it may have (1)"), "{answer}");
    pool.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_only_so_many_connections() {
    let pool = TestPool::start(&[("STRATUM__PER_ADDRESS_MAX", "2")]).await;
    let first = Miner::start(pool.stratum, "alice.a").await;
    let mut second = Miner::start(pool.stratum, "bob.a").await;
    let words = Miner::connect(pool.stratum, "alice.b").await.last_words().await;
    assert_eq!(words, "your address has all the connections it may have (2)");
    Miner::over(connect_from(ELSEWHERE, pool.stratum).await, "carol").begin().await;
    connected(&pool, 2).await;
    drop(first);
    connected(&pool, 1).await;
    Miner::start(pool.stratum, "alice.b").await.mine(1).await;
    second.mine(1).await;
    pool.stop().await;
}

/// The smaller of what the pool and the auth policy allow.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_has_only_so_many_connections() {
    let limits = |most: u32| format!("{{ limits = {{ max_sessions = {most} }} }}");
    for (pools, policys, most) in
        [("2", limits(1000), 2_u32), ("2", limits(1), 1), ("0", limits(2), 2)]
    {
        let pool = TestPool::start(&[
            ("STRATUM__PER_ACCOUNT_MAX", pools),
            ("AUTH__POLICY", "auth-limits"),
            ("AUTH__GRANTS", r#"["kv"]"#),
            ("AUTH__CONFIG", &policys),
        ])
        .await;
        let mut miners = Vec::new();
        for n in 0..most {
            miners.push(Miner::start(pool.stratum, &format!("alice.{n}")).await);
        }
        let mut late = Miner::connect(pool.stratum, "alice.late").await;
        late.subscribe(None).await;
        let expected = format!("this account has all the sessions it may have ({most})");
        assert_eq!(late.authorize().await["error"], json!([24, expected, null]));
        Miner::start(pool.stratum, "bob.rig").await.mine(1).await;
        drop(miners.pop());
        connected(&pool, u64::from(most)).await;
        assert_eq!(late.authorize().await["result"], true, "a place was given back");
        late.wait_for_job().await;
        late.mine(1).await;
        pool.stop().await;
    }
}

/// One byte after another is no handshake, however long it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn who_never_gets_to_the_point_is_closed() {
    let pool = TestPool::start(&[("STRATUM__HANDSHAKE_S", "1")]).await;
    let mut miner = Miner::start(pool.stratum, "alice.rig").await;
    let mut slow = plain(&pool).await;
    let mut silent = plain(&pool).await;
    for byte in std::iter::repeat_n(b' ', 10_000) {
        if slow.write_all(&[byte]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut rest = Vec::new();
    let _ = slow.read_to_end(&mut rest).await;
    assert!(rest.is_empty(), "{rest:?}");
    let read = tokio::time::timeout(PATIENCE, silent.read_to_end(&mut rest)).await;
    assert_eq!(read.expect("the pool closes").ok(), Some(0));
    connected(&pool, 1).await;
    miner.mine(1).await;
    pool.stop().await;
}

/// Who says something and hangs up is noticed at once: the end may come with the last bytes.
#[tokio::test(flavor = "multi_thread")]
async fn half_open_connections_are_not_kept() {
    let pool = TestPool::start(&[("STRATUM__HANDSHAKE_S", "3600")]).await;
    let mut kept = Vec::new();
    for said in [&b""[..], b"{", b"\r\n", b"G", b"{\"id\":1,\"method\":\"mining.ping\"}\n{"] {
        for _ in 0..20 {
            let mut socket = plain(&pool).await;
            socket.write_all(said).await.expect("the pool reads");
            socket.shutdown().await.expect("it is open");
            kept.push(socket);
        }
    }
    connected(&pool, 0).await;
    pool.stop().await;
}

/// Who sends and never reads is not read any more, then closed; it costs nobody else anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_reads_is_dropped() {
    let files = Files::new();
    let certificate = files.issue();
    let pool = TestPool::start(&files.settings("optional")).await;
    let mut miner = Miner::start(pool.stratum, "alice.rig").await;
    // As long as a line may be, and its answer is as long.
    let extension = "x".repeat(4_000);
    let request = format!(
        "{}\n",
        json!({ "id": 1, "method": "mining.configure", "params": [[extension], {}] })
    );
    let never_reading = plain(&pool).await;
    let over_tls = encrypt(plain(&pool).await, &[&certificate]).await;
    let greedy = [
        tokio::spawn(send_on(never_reading, request.clone())),
        tokio::spawn(send_on(over_tls, request)),
    ];
    for _ in 0..5 {
        miner.mine(1).await;
    }
    connected(&pool, 1).await;
    miner.mine(1).await;
    for sending in greedy {
        sending.await.expect("it ends by being closed");
    }
    pool.stop().await;
}

/// Sends the same for ever, or until that is refused.
async fn send_on(mut socket: impl tokio::io::AsyncWrite + Unpin, request: String) {
    while socket.write_all(request.as_bytes()).await.is_ok() {}
}

/// A farm whose router dies: places of the pool, of the address and of the account, and parts
/// of the nonce space, are all given back.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_connections_cut_at_once_leave_nothing_behind() {
    const FARM: usize = 1_000;
    let most = (FARM + 1).to_string();
    let pool = TestPool::start(&[
        ("POOL__MAX_MINERS", &most),
        ("STRATUM__PER_ADDRESS_MAX", &most),
        ("STRATUM__PER_ACCOUNT_MAX", &most),
        // Seats of who is gone are not kept: their space is free in the next round.
        ("STRATUM__RESUME_S", "1"),
    ])
    .await;
    let mut survivor = Miner::start(pool.stratum, "alice.survivor").await;
    for _ in 0..2 {
        let mut farm = Vec::new();
        for n in 0..FARM {
            let mut miner = Miner::connect(pool.stratum, &format!("alice.{}", n % 7)).await;
            miner.subscribe(None).await;
            assert_eq!(miner.authorize().await["result"], true);
            farm.push(miner);
        }
        let words = Miner::connect(pool.stratum, "alice.late").await.last_words().await;
        assert!(words.contains("pool full"), "{words}");
        for (n, miner) in farm.into_iter().enumerate() {
            match n % 2 {
                0 => miner.reset(),
                _ => drop(miner),
            }
        }
        connected(&pool, 1).await;
        survivor.mine(1).await;
    }
    pool.stop().await;
}
