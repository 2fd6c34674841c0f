//! Every fault and every action of the node simulator, seen over real HTTP.

mod common;

use std::time::{Duration, Instant};

use chimera_chain::{Action, DevNode, Fault, FaultRule, SimServer};
use reqwest::StatusCode;
use serde_json::{Value, json};

use common::{VirtualTime, easy_node, soon};

const PATIENCE: Duration = Duration::from_secs(5);

struct Client {
    node: DevNode,
    server: SimServer,
    http: reqwest::Client,
}

impl Client {
    async fn start() -> Self {
        let node = easy_node(&VirtualTime::starting());
        let server = SimServer::start(node.clone(), "127.0.0.1:0", None).await.expect("a port");
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { node, server, http }
    }

    async fn post(&self, method: &str, params: Value) -> reqwest::Result<(StatusCode, String)> {
        let body = json!({ "id": 7, "method": method, "params": params });
        let request = self.http.post(self.server.url()).timeout(PATIENCE).json(&body);
        let response = request.send().await?;
        Ok((response.status(), response.text().await?))
    }

    async fn ask(&self, method: &str, params: Value) -> Value {
        let (_, text) = self.post(method, params).await.expect("an answer");
        serde_json::from_str(&text).expect("JSON")
    }

    async fn simulate(&self, what: Value) -> Value {
        let answer = self.ask("simulate", json!([what])).await;
        assert_eq!(answer["error"], Value::Null, "{answer}");
        answer["result"].clone()
    }

    async fn count(&self) -> Value {
        self.ask("getblockcount", json!([])).await["result"].clone()
    }
}

#[tokio::test]
async fn an_answer_can_be_late_for_some_methods_and_some_times() {
    let client = Client::start().await;
    let slow = json!({ "fault": "slow", "ms": 200, "methods": ["getblockcount"], "times": 2 });
    client.simulate(slow).await;
    for (method, late) in [
        ("getbestblockhash", false),
        ("getblockcount", true),
        ("getblockcount", true),
        ("getblockcount", false),
    ] {
        let begin = Instant::now();
        client.ask(method, json!([])).await;
        assert_eq!(begin.elapsed() >= Duration::from_millis(200), late, "{method}");
    }
    assert_eq!(client.node.faults().active(), []);
}

#[tokio::test]
async fn an_answer_can_never_come() {
    let client = Client::start().await;
    client.simulate(json!({ "fault": "hang", "methods": "all", "times": 1 })).await;
    let body = json!({ "id": 1, "method": "getblockcount" });
    let request = client.http.post(client.server.url()).timeout(Duration::from_millis(300));
    let error = request.json(&body).send().await.expect_err("no answer");
    assert!(error.is_timeout(), "{error}");
    assert_eq!(client.count().await, 0);
}

#[tokio::test]
async fn a_status_can_come_without_json() {
    let client = Client::start().await;
    for status in [401, 403, 500, 503] {
        client.simulate(json!({ "fault": "status", "status": status, "times": 1 })).await;
        let (found, text) = client.post("getblockcount", json!([])).await.expect("a reply");
        assert_eq!(found, status);
        assert!(serde_json::from_str::<Value>(&text).is_err(), "{text}");
    }
}

#[tokio::test]
async fn errors_can_be_made_up() {
    let client = Client::start().await;
    let rows = [
        (json!({ "fault": "warm_up", "times": 1 }), -28, "Loading block index..."),
        (json!({ "fault": "error", "code": -9, "message": "no", "times": 1 }), -9, "no"),
    ];
    for (fault, code, words) in rows {
        client.simulate(fault).await;
        let (status, text) = client.post("getblockcount", json!([])).await.expect("a reply");
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(status, 500);
        assert_eq!(answer["error"], json!({ "code": code, "message": words }));
        assert_eq!(answer["id"], 7);
    }
}

#[tokio::test]
async fn an_answer_can_be_cut_or_the_connection_closed() {
    let client = Client::start().await;
    client.simulate(json!({ "fault": "half_reply", "times": 1 })).await;
    let error = client.post("getblockchaininfo", json!([])).await.expect_err("half a body");
    assert!(error.is_decode() || error.is_body(), "{error:?}");

    client.simulate(json!({ "fault": "half_json", "times": 1 })).await;
    let (status, text) = client.post("getblockchaininfo", json!([])).await.expect("a reply");
    assert_eq!(status, 200);
    assert!(text.starts_with('{') && serde_json::from_str::<Value>(&text).is_err(), "{text}");

    client.simulate(json!({ "fault": "closed", "times": 1 })).await;
    let error = client.post("getblockchaininfo", json!([])).await.expect_err("closed");
    assert!(!error.is_timeout() && !error.is_connect(), "{error:?}");
    assert_eq!(client.count().await, 0);
}

#[tokio::test]
async fn a_template_can_be_stale_while_the_chain_goes_on() {
    let client = Client::start().await;
    let template = json!([{ "rules": ["segwit"] }]);
    client.simulate(json!({ "action": "mine", "n": 1 })).await;
    let before = client.ask("getblocktemplate", template.clone()).await;
    client.simulate(json!({ "fault": "stale" })).await;
    client.simulate(json!({ "action": "mine", "n": 2 })).await;
    let stale = client.ask("getblocktemplate", template.clone()).await;
    assert_eq!(stale["result"]["previousblockhash"], before["result"]["previousblockhash"]);
    let info = client.ask("getblockchaininfo", json!([])).await;
    assert_eq!(info["result"]["blocks"], 3);
    client.simulate(json!({ "action": "clear" })).await;
    let well = client.ask("getblocktemplate", template).await;
    assert_eq!(well["result"]["previousblockhash"], info["result"]["bestblockhash"]);
}

#[tokio::test]
async fn a_long_poll_of_a_stale_node_ends_when_it_is_well() {
    let client = Client::start().await;
    client.simulate(json!({ "fault": "stale" })).await;
    let first = client.ask("getblocktemplate", json!([{ "rules": ["segwit"] }])).await;
    let id = first["result"]["longpollid"].clone();
    client.simulate(json!({ "action": "mine", "n": 1 })).await;
    let poll = json!([{ "rules": ["segwit"], "longpollid": id }]);
    let ends = async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        client.node.faults().clear();
    };
    let polled = async { tokio::join!(client.ask("getblocktemplate", poll), ends).0 };
    let answer = soon("the long poll", polled).await;
    assert_eq!(answer["result"]["height"], 2);
}

#[tokio::test]
async fn things_happen_to_the_chain() {
    let client = Client::start().await;
    let mined = client.simulate(json!({ "action": "mine", "n": 5 })).await;
    assert_eq!(mined["height"], 5);
    let old = client.ask("getblockhash", json!([3])).await["result"].clone();

    let mut tips = client.node.chain().tip();
    tips.mark_unchanged();
    let turned = client.simulate(json!({ "action": "reorg", "depth": 3 })).await;
    assert_eq!(turned["height"], 6);
    let gone = client.ask("getblockheader", json!([old])).await;
    assert_eq!(gone["result"]["confirmations"], -1);

    let before = turned["tip"].clone();
    for (times, same) in [(1, false), (2, true)] {
        let tip = client.ask("getbestblockhash", json!([])).await["result"].clone();
        let flapped = client.simulate(json!({ "action": "flap", "times": times })).await;
        assert_eq!(flapped["height"], 6, "of equal height");
        assert_eq!(flapped["tip"] == tip, same, "{times} changes");
    }
    let precious = client.ask("preciousblock", json!([before])).await;
    assert_eq!(precious["result"], Value::Null);
    assert_eq!(client.ask("getbestblockhash", json!([])).await["result"], before);
}

#[tokio::test]
async fn the_clock_and_the_words_about_the_download_can_be_wrong() {
    let client = Client::start().await;
    let ask = json!([{ "rules": ["segwit"] }]);
    let right = client.ask("getblocktemplate", ask.clone()).await["result"]["curtime"].clone();
    client.simulate(json!({ "action": "clock_offset", "seconds": -3600 })).await;
    let slow = client.ask("getblocktemplate", ask.clone()).await["result"]["curtime"].clone();
    assert_eq!(right.as_u64(), slow.as_u64().map(|time| time + 3600));

    client.simulate(json!({ "action": "initial_download", "value": true })).await;
    let info = client.ask("getblockchaininfo", json!([])).await;
    assert_eq!(info["result"]["initialblockdownload"], true);
    assert_eq!(client.ask("getblocktemplate", ask).await["error"]["code"], -10);
}

#[tokio::test]
async fn bad_arguments_are_told_with_their_field_and_what_would_be_right() {
    let client = Client::start().await;
    client.node.simulate(Action::Fault(FaultRule::always(Fault::Closed))).expect("set");
    let rows = [
        (json!({}), "\"fault\"", "either \\\"fault\\\" or \\\"action\\\""),
        (json!({ "fault": "slwo" }), "\"fault\" is \"slwo\"", "\"slow\" (ms)"),
        (json!({ "fault": "slow" }), "\"ms\" is null", "a whole number from 0"),
        (json!({ "fault": "slow", "ms": -1 }), "\"ms\" is -1", "a whole number from 0"),
        (json!({ "fault": "status", "status": 404 }), "\"status\" is 404", "401, 403, 500 or 503"),
        (json!({ "fault": "hang", "methods": 3 }), "\"methods\" is 3", "\"all\" or a list"),
        (json!({ "fault": "hang", "times": 0 }), "\"times\" is 0", "from 1"),
        (json!({ "action": "explode" }), "\"action\" is \"explode\"", "\"mine\" (n)"),
        (json!({ "action": "mine", "n": 0 }), "\"n\" is 0", "from 1 to 1000"),
        (json!({ "action": "reorg", "depth": 9 }), "\"depth\" is 9", "0 blocks above genesis"),
        (json!({ "action": "mining_disabled" }), "\"value\" is null", "true or false"),
    ];
    for (argument, field, right) in rows {
        // Not even a fault of all calls meets this one.
        let answer = client.ask("simulate", json!([argument])).await;
        let message = answer["error"]["message"].as_str().expect("an error");
        let right = right.replace('\\', "");
        assert!(message.contains(field) && message.contains(&right), "{argument}: {message}");
        assert_eq!(answer["error"]["code"], -8, "{argument}");
    }
}

#[tokio::test]
async fn a_node_restarts_at_its_address_and_asks_who_is_there() {
    let node = easy_node(&VirtualTime::starting());
    let login = || Some(("pool".to_owned(), "secret".to_owned()));
    let server = SimServer::start(node.clone(), "127.0.0.1:0", login()).await.expect("a port");
    let (address, url) = (server.address(), server.url());
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let post = |password: &'static str| {
        let body =
            json!([{ "id": 1, "method": "uptime" }, { "id": 2, "method": "getconnectioncount" }]);
        http.post(&url).basic_auth("pool", Some(password)).json(&body).send()
    };
    assert_eq!(post("wrong").await.expect("a reply").status(), 401);
    let answers: Value = post("secret").await.expect("a reply").json().await.expect("JSON");
    assert_eq!(answers[1], json!({ "result": 0, "error": null, "id": 2 }));
    assert!(answers[0]["result"].is_u64());

    server.stop().await;
    assert!(post("secret").await.expect_err("nobody there").is_connect());
    let again = SimServer::start(node, address, login()).await.expect("the same port");
    assert_eq!(post("secret").await.expect("a reply").status(), 200);
    let get = http.get(again.url()).basic_auth("pool", Some("secret")).send().await;
    assert_eq!(get.expect("a reply").status(), 405);
}

#[tokio::test]
async fn http_status_follows_the_error_as_in_bitcoin_core() {
    let client = Client::start().await;
    let post = |path: &str, body: String| {
        client.http.post(format!("{}{path}", client.server.url())).body(body).send()
    };
    let rows = [
        (r#"{"method":"getblockcount","id":"k"}"#, 200),
        (r#"[{"method":"getblockcount","params":[],"id":1}]"#, 200),
        (r#"{"method":"gone","id":1}"#, 404),
        (r#"{"id":1}"#, 400),
        (r#"{"method":"getblock","params":["00"],"id":1}"#, 500),
        ("{not json", 500),
        ("", 500),
    ];
    for (body, status) in rows {
        let answer = post("/", body.to_owned()).await.expect("a reply");
        assert_eq!(answer.status(), status, "{body}");
    }
    assert_eq!(post("/other", String::new()).await.expect("a reply").status(), 404);
    // A block of 4 MB in hex.
    let block = format!(r#"{{"method":"submitblock","params":["{}"]}}"#, "0".repeat(8 << 20));
    let answer = post("/wallet/w", block).await.expect("a reply").text().await.expect("a body");
    assert!(answer.contains("Block decode failed"), "{answer}");
}
