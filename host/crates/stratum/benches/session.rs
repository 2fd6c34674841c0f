//! What a submit costs from its line to the verdict, beside the judging alone and the bare
//! hashing. `cargo bench -p chimera-stratum` prints the table; `cargo test` runs it small.
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark")]

#[path = "../tests/mine/mod.rs"]
mod mine;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chimera_pow::Algorithm;
use chimera_stratum::{AuthAnswer, Effect, NotifyLine, Outbox, Seat, Session, SessionId};
use chimera_work::{Extranonce1, ExtranonceLease, NonceLayout, WorkerId};

const EXTRANONCE1: Extranonce1 = Extranonce1([1, 2, 3, 4]);

fn main() {
    let full = std::env::args().any(|arg| arg == "--bench");
    let (shares, rounds) = if full { (20_000, 31) } else { (50, 2) };
    let mut lines_of_rounds = Vec::new();
    for round in 0..rounds {
        let lines: Vec<String> = (0..shares)
            .map(|nonce| {
                format!(
                    r#"{{"params":["alice.rig1","{:x}","{nonce:016x}","6b00b23c","{nonce:08x}"],"id":{nonce},"method":"mining.submit"}}"#,
                    0x100 * (round + 1)
                )
            })
            .collect();
        lines_of_rounds.push(lines);
    }
    let mut session = Session::new(mine::config(), 0);
    let mut out = Outbox::default();
    let job = |round: usize| {
        let id = u32::try_from(0x100 * (round + 1)).expect("few rounds");
        // No share is harder than a block, and here every hash is one or the other.
        let template = mine::template(u8::try_from(round).expect("few rounds"), 1e12);
        Arc::new(NotifyLine::new(mine::job(id, template, true)))
    };
    session.new_job(&job(0), &mut out);
    session.handle_line(br#"{"id":1,"method":"mining.subscribe"}"#, &mut out);
    let lease = ExtranonceLease::recorded(EXTRANONCE1);
    session.subscribed(Seat::new(SessionId(1), lease, NonceLayout::DEFAULT), &mut out);
    session
        .handle_line(br#"{"id":2,"method":"mining.authorize","params":["alice.rig1"]}"#, &mut out);
    let Some(Effect::Authorize(login)) = out.effects.pop() else { panic!("a login") };
    let answer = AuthAnswer::Allow { worker: WorkerId(7), difficulty: None };
    session.authorized(login.ticket, answer, &mut out);
    session.retarget(mine::difficulty(1e-9), &mut out);

    let mut took = Vec::new();
    let mut accepted = 0;
    let mut waiting = 0;
    for (round, lines) in lines_of_rounds.iter().enumerate() {
        session.new_job(&job(round), &mut out);
        out.clear();
        let start = Instant::now();
        for line in lines {
            session.handle_line(black_box(line.as_bytes()), &mut out);
            let credits = out.effects.len();
            if credits > 0 {
                accepted += credits;
                waiting += credits as u32;
                out.effects.clear();
            }
            if waiting == 32 {
                session.durable(std::mem::take(&mut waiting), &mut out);
            }
            out.bytes.clear();
        }
        took.push(start.elapsed());
    }
    assert!(accepted > 0, "some hash is a share");
    let mut hashing = Vec::new();
    for _ in 0..rounds {
        let start = Instant::now();
        for nonce in 0..shares as u32 {
            let mut header = [7; 80];
            header[76..].copy_from_slice(&nonce.to_le_bytes());
            black_box(Algorithm::Blake2s.hash(black_box(&header)));
        }
        hashing.push(start.elapsed());
    }
    if full {
        let (all, hash) = (median_ns(took, shares), median_ns(hashing, shares));
        println!(
            "a submit, one branch, another extranonce2 each, median of {rounds} runs of {shares}"
        );
        println!(
            "  line to verdict and reply  {all:>7.0} ns   {:>9.0} per second per core",
            1e9 / all
        );
        println!("  one Blake2s hash           {hash:>7.0} ns");
        println!("  parsing, verdict, reply    {:>7.0} ns", all - hash);
    }
}

fn median_ns(mut runs: Vec<Duration>, shares: usize) -> f64 {
    runs.sort_unstable();
    runs[runs.len() / 2].as_nanos() as f64 / shares as f64
}
