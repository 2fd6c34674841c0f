//! A PPLNS settlement over 100,000 and a million accounts: through the component with the
//! ledger's check and apportioning, and the same in plain Rust. `--quick` makes it small.
//!
//! The numbers to stay below: 100 ms, and 1.5 s for the million.

use std::path::Path;
use std::time::{Duration, Instant};

use chimera_ledger::{Accounts, Distribution, Event, Limits, Request, SCORE_PER_BLOCK, Slices};
use chimera_plugin::{Digest, Engines, Grants, PayoutScheme, Registry};

const REWARD: u64 = 500_000_000_000;
const FEE_PPM: u64 = 10_000;

/// Medians, and digests of the answers.
pub struct Figures {
    component: Duration,
    settle: Duration,
    native: Duration,
    /// Of what the component and the ledger pay.
    pub component_digest: Digest,
    /// Of what plain Rust pays.
    pub native_digest: Digest,
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick" || argument == "--test");
    let sizes = if quick { vec![(1_000, 3)] } else { vec![(100_000, 15), (1_000_000, 5)] };
    for (accounts, runs) in sizes {
        print(accounts, runs);
    }
}

#[expect(clippy::print_stdout, reason = "a benchmark prints")]
fn print(accounts: usize, runs: usize) {
    let figures = measure(accounts, runs);
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    println!("settlement of {accounts} accounts by payout-pplns, median of {runs} runs");
    println!("  component, check and apportioning  {:9.3} ms", ms(figures.component));
    println!("  of it the component's call         {:9.3} ms", ms(figures.settle));
    println!("  the same in plain Rust             {:9.3} ms", ms(figures.native));
    println!(
        "  ratio                              {:9.2}",
        ms(figures.component) / ms(figures.native)
    );
    println!("  answer                             {}", figures.component_digest);
    assert_eq!(figures.component_digest, figures.native_digest, "both ways pay the same");
}

/// Runs both ways on one window of seeded accounts.
pub fn measure(accounts: usize, runs: usize) -> Figures {
    let request = window(accounts);
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugin-cache");
    let engines = Engines::new(Some(&cache)).expect("this machine runs components");
    let registry = Registry::new(None).expect("no directory to read");
    let artifact = registry.find("payout-pplns").expect("shipped");
    let scheme = PayoutScheme::load(&engines, &artifact, "", &Grants::none())
        .expect("it takes its defaults");

    let mut times: [Vec<Duration>; 3] = Default::default();
    let mut digests = None;
    for _ in 0..runs {
        let start = Instant::now();
        let proposal = scheme.settle(&request).expect("a full window settles");
        times[1].push(start.elapsed());
        let limits = Limits::default();
        let checked = Distribution::check("pplns", &request, scheme.plan(), proposal, &limits);
        let checked = checked.expect("it balances");
        times[0].push(start.elapsed());

        let start = Instant::now();
        let (amounts, fee) = native(&request);
        times[2].push(start.elapsed());
        digests = Some((digest(checked.amounts(), checked.pool_fee()), digest(&amounts, fee)));
    }
    let (component_digest, native_digest) = digests.expect("at least one run");
    let [component, settle, native] = times.map(median);
    Figures { component, settle, native, component_digest, native_digest }
}

/// A full window; work spread over four orders of magnitude, as pools see it.
fn window(accounts: usize) -> Request {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    // The more there are, the less each did.
    let narrow = 28 + u64::from((accounts / 100_000).max(1).ilog2());
    let work: Vec<u64> = (0..accounts).map(|_| random() >> (narrow + random() % 14)).collect();
    let filled: u64 = work.iter().sum();
    assert!(filled < 2 * SCORE_PER_BLOCK, "the window holds it");
    Request {
        event: Event::Block {
            height: 1,
            reward: REWARD,
            tx_fees: 0,
            window_work: filled,
            found_at_ms: 0,
            finder: Some(0),
        },
        accounts: Accounts {
            key: (0..accounts as u64).map(|row| row * 7 + 1).collect(),
            work,
            fee_ppm: vec![0; accounts],
        },
        slices: Slices::default(),
        carry: 0,
        state: Vec::new(),
    }
}

/// PPLNS over a full window: the fee off, the rest by work, largest remainders first.
fn native(request: &Request) -> (Vec<u64>, u64) {
    let fee = (u128::from(REWARD) * u128::from(FEE_PPM) / 1_000_000) as u64;
    let pot = REWARD - fee;
    let work = &request.accounts.work;
    let sum: u128 = work.iter().map(|work| u128::from(*work)).sum();
    let mut left = pot;
    let mut amounts = Vec::with_capacity(work.len());
    let mut remainders = Vec::with_capacity(work.len());
    for (row, work) in work.iter().enumerate() {
        let product = u128::from(pot) * u128::from(*work);
        let amount = (product / sum) as u64;
        left -= amount;
        amounts.push(amount);
        remainders.push((std::cmp::Reverse(product % sum), request.accounts.key[row], row));
    }
    let left = left as usize;
    if left > 0 {
        remainders.select_nth_unstable(left - 1);
    }
    for (_, _, row) in &remainders[..left] {
        amounts[*row] += 1;
    }
    (amounts, fee)
}

fn digest(amounts: &[u64], fee: u64) -> Digest {
    let bytes: Vec<u8> =
        amounts.iter().chain([&fee]).flat_map(|amount| amount.to_le_bytes()).collect();
    Digest::of(&bytes)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
