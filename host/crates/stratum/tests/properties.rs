//! What holds for every input: nothing panics, nobody is dropped without cause, memory is
//! bounded, every request is answered in its order.

mod mine;

use std::sync::Arc;

use chimera_stratum::{
    AuthAnswer, Effect, LINE_BYTES_MAX, Line, LineBuffer, NotifyLine, Outbox, PENDING_REPLIES_MAX,
    Seat, Session, SessionConfig, SessionId, WORKERS_MAX,
};
use chimera_work::{Extranonce1, ExtranonceLease, Job, NonceLayout, WorkerId};
use proptest::prelude::*;
use serde_json::Value;

const EXTRANONCE1: Extranonce1 = Extranonce1([1, 2, 3, 4]);

/// A session that mines job 101, and that job.
fn mining() -> (Session, Arc<Job>) {
    let mut session = start(mine::config(), 1e12);
    session.retarget(mine::difficulty(1e-9), &mut Outbox::default());
    let job = mine::job(0x100, mine::template(1, 1e12), true).reissue(1);
    (session, Arc::new(job.expect("the first reissue")))
}

/// A session that mines job 100, whose block takes `network`.
fn start(config: SessionConfig, network: f64) -> Session {
    let mut session = Session::new(config, 0);
    let mut out = Outbox::default();
    let job = mine::job(0x100, mine::template(1, network), true);
    session.new_job(&Arc::new(NotifyLine::new(job)), &mut out);
    session.handle_line(br#"{"id":1,"method":"mining.subscribe"}"#, &mut out);
    let lease = ExtranonceLease::recorded(EXTRANONCE1);
    session.subscribed(Seat::new(SessionId(1), lease, NonceLayout::DEFAULT), &mut out);
    session.handle_line(br#"{"id":2,"method":"mining.authorize","params":["a"]}"#, &mut out);
    let Some(Effect::Authorize(login)) = out.effects.pop() else { panic!("a login") };
    let answer = AuthAnswer::Allow { worker: WorkerId(7), difficulty: None };
    session.authorized(login.ticket, answer, &mut out);
    assert!(session.is_mining());
    session
}

fn submit(id: usize, nonce: u32) -> String {
    format!(
        r#"{{"id":{id},"method":"mining.submit","params":["a","101","0000000000000000","6b00b23c","{nonce:08x}"]}}"#
    )
}

/// Every reply has the three keys, every notification a method.
fn check_written(bytes: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(bytes).expect("the pool says UTF-8");
    assert!(text.is_empty() || text.ends_with('\n'));
    let lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("the pool says JSON")).collect();
    for line in &lines {
        let has = |key| line.get(key).is_some();
        assert!(has("id") && (has("method") || has("result") && has("error")), "{line}");
        if let Some(error) = line.get("error").and_then(Value::as_array) {
            let code = error[0].as_u64().expect("the code is a number");
            assert!((20..=25).contains(&code) && error.len() == 3, "{line}");
        }
    }
    lines
}

/// t14: as many replies as requests, in their order, while the host commits in batches and
/// reads no more than the session wants.
#[test]
fn t14_ten_thousand_pipelined_submits_get_as_many_replies_in_order() {
    const SUBMITS: usize = 10_000;
    let (mut session, job) = mining();
    let nonces: Vec<u32> = (0..SUBMITS / 2)
        .scan(0, |from, _| {
            let nonce = (*from..).find(|&nonce| meets(&job, nonce)).expect("one in four");
            *from = nonce + 1;
            Some(nonce)
        })
        .collect();
    // Each share is sent twice: one half is accepted, the other is refused.
    let stream: String =
        (0..SUBMITS).map(|index| submit(index, nonces[index / 2]) + "\n").collect();
    let (mut lines, mut out, mut written) = (LineBuffer::default(), Outbox::default(), Vec::new());
    let (mut unsent, mut uncommitted, mut most_waiting) = (stream.as_bytes(), 0, 0);
    while !unsent.is_empty() || uncommitted > 0 {
        while session.wants_input() {
            let Some(line) = lines.next_line() else {
                let space = lines.space();
                let count = space.len().min(unsent.len());
                space[..count].copy_from_slice(&unsent[..count]);
                unsent = &unsent[count..];
                lines.filled(count);
                if count == 0 {
                    break;
                }
                continue;
            };
            let Line::Text(line) = line else { panic!("a submit is short") };
            session.handle_line(line, &mut out);
            uncommitted += u32::try_from(out.effects.drain(..).count()).expect("few");
            most_waiting = most_waiting.max(uncommitted);
        }
        // A commit finishes: an odd number, so that batches and replies never line up.
        let batch = uncommitted.min(333);
        session.durable(batch, &mut out);
        uncommitted -= batch;
        written.append(&mut out.bytes);
    }
    let replies = check_written(&written);
    assert_eq!(replies.len(), SUBMITS);
    for (index, reply) in replies.iter().enumerate() {
        assert_eq!(reply["id"], index, "in the order of the requests");
        let accepted = index % 2 == 0;
        assert_eq!(reply["result"] == true, accepted, "{reply}");
        assert_eq!(reply["error"][0] == 22, !accepted, "{reply}");
    }
    assert!(most_waiting as usize <= PENDING_REPLIES_MAX);
    assert!(most_waiting > 333, "the bound was reached, so it was tested");
}

fn meets(job: &Job, nonce: u32) -> bool {
    use chimera_work::{Extranonce2, Submission, judge_header};
    let submission = Submission {
        worker: WorkerId(0),
        job: job.id(),
        extranonce2: Extranonce2::new(&[0; 8]).expect("short"),
        time: mine::TIME,
        nonce,
        version_bits: None,
    };
    let header = judge_header(job, EXTRANONCE1, 8, 0, &submission).expect("it fits the job");
    let target = mine::difficulty(1e-9).target();
    target.is_met_by(&job.template().algorithm.hash(&header))
}

/// Junk is answered and weighed one by one, however much there is; what becomes of whoever sends
/// it is the host's to decide.
#[test]
fn every_piece_of_junk_weighs_one_point() {
    const JUNK: u64 = 3_000;
    let (mut session, _) = mining();
    let mut out = Outbox::default();
    for _ in 0..JUNK {
        session.handle_line(b"junk", &mut out);
        session.handle_line(br#"{"id":1,"method":"mining.ping"}"#, &mut out);
        session.line_too_long(&mut out);
    }
    assert!(out.effects.is_empty() && session.wants_input());
    let counters = session.counters();
    assert_eq!((counters.faults, counters.points), (2 * JUNK, 2 * JUNK));
}

/// Cheat 16: a flood of hashes below the target is refused one by one, is remembered nowhere,
/// and each weighs a point.
#[test]
fn cheat_16_a_flood_of_low_difficulty_shares_is_weighed() {
    const FLOOD: u32 = 1_000;
    let (mut session, job) = mining();
    let mut out = Outbox::default();
    let bad = (0..u32::MAX).filter(|&nonce| !meets(&job, nonce)).take(FLOOD as usize);
    for nonce in bad {
        session.handle_line(submit(4, nonce).as_bytes(), &mut out);
    }
    assert!(out.effects.is_empty());
    let counters = session.counters();
    assert_eq!((counters.low_difficulty, counters.points), (FLOOD.into(), FLOOD.into()));
    assert_eq!(check_written(&out.bytes).len(), FLOOD as usize);
}

/// A miner on a stale job is not misbehaving.
#[test]
fn stale_shares_weigh_nothing() {
    const LATE: u32 = 2_000;
    let (mut session, _) = mining();
    let mut out = Outbox::default();
    for nonce in 0..LATE {
        let line = submit(4, nonce).replace("\"101\"", "\"900\"");
        session.handle_line(line.as_bytes(), &mut out);
    }
    assert!(out.effects.is_empty() && session.wants_input());
    assert_eq!((session.counters().stale, session.counters().points), (LATE.into(), 0));
}

/// A connection can make the pool remember only so many names.
#[test]
fn one_worker_too_many_is_refused() {
    let (mut session, _) = mining();
    let mut out = Outbox::default();
    // One is there already.
    for n in 0..WORKERS_MAX {
        let line = format!(r#"{{"id":{n},"method":"mining.authorize","params":["b{n}"]}}"#);
        session.handle_line(line.as_bytes(), &mut out);
        for effect in std::mem::take(&mut out.effects) {
            let Effect::Authorize(login) = effect else { panic!("a login") };
            let answer = AuthAnswer::Allow { worker: WorkerId(8), difficulty: None };
            session.authorized(login.ticket, answer, &mut out);
        }
    }
    assert_eq!(session.workers().count(), WORKERS_MAX);
    let replies = check_written(&out.bytes);
    let (last, others) = replies.split_last().expect("all were answered");
    assert!(others.iter().all(|reply| reply["result"] == true));
    assert_eq!(last["error"][1], "more than 1024 workers on one connection");
}

/// Changes of difficulty between two jobs, many more than any strategy or miner has use for.
fn storm(session: &mut Session, changes: impl Iterator<Item = u32>, out: &mut Outbox) {
    for n in changes {
        if n % 2 == 0 {
            session.retarget(mine::difficulty(n.into()), out);
        } else {
            let line =
                format!(r#"{{"id":{n},"method":"mining.suggest_difficulty","params":[{n}]}}"#);
            session.handle_line(line.as_bytes(), out);
        }
    }
}

/// A storm of retargets and suggestions neither floods the miner nor takes the work it has in
/// flight from it; the difficulty asked for last is told with the next job.
#[test]
fn a_storm_of_retargets_issues_eight_jobs_and_then_waits() {
    let (mut session, job) = mining();
    let good = (0..).find(|&nonce| meets(&job, nonce)).expect("one in four");
    let mut out = Outbox::default();
    storm(&mut session, 1..=1000, &mut out);
    let lines = check_written(&out.bytes);
    let count = |method| lines.iter().filter(|line| line["method"] == method).count();
    assert_eq!(count("mining.notify"), 7, "eight, and one was told before");
    assert_eq!(count("mining.set_difficulty"), 7, "one before each");
    assert!(out.bytes.len() < 60_000, "{} bytes, most of them replies", out.bytes.len());
    session.handle_line(submit(4, good).as_bytes(), &mut out);
    assert!(matches!(out.effects.as_slice(), [Effect::Credit(_)]), "{:?}", out.effects);
    session.durable(1, &mut out);

    out.clear();
    let job = mine::job(0x200, mine::template(1, 1e12), false);
    session.new_job(&Arc::new(NotifyLine::new(job)), &mut out);
    let lines = check_written(&out.bytes);
    assert_eq!(
        (lines.len(), &lines[0]["params"][0], &lines[1]["params"][0]),
        (2, &1000.into(), &"200".into())
    );
    assert_eq!(session.difficulty(), Some(mine::difficulty(1000.0)));
}

/// On a chain without news a storm must not leave a session at a wrong difficulty for ever: the
/// next look of the strategy lets it go on.
#[test]
fn after_a_storm_the_strategy_can_go_on() {
    let (mut session, _) = mining();
    let mut out = Outbox::default();
    storm(&mut session, 1..=1000, &mut out);
    out.clear();
    session.measured(5_000);
    session.retarget(mine::difficulty(1e-6), &mut out);
    let lines = check_written(&out.bytes);
    assert_eq!((lines.len(), &lines[0]["params"][0]), (2, &1e-6.into()));
}

/// Every number the pool says as a difficulty is the one it judges by: all digits, no exponent,
/// and no point from 1 upward.
#[test]
fn a_difficulty_is_said_with_all_its_digits() {
    for (wanted, said) in [
        (1e-9, "0.000000001"),
        (1e-7, "0.0000001"),
        (1.0 / 3.0, "0.3333333333333333"),
        (0.999_999_999_999_999_9, "0.9999999999999999"),
        (1.0, "1"),
        (16_383.75, "16383"),
        (4_294_967_296.0, "4294967296"),
        // The shortest digits that mean 2^60.
        (2_f64.powi(60), "1152921504606847000"),
    ] {
        let mut config = mine::config();
        config.difficulty.max = mine::difficulty(1e30);
        let (mut session, mut out) = (start(config, 1e30), Outbox::default());
        session.retarget(mine::difficulty(wanted), &mut out);
        let text = String::from_utf8(out.bytes).expect("the pool says UTF-8");
        let line = format!(r#"{{"id":null,"method":"mining.set_difficulty","params":[{said}]}}"#);
        assert_eq!(text.lines().next(), Some(line.as_str()), "{wanted}");
        let judged_by = session.difficulty().map(chimera_pow::Difficulty::get);
        assert_eq!(judged_by, said.parse().ok(), "{wanted}");
    }
}

/// What the strategy is asked with is what happened since it was last asked.
#[test]
fn a_measure_counts_shares_of_its_window() {
    let (mut session, job) = mining();
    let mut out = Outbox::default();
    let good: Vec<u32> = (0..).filter(|&nonce| meets(&job, nonce)).take(3).collect();
    let bad = (0..).find(|&nonce| !meets(&job, nonce)).expect("three in four");
    for nonce in [good[0], good[1], bad, good[0]] {
        session.handle_line(submit(4, nonce).as_bytes(), &mut out);
    }
    session.handle_line(submit(4, 0).replace("\"101\"", "\"900\"").as_bytes(), &mut out);
    let unit = mine::difficulty(1e-9).to_units();
    let measure = session.measure(5_000);
    assert_eq!((measure.accepted, measure.stale, measure.rejected), (2, 1, 2));
    assert_eq!((measure.current, measure.accepted_difficulty), (unit, 2 * unit));
    assert_eq!((measure.window_ms, measure.connected_ms), (5_000, 5_000));
    session.measured(5_000);
    session.handle_line(submit(4, good[2]).as_bytes(), &mut out);
    let measure = session.measure(6_000);
    assert_eq!((measure.accepted, measure.stale, measure.rejected), (1, 0, 0));
    assert_eq!((measure.window_ms, measure.connected_ms), (1_000, 6_000));
}

/// Lines that look like requests, more or less.
fn almost_a_request() -> impl Strategy<Value = Vec<u8>> {
    let method = prop::sample::select(vec![
        "mining.subscribe",
        "mining.authorize",
        "mining.submit",
        "mining.configure",
        "mining.extranonce.subscribe",
        "mining.suggest_difficulty",
        "mining.suggest_difficulty(1)",
        "mining.suggest_target",
        "mining.get_transactions",
        "mining.set_goal",
        "client.get_version",
    ]);
    let param = prop::sample::select(vec![
        "null",
        "\"a\"",
        "\"101\"",
        "\"0000000000000000\"",
        "\"6b00b23c\"",
        "\"00000000\"",
        "1",
        "-1e308",
        "[\"version-rolling\",\"x\"]",
        "{\"version-rolling.mask\":\"1fffe000\"}",
        "\"\\ud800\"",
        "\"\\u0061\"",
        "[[[[]]]]",
    ]);
    let id = prop::sample::select(vec!["1", "null", "\"x\"", "1.5", "{}", "[1]"]);
    (id, method, prop::collection::vec(param, 0..8)).prop_map(|(id, method, params)| {
        let params = params.join(",");
        format!(r#"{{"id":{id},"method":"{method}","params":[{params}]}}"#).into_bytes()
    })
}

/// Such lines with a byte changed, and bytes without any sense.
fn any_line() -> impl Strategy<Value = Vec<u8>> {
    let damaged = (almost_a_request(), any::<prop::sample::Index>(), any::<u8>());
    prop_oneof![
        4 => almost_a_request(),
        2 => damaged.prop_map(|(mut line, at, byte)| {
            let at = at.index(line.len());
            line[at] = byte;
            line
        }),
        1 => prop::collection::vec(any::<u8>(), 0..200),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever comes, in whatever state: no panic, well-formed lines, nobody is dropped.
    #[test]
    fn no_input_panics_or_ends_a_session(
        input in prop::collection::vec(any_line(), 0..60),
        begun in any::<bool>(),
    ) {
        let mut session = if begun { mining().0 } else { Session::new(mine::config(), 0) };
        let mut out = Outbox::default();
        for line in &input {
            session.handle_line(line, &mut out);
        }
        session.not_durable(u32::MAX, &mut out);
        check_written(&out.bytes);
        prop_assert!(session.wants_input());
    }

    /// How the bytes are cut on their way makes no difference, nor does the kind of line end.
    #[test]
    fn lines_are_the_same_however_they_arrive(
        lines in prop::collection::vec("[a-z]{0,40}|x{4090,4100}|x{9000}", 0..12),
        cuts in prop::collection::vec(1_usize..5000, 1..20),
        crlf in any::<bool>(),
    ) {
        let end = if crlf { "\r\n" } else { "\n" };
        let stream: String = lines.iter().map(|line| line.clone() + end).collect();
        // The end of the line counts towards the limit.
        let expected: Vec<Option<&str>> = lines
            .iter()
            .filter(|line| !line.is_empty())
            .map(|line| (line.len() + end.len() <= LINE_BYTES_MAX).then_some(line.as_str()))
            .collect();
        let (mut buffer, mut found) = (LineBuffer::default(), Vec::new());
        let mut unsent = stream.as_bytes();
        for cut in cuts.iter().cycle() {
            let space = buffer.space();
            prop_assert!(!space.is_empty() && space.len() <= LINE_BYTES_MAX);
            let count = space.len().min(unsent.len()).min(*cut);
            space[..count].copy_from_slice(&unsent[..count]);
            unsent = &unsent[count..];
            buffer.filled(count);
            while let Some(line) = buffer.next_line() {
                found.push(match line {
                    Line::Text(line) => Some(String::from_utf8_lossy(line).into_owned()),
                    Line::TooLong => None,
                });
            }
            if unsent.is_empty() {
                break;
            }
        }
        let found: Vec<_> = found.iter().map(Option::as_deref).collect();
        prop_assert_eq!(found, expected);
    }
}
