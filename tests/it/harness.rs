//! A real pool on real sockets, and a miner that says exactly what a test wants.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use chimera::config::Config;
use chimera::miner::{Found, MinerJob, Subscription, scan};
use chimera::pool::Pool;
use chimera_pow::{Algorithm, Difficulty};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long a test waits for something that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How long totals may stay behind the share log before a test takes them as they are.
const TOTALS_WAIT: Duration = Duration::from_secs(10);

/// Settings of a pool for tests: free ports, blocks every second, rewards ripe at once.
pub(crate) fn settings(data_dir: &std::path::Path) -> Vec<(String, String)> {
    [
        ("POOL__DATA_DIR", data_dir.to_str().expect("a temporary path is text")),
        ("STRATUM__LISTEN", "127.0.0.1:0"),
        ("API__LISTEN", "127.0.0.1:0"),
        ("CHAIN__SPACING_S", "1"),
        ("CHAIN__MATURITY", "2"),
        ("PAYOUT__SETTLE_INTERVAL_S", "1"),
        // These pools run inside the test's program, which does not settle.
        ("PAYOUT__SETTLE_PROGRAM", env!("CARGO_BIN_EXE_chimera")),
        ("DIFFICULTY__STRATEGY", "difficulty-fixed"),
        ("DIFFICULTY__CONFIG", "{ difficulty = \"0.000001\" }"),
    ]
    .map(|(key, value)| (format!("CHIMERA_{key}"), value.to_owned()))
    .into()
}

/// A pool inside the test, stopped when asked.
pub(crate) struct TestPool {
    pub(crate) stratum: SocketAddr,
    /// Further doors, in the order of the settings.
    pub(crate) doors: Vec<SocketAddr>,
    pub(crate) api: String,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), chimera::pool::RunError>>,
    pub(crate) dir: TempDir,
}

impl TestPool {
    /// Starts a pool with [`settings`] and what the test changes of them.
    pub(crate) async fn start(changes: &[(&str, &str)]) -> Self {
        Self::start_in(TempDir::new().expect("a temporary directory"), changes).await
    }

    /// Starts a pool on the data of another.
    pub(crate) async fn start_in(dir: TempDir, changes: &[(&str, &str)]) -> Self {
        let pool = Pool::bind(config(&dir, changes)).await.expect("the pool starts");
        let addresses = pool.addresses().clone();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(pool.run(shutdown.clone()));
        Self {
            stratum: addresses.stratum,
            doors: addresses.more_doors,
            api: format!("http://{}", addresses.api),
            shutdown,
            task,
            dir,
        }
    }

    /// Stops it in order and gives its data back.
    pub(crate) async fn stop(self) -> TempDir {
        self.shutdown.cancel();
        let ended = tokio::time::timeout(PATIENCE, self.task).await;
        ended.expect("a pool stops").expect("without a panic").expect("without an error");
        self.dir
    }

    /// Asks the API.
    pub(crate) async fn get(&self, route: &str) -> Value {
        let url = format!("{}/api/v1/{route}", self.api);
        let answer = reqwest::get(&url).await.expect("the API answers");
        answer.json().await.expect("in JSON")
    }

    /// Shares of some accounts on record. Totals follow the log within a second, later on a
    /// busy machine: they are asked for until they are as expected, or for a while.
    pub(crate) async fn shares(&self, accounts: &[&str], expected: u64) -> u64 {
        let deadline = tokio::time::Instant::now() + TOTALS_WAIT;
        loop {
            let mut shares = 0;
            for account in accounts {
                let miner = self.get(&format!("miners/{account}")).await;
                shares += miner["shares"].as_u64().unwrap_or(0);
            }
            if shares == expected || tokio::time::Instant::now() > deadline {
                return shares;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until a line is among the metrics, which are gathered every moment.
    pub(crate) async fn wait_for_metric(&self, line: &str) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let answer = reqwest::get(format!("{}/metrics", self.api)).await.expect("it answers");
            let page = answer.text().await.expect("text");
            if page.lines().any(|found| found == line) {
                return;
            }
            assert!(tokio::time::Instant::now() < deadline, "no {line} in {page}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Posts a request that changes something, with the pool's token; status and answer.
    pub(crate) async fn post(&self, route: &str, body: Value) -> (u16, Value) {
        self.request(reqwest::Method::POST, route, body).await
    }

    /// Asks for what only the pool's token opens; status and answer.
    pub(crate) async fn request(
        &self,
        method: reqwest::Method,
        route: &str,
        body: Value,
    ) -> (u16, Value) {
        // A pool that only just starts changes nothing yet.
        self.wait_for("status", |status| status["state"] == "running").await;
        let token = std::fs::read_to_string(self.dir.path().join("admin.token"));
        let url = format!("{}/api/v1/{route}", self.api);
        let request = reqwest::Client::new().request(method, &url).json(&body);
        let request = request.bearer_auth(token.expect("a token").trim());
        let answer = request.send().await.expect("the API answers");
        (answer.status().as_u16(), answer.json().await.expect("in JSON"))
    }

    /// Asks for a swap that must end well.
    pub(crate) async fn swap(&self, slot: &str, body: Value) -> Value {
        let (status, answer) = self.post(&format!("plugins/{slot}/swap"), body).await;
        assert_eq!(status, 200, "{answer:#}");
        let shown = |all: &Value| {
            let all = all["plugins"].as_array().expect("a list");
            let plugin = all.iter().find(|plugin| plugin["slot"] == slot).expect("filled");
            answer["outcome"] != "active" || plugin["generation"] == answer["generation"]
        };
        self.wait_for("plugins", shown).await;
        answer
    }

    /// Asks for a swap that must be refused; says why it was.
    pub(crate) async fn swap_refused(&self, slot: &str, body: Value) -> String {
        let (status, answer) = self.post(&format!("plugins/{slot}/swap"), body).await;
        assert_eq!((status, &answer["outcome"]), (409, &json!("refused")), "{answer:#}");
        answer["message"].as_str().expect("a reason").to_owned()
    }

    /// What fills a slot.
    pub(crate) async fn plugin(&self, slot: &str) -> Value {
        let answer = self.get("plugins").await;
        let all = answer["plugins"].as_array().expect("a list").clone();
        all.into_iter().find(|plugin| plugin["slot"] == slot).expect("every slot is filled")
    }

    /// Asks until the answer is as it must become.
    pub(crate) async fn wait_for(&self, route: &str, met: impl Fn(&Value) -> bool) -> Value {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let answer = self.get(route).await;
            if met(&answer) {
                return answer;
            }
            assert!(tokio::time::Instant::now() < deadline, "{route} stayed {answer:#}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The settings of a test's pool, checked.
pub(crate) fn config(dir: &TempDir, changes: &[(&str, &str)]) -> Config {
    let mut settings = settings(dir.path());
    settings
        .extend(changes.iter().map(|(key, value)| (format!("CHIMERA_{key}"), (*value).to_owned())));
    Config::parse("", &settings).expect("the test's settings are valid")
}

/// Connects as a machine with an address of its own: all of 127.0.0.0/8 are this one.
pub(crate) async fn connect_from(address: [u8; 4], pool: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("the system gives sockets");
    socket.bind((IpAddr::from(address), 0).into()).expect("it is this machine's");
    socket.connect(pool).await.expect("the pool listens")
}

/// A miner under a test's control, at a socket or what is laid over one.
pub(crate) struct Miner<S = TcpStream> {
    lines: BufReader<S>,
    pub(crate) user: String,
    pub(crate) subscription: Option<Subscription>,
    pub(crate) session_id: String,
    pub(crate) difficulty: Difficulty,
    pub(crate) job: Option<MinerJob>,
    /// Header time of the newest job, as it was sent.
    pub(crate) time: String,
    next_extranonce2: u128,
}

impl Miner {
    /// Connects and says nothing.
    pub(crate) async fn connect(pool: SocketAddr, user: &str) -> Self {
        Self::over(TcpStream::connect(pool).await.expect("the pool listens"), user)
    }

    /// Connects, subscribes, authorises, and waits for the first job.
    pub(crate) async fn start(pool: SocketAddr, user: &str) -> Self {
        let mut miner = Self::connect(pool, user).await;
        miner.begin().await;
        miner
    }

    /// Breaks the connection without a goodbye.
    pub(crate) fn reset(self) {
        let socket = self.lines.into_inner();
        socket2::SockRef::from(&socket)
            .set_linger(Some(Duration::ZERO))
            .expect("a socket can be told so");
    }

    /// The two directions, for sending and reading at once.
    pub(crate) fn split(self) -> (Reader, Writer) {
        let (reader, writer) = self.lines.into_inner().into_split();
        (Reader(BufReader::new(reader)), Writer(writer))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Miner<S> {
    /// A miner that has said nothing yet.
    pub(crate) fn over(socket: S, user: &str) -> Self {
        Self {
            lines: BufReader::new(socket),
            user: user.to_owned(),
            subscription: None,
            session_id: String::new(),
            difficulty: Difficulty::ONE,
            job: None,
            time: String::new(),
            next_extranonce2: 0,
        }
    }

    /// Subscribes, authorises, and waits for the first job.
    pub(crate) async fn begin(&mut self) {
        self.subscribe(None).await;
        assert_eq!(self.authorize().await["result"], true, "{} may mine", self.user);
        self.wait_for_job().await;
    }

    /// Subscribes, asking for the session of before if there was one.
    pub(crate) async fn subscribe(&mut self, resume: Option<&str>) -> Value {
        let params = resume.map_or(json!(["test/1"]), |id| json!(["test/1", id]));
        let answer = self.call(1, "mining.subscribe", params).await;
        let result = &answer["result"];
        self.subscription = Subscription::from_values(&result[1], &result[2]).ok();
        self.session_id = result[0][0][1].as_str().expect("a session id").to_owned();
        answer
    }

    /// Authorises its user.
    pub(crate) async fn authorize(&mut self) -> Value {
        let params = json!([self.user, "x"]);
        self.call(2, "mining.authorize", params).await
    }

    /// Sends a line.
    pub(crate) async fn send(&mut self, line: &str) {
        self.send_bytes(format!("{line}\n").as_bytes()).await;
    }

    /// Sends bytes that may be no line.
    pub(crate) async fn send_raw(&mut self, bytes: &[u8]) {
        self.lines.get_mut().write_all(bytes).await.expect("the pool reads");
    }

    /// Sends a request and gives its answer, minding what comes between.
    pub(crate) async fn call(&mut self, id: u64, method: &str, params: Value) -> Value {
        self.send(&json!({ "id": id, "method": method, "params": params }).to_string()).await;
        loop {
            let line = self.line().await.expect("the pool answers");
            if line["id"] == id && line.get("method").is_none() {
                return line;
            }
        }
    }

    /// The next line, as it is; `None` when the pool closed.
    pub(crate) async fn raw_line(&mut self) -> Option<Value> {
        read_line(&mut self.lines).await
    }

    /// The next line, noting jobs and difficulties; `None` when the pool closed.
    pub(crate) async fn line(&mut self) -> Option<Value> {
        let line = self.raw_line().await?;
        let params = &line["params"];
        if line["method"] == "mining.set_difficulty" {
            let number = params[0].as_f64().expect("a number");
            self.difficulty = Difficulty::new(number).expect("a difficulty");
        }
        if line["method"] == "mining.notify" {
            let fields = params.as_array().expect("parameters");
            let subscription = self.subscription.as_ref().expect("no job before subscribe");
            let job =
                MinerJob::from_notify(fields, subscription, self.difficulty, Algorithm::Blake2s);
            self.job = Some(job.expect("a job a miner understands"));
            self.time = fields[7].as_str().expect("a time").to_owned();
        }
        Some(line)
    }

    /// Waits until there is work.
    pub(crate) async fn wait_for_job(&mut self) {
        while self.job.is_none() {
            self.line().await.expect("the pool sends work");
        }
    }

    /// What the pool says before it closes: the text of the last error or message.
    pub(crate) async fn last_words(&mut self) -> String {
        let mut last = String::new();
        while let Some(line) = self.raw_line().await {
            let text = line["error"][1].as_str().or_else(|| line["params"][0].as_str());
            last = text.unwrap_or_default().to_owned();
        }
        last
    }

    /// Sends bytes as they are.
    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.lines.get_mut().write_all(bytes).await.expect("the pool reads");
        self.lines.get_mut().flush().await.expect("the pool reads");
    }

    /// Takes what has arrived without waiting.
    pub(crate) async fn catch_up(&mut self) {
        while let Ok(true) = tokio::time::timeout(Duration::from_millis(1), async {
            self.lines.fill_buf().await.is_ok_and(|bytes| bytes.contains(&b'\n'))
        })
        .await
        {
            self.line().await;
        }
    }

    /// Finds one share of the current job; each call looks at new work.
    pub(crate) fn find_share(&mut self) -> (MinerJob, Found) {
        let job = self.job.clone().expect("there is a job");
        loop {
            self.next_extranonce2 += 1;
            if let Some(found) = scan(&job, self.next_extranonce2, 0..1_000_000) {
                return (job, found);
            }
        }
    }

    /// The line that submits a share.
    pub(crate) fn submit_line(&self, id: u64, job: &MinerJob, found: &Found) -> String {
        let params = job.submit_params(&self.user, found);
        json!({ "id": id, "method": "mining.submit", "params": params }).to_string()
    }

    /// Finds and submits one share of the newest job; the pool's answer.
    pub(crate) async fn mine_share(&mut self) -> Value {
        self.catch_up().await;
        let (job, found) = self.find_share();
        let params = job.submit_params(&self.user, &found);
        self.call(4, "mining.submit", params).await
    }

    /// Mines until so many shares were accepted.
    pub(crate) async fn mine(&mut self, shares: usize) {
        let mut accepted = 0;
        while accepted < shares {
            accepted += usize::from(self.mine_share().await["result"] == true);
        }
    }
}

/// What the pool says to a miner.
pub(crate) struct Reader(BufReader<OwnedReadHalf>);

/// What a miner says to the pool.
pub(crate) struct Writer(OwnedWriteHalf);

impl Reader {
    /// The next line, as it is; `None` when the pool closed.
    pub(crate) async fn raw_line(&mut self) -> Option<Value> {
        read_line(&mut self.0).await
    }
}

impl Writer {
    /// Says that nothing more will come.
    pub(crate) async fn close(&mut self) {
        self.0.shutdown().await.expect("the socket is open");
    }

    /// Sends bytes to a pool that may have closed.
    pub(crate) async fn try_send_bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes).await
    }

    /// Sends a line.
    pub(crate) async fn send(&mut self, line: &str) {
        self.0.write_all(format!("{line}\n").as_bytes()).await.expect("the pool reads");
    }
}

async fn read_line(lines: &mut (impl AsyncBufRead + Unpin)) -> Option<Value> {
    let mut text = String::new();
    let read = tokio::time::timeout(PATIENCE, lines.read_line(&mut text)).await;
    // A connection may break in the middle of a line.
    if read.expect("a line in time").is_err() || !text.ends_with('\n') {
        return None;
    }
    Some(serde_json::from_str(&text).expect("every line is JSON"))
}
