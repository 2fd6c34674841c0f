//! Jobs, blocks and conversations recorded from real nodes and miners: see the README in
//! `tests/golden` of the workspace.

mod mine;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chimera_pow::Algorithm;
use chimera_stratum::{
    AuthAnswer, Effect, NotifyLine, Outbox, Seat, Session, SessionConfig, SessionId,
};
use chimera_work::{Extranonce1, ExtranonceLease, Job, JobId, NonceLayout, Template, WorkerId};
use serde_json::{Value, json};

/// The extranonce1 of every recording.
const EXTRANONCE1: Extranonce1 = Extranonce1([0x0a, 0x0b, 0x0c, 0x0d]);

/// The version bits a miner may roll on Verge: BIP 320's without those of the algorithm.
const ROLLABLE: u32 = 0x1fff_8000;

/// t6: prevhash has each 4-byte word reversed; version, nbits and ntime are big-endian hex;
/// and the answer a miner gave leads to the block the node accepted, byte for byte.
#[test]
fn t6_the_notify_of_a_template_is_the_recorded_one_and_its_answer_the_accepted_block() {
    let files = golden("json");
    assert_eq!(files.len(), 7);
    for file in files {
        let name = file.display().to_string();
        let golden: Value = serde_json::from_str(&read(&file)).expect("golden data is JSON");
        let job = Arc::new(Job::recorded(JobId(0x100), Arc::new(template_of(&golden)), true));
        let (mut session, mut out) = (mining(mine::config()), Outbox::default());
        session.new_job(&Arc::new(NotifyLine::new(job)), &mut out);

        let text = String::from_utf8(std::mem::take(&mut out.bytes)).expect("the pool says UTF-8");
        let notify: Value = serde_json::from_str(text.lines().last().expect("a job was sent"))
            .expect("the pool says JSON");
        let recorded = &golden["notify"];
        let fields = ["prevhash", "coinb1", "coinb2", "merkle_branch", "version", "nbits", "ntime"];
        let mut expected: Vec<Value> = fields.map(|field| recorded[field].clone()).to_vec();
        expected.insert(0, json!("100"));
        // One recording rolled version bits: the pool offers the version without them.
        let version = u32::from_str_radix(text_of(&recorded["version"]), 16).expect("hex");
        expected[5] = json!(format!("{:08x}", version & !ROLLABLE));
        expected.push(json!(true));
        assert_eq!(notify["params"], Value::Array(expected), "{name}");

        let header = hex::decode(text_of(&golden["header"])).expect("golden hex is good");
        let solution = submit_recorded(&mut session, &golden, &header, &mut out);
        assert_eq!(solution.header.as_slice(), header, "{name}");
        assert_eq!(solution.hash.to_string(), text_of(&golden["pow_hash"]), "{name}");
        let commitment = hex::encode(&solution.commitment);
        let coinbase = [
            text_of(&recorded["coinb1"]),
            "0a0b0c0d0001020304050607",
            text_of(&recorded["coinb2"]),
        ];
        assert_eq!(commitment, coinbase.concat(), "{name}");
    }
}

/// What a chain adapter makes of a recorded template; the split of the coinbase is the
/// recording's.
fn template_of(golden: &Value) -> Template {
    let (template, notify) = (&golden["template"], &golden["notify"]);
    let mut previous = hex::decode(text_of(&template["previousblockhash"])).expect("hex");
    previous.reverse();
    let time = number(&template["curtime"]);
    let algorithm = match text_of(&golden["note"]).starts_with("Bitcoin Core") {
        true => Algorithm::Sha256d,
        false => Algorithm::Blake2s,
    };
    let notify = ["", "prevhash", "coinb1", "coinb2", "merkle_branch", "version", "nbits", "ntime"]
        .map(|field| notify[field].clone());
    Template {
        previous: previous.try_into().expect("a hash has 32 bytes"),
        version: number(&template["version"]),
        time,
        time_min: number(&template["mintime"]),
        time_max: time + 600,
        ..mine::recorded(algorithm, &Value::Array(notify.to_vec()))
    }
}

/// Sends the recorded answer; returns the possible block that comes of it.
fn submit_recorded(
    session: &mut Session,
    golden: &Value,
    header: &[u8],
    out: &mut Outbox,
) -> chimera_work::Solution {
    let answer = &golden["submit"];
    let mut params = vec![json!("alice.rig1"), json!("100")];
    params.extend(["extranonce2", "ntime", "nonce"].map(|field| answer[field].clone()));
    let version: [u8; 4] = header[..4].try_into().expect("four bytes");
    let rolled = u32::from_le_bytes(version) & ROLLABLE;
    if rolled != 0 {
        let options = json!([["version-rolling"], {"version-rolling.mask": "1fff8000"}]);
        say(session, &json!({"id": 3, "method": "mining.configure", "params": options}), out);
        params.push(json!(format!("{rolled:08x}")));
    }
    out.clear();
    say(session, &json!({"id": 4, "method": "mining.submit", "params": params}), out);
    match out.effects.remove(0) {
        Effect::Found(solution) => *solution,
        other => panic!("not a possible block first: {other:?}"),
    }
}

/// Every share of the transcripts meets the difficulty of its job, whatever the recording
/// server answered; each connection is a new session here.
#[test]
fn every_share_real_miners_sent_is_credited() {
    for file in golden("txt") {
        let mut credited = 0;
        for connection in read(&file).split("# connection ").skip(1) {
            let mut replay = Replay::new(&file);
            let shares = replay.run(connection);
            assert!(shares.iter().all(|share| *share), "{}: {shares:?}", file.display());
            credited += shares.len();
        }
        assert!(credited >= 8, "{} has shares", file.display());
    }
}

/// t3: when the second connection resumes the first one's session, the shares it repeats
/// are duplicates; cpuminer-opt repeats its first three, the others went on.
#[test]
fn t3_duplicates_are_caught_across_a_reconnect_of_real_miners() {
    for file in golden("txt") {
        let repeats = file.to_string_lossy().contains("cpuminer-opt");
        let recording = read(&file);
        let connections: Vec<&str> = recording.split("# connection ").skip(1).collect();
        let mut replay = Replay::new(&file);
        assert!(replay.run(connections[0]).iter().all(|share| *share));
        replay.reconnect();
        let shares = replay.run(connections[1]);
        assert!(!shares.is_empty());
        assert!(shares.iter().all(|share| *share != repeats), "{}: {shares:?}", file.display());
    }
}

/// A transcript played again: the miner's lines as they were, the server's jobs and
/// difficulties as inputs from the host.
struct Replay {
    algorithm: Algorithm,
    session: Session,
    resumed: bool,
    out: Outbox,
}

impl Replay {
    fn new(file: &Path) -> Self {
        let sha256d = file.to_string_lossy().contains("sha256d");
        let algorithm = if sha256d { Algorithm::Sha256d } else { Algorithm::Blake2s };
        let session = mining(mine::config());
        Self { algorithm, session, resumed: false, out: Outbox::default() }
    }

    /// The connection breaks; the miner comes back with its session id.
    fn reconnect(&mut self) {
        let seat = std::mem::replace(&mut self.session, Session::new(mine::config(), 0))
            .park()
            .expect("it had a seat");
        start(&mut self.session, seat);
        self.resumed = true;
    }

    /// Plays one connection; tells of each share whether it was credited.
    fn run(&mut self, connection: &str) -> Vec<bool> {
        let mut shares = Vec::new();
        for line in connection.lines() {
            let Some((who, json)) = line.split_once(' ') else { continue };
            let Ok(mut message) = serde_json::from_str::<Value>(json) else { continue };
            match (who, message["method"].as_str()) {
                ("<", Some("mining.set_difficulty")) => {
                    let difficulty = message["params"][0].as_f64().expect("a number");
                    self.session.retarget(mine::difficulty(difficulty), &mut self.out);
                }
                // A resumed session has the jobs it was issued before.
                ("<", Some("mining.notify")) if !self.resumed => self.issue(&message["params"]),
                (">", Some("mining.submit")) => {
                    message["params"][1] = json!(number_of(&message["params"][1]));
                    self.out.clear();
                    say(&mut self.session, &message, &mut self.out);
                    let credited =
                        self.out.effects.iter().any(|effect| matches!(effect, Effect::Credit(_)));
                    shares.push(credited);
                }
                // Answers to the pool's requests have no method.
                (">", Some("mining.extranonce.subscribe") | None) => {
                    say(&mut self.session, &message, &mut self.out);
                }
                _ => {}
            }
            self.session.durable(1, &mut self.out);
        }
        assert_eq!(self.session.counters().faults, 0);
        shares
    }

    fn issue(&mut self, params: &Value) {
        let id = JobId::parse(&number_of(&params[0])).expect("a job id");
        let template = Arc::new(mine::recorded(self.algorithm, params));
        let clean = params[8].as_bool().expect("clean is the last parameter");
        let notify = NotifyLine::new(Arc::new(Job::recorded(id, template, clean)));
        self.session.new_job(&Arc::new(notify), &mut self.out);
    }
}

/// Recorded ids are 1, 2, 3; the low byte of ours numbers a session's own reissues.
fn number_of(recorded: &Value) -> String {
    format!("{}00", text_of(recorded))
}

/// A session that only lacks a job.
fn mining(config: SessionConfig) -> Session {
    let mut session = Session::new(config, 0);
    let lease = ExtranonceLease::recorded(EXTRANONCE1);
    start(&mut session, Seat::new(SessionId(0x51), lease, NonceLayout::DEFAULT));
    session
}

fn start(session: &mut Session, seat: Seat) {
    let mut out = Outbox::default();
    session.handle_line(br#"{"id":1,"method":"mining.subscribe","params":["m"]}"#, &mut out);
    session.subscribed(seat, &mut out);
    let authorize = br#"{"id":2,"method":"mining.authorize","params":["alice.rig1","x"]}"#;
    session.handle_line(authorize, &mut out);
    let Some(Effect::Authorize(login)) = out.effects.pop() else { panic!("a login") };
    let answer = AuthAnswer::Allow { worker: WorkerId(7), difficulty: None };
    session.authorized(login.ticket, answer, &mut out);
}

fn say(session: &mut Session, message: &Value, out: &mut Outbox) {
    session.handle_line(message.to_string().as_bytes(), out);
}

fn golden(extension: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/golden");
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .expect("golden data is in the repository")
        .map(|entry| entry.expect("the directory can be read").path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    files
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).expect("golden data is text")
}

fn text_of(value: &Value) -> &str {
    value.as_str().expect("golden data has the field")
}

fn number(value: &Value) -> u32 {
    value.as_u64().and_then(|number| number.try_into().ok()).expect("a 32-bit number")
}
