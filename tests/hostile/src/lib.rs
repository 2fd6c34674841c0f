//! The plugin nobody wants: all three worlds in one component, and its configuration names
//! the misdeed. It is written without the SDK, as a stranger's would be.
#![cfg(target_arch = "wasm32")]
#![allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    reason = "generated code"
)]

#[cfg(target_os = "wasi")]
mod witness;

use std::cell::RefCell;

wit_bindgen::generate!({
    path: "../../wit/0.1",
    inline: "
        package chimera:tests;
        world hostile {
            import chimera:pool/log@0.1.0;
            export chimera:pool/plugin@0.1.0;
            export chimera:pool/payout@0.1.0;
            export chimera:pool/auth@0.1.0;
            export chimera:pool/difficulty@0.1.0;
        }
    ",
    world: "chimera:tests/hostile",
    generate_all,
});

use chimera::pool::log;
use chimera::pool::types::{Diagnostic, PluginError, Severity};
use exports::chimera::pool::{auth, difficulty, payout, plugin};

thread_local! {
    static CONFIG: RefCell<String> = const { RefCell::new(String::new()) };
}

/// What `describe` does wrong: it comes before any configuration, so the tests write it into
/// the component's bytes.
static DESCRIBE: [u8; 48] = *b"what describe does: nothing                     ";

struct Hostile;

fn config() -> String {
    CONFIG.with(|config| config.borrow().clone())
}

/// What this export does wrong: a configuration is `deed`, for all calls once it is set up,
/// or `export:deed`. A deed may have a number behind it: `huge=5000000`.
fn deed(export: &str) -> String {
    const CALLS: [&str; 5] = ["settle", "migrate", "authorize", "initial", "retarget"];
    let config = config();
    let deed = match config.split_once(':') {
        Some((of, deed)) if of == export => deed,
        None if CALLS.contains(&export) => config.as_str(),
        _ => "",
    };
    deed.split('=').next().unwrap_or_default().to_owned()
}

/// The number behind the deed.
fn number() -> usize {
    config().split_once('=').and_then(|(_, number)| number.parse().ok()).unwrap_or(0)
}

/// That many bytes. Filling them would be noticed before they are sent.
fn large(bytes: usize) -> Vec<u8> {
    let mut large = Vec::with_capacity(bytes);
    // SAFETY: fresh linear memory is zero.
    unsafe { large.set_len(bytes) };
    large
}

/// A text of so many bytes.
fn large_text(bytes: usize) -> String {
    // SAFETY: zeroes are text.
    unsafe { String::from_utf8_unchecked(large(bytes)) }
}

/// A column of so many rows.
fn large_column(rows: usize) -> Vec<u64> {
    let mut large = Vec::with_capacity(rows);
    // SAFETY: fresh linear memory is zero, and u64 has no invalid values.
    unsafe { large.set_len(rows) };
    large
}

/// Everything that can go wrong in any call, by name.
fn misbehave(export: &str) {
    act(&deed(export));
}

fn act(deed: &str) {
    match deed {
        "trap" => {
            log::write(log::Level::Error, "panicked: the books are on fire");
            core::arch::wasm32::unreachable()
        }
        "panic" => panic!("the books\nare on fire"),
        "loop" => loop {
            core::hint::black_box(());
        },
        "grow" => loop {
            core::hint::black_box(Vec::<u8>::with_capacity(1 << 20).leak());
        },
        "recurse" => drop(core::hint::black_box(recurse(1))),
        "chatter" => {
            for _ in 0..1_000 {
                log::write(log::Level::Info, &"x".repeat(2_000));
            }
        }
        #[cfg(target_os = "wasi")]
        "print" => {
            for _ in 0..1_000 {
                println!("{}", "x".repeat(2_000));
            }
            eprint!("no end of line");
        }
        #[cfg(target_os = "wasi")]
        "exit" => std::process::exit(0),
        #[cfg(target_os = "wasi")]
        "sleep" => std::thread::sleep(std::time::Duration::from_secs(86_400)),
        _ => {}
    }
}

/// It behaves as long as it is only asked to show what it can: the host's questions are of a
/// day in 2020, and their windows of whole seconds.
fn lie_in_wait(in_earnest: bool) {
    if ["later", "owing"].contains(&config().as_str()) && in_earnest {
        log::write(log::Level::Error, "panicked: now that it counts");
        core::arch::wasm32::unreachable()
    }
}

/// 2023.
const IN_EARNEST_MS: u64 = 1_700_000_000_000;

#[allow(unconditional_recursion)]
fn recurse(depth: u64) -> u64 {
    core::hint::black_box(recurse(core::hint::black_box(depth + 1)) + 1)
}

/// Not-a-numbers as every operation makes them, with the bits they have.
fn nans() -> Vec<u8> {
    use core::hint::black_box;
    let zero = black_box(0.0_f64);
    let payload = f64::from_bits(black_box(0x7ff4_dead_beef_0001));
    let negative = f64::from_bits(black_box(0xfff8_0000_0000_1234));
    let one = black_box(1.0_f64);
    let wide = [
        zero / zero,
        f64::INFINITY - black_box(f64::INFINITY),
        black_box(-1.0_f64).sqrt(),
        payload + one,
        one + payload,
        payload * negative,
        negative - payload,
        payload / zero,
        payload.min(one),
        negative.max(one),
        payload.floor(),
        negative.abs(),
        f64::from(f32::from_bits(black_box(0x7fa0_0001))),
    ];
    let narrow = f32::from_bits(black_box(0x7fa0_0001));
    let narrow = [
        black_box(0.0_f32) / black_box(0.0_f32),
        narrow + 1.0,
        narrow * f32::from_bits(black_box(0xffc0_0042)),
        payload as f32,
        narrow.sqrt(),
        narrow.ceil(),
    ];
    let wide = wide.iter().flat_map(|number| black_box(*number).to_bits().to_le_bytes());
    let narrow = narrow.iter().flat_map(|number| black_box(*number).to_bits().to_le_bytes());
    wide.chain(narrow).collect()
}

impl plugin::Guest for Hostile {
    fn describe() -> plugin::Info {
        // SAFETY: a static. Read as it is in the file, not as the compiler knows it.
        let told = unsafe { core::ptr::read_volatile(&DESCRIBE) };
        let told = String::from_utf8_lossy(&told).into_owned();
        let told = told.rsplit(": ").next().unwrap_or_default().trim();
        act(told);
        // Above what may be answered, below what may be held, in every class.
        let description = if told == "huge" { large_text(2 << 20) } else { String::new() };
        plugin::Info {
            name: "hostile".to_owned(),
            version: "0".to_owned(),
            description: description + "misbehaves",
            config_schema: "{}".to_owned(),
            state_version: 1,
            state_accepts_since: 1,
        }
    }

    fn validate(config: String) -> Result<String, Vec<Diagnostic>> {
        CONFIG.with(|own| own.borrow_mut().clone_from(&config));
        misbehave("validate");
        if deed("validate") == "huge" {
            return Ok(large_text(number()));
        }
        match config.as_str() {
            "wandering" | "wandering!" => Ok(format!("{config}!")),
            "refused" => Err(vec![
                Diagnostic {
                    severity: Severity::Error,
                    at: "/deed".to_owned(),
                    message: "too kind".to_owned(),
                    hint: Some("be worse".to_owned()),
                },
                Diagnostic {
                    severity: Severity::Warning,
                    at: String::new(),
                    message: "in general".to_owned(),
                    hint: None,
                },
            ]),
            _ => Ok(config),
        }
    }

    fn configure(config: String) -> Result<(), PluginError> {
        // As text, or as operators write settings.
        let named =
            config.strip_prefix("{\"misdeed\":\"").and_then(|rest| rest.strip_suffix("\"}"));
        let named = named.unwrap_or(&config).to_owned();
        CONFIG.with(|config| *config.borrow_mut() = named);
        misbehave("configure");
        match deed("configure").as_str() {
            "refuse" => Err(PluginError::Internal("not today".to_owned())),
            "huge" => Err(PluginError::Internal(large_text(number()))),
            _ => Ok(()),
        }
    }

    fn migrate(_: u32, state: Vec<u8>) -> Result<Vec<u8>, PluginError> {
        misbehave("migrate");
        if deed("migrate") == "huge" { Ok(large(number())) } else { Ok(state) }
    }
}

impl payout::Guest for Hostile {
    fn make_plan() -> Result<payout::Plan, PluginError> {
        misbehave("make-plan");
        if deed("make-plan") == "huge" {
            return Err(PluginError::Internal(large_text(number())));
        }
        let accrue = ["accrue-by-weight", "owing"].contains(&config().as_str());
        Ok(payout::Plan {
            kind: if accrue { payout::SchemeKind::Accrue } else { payout::SchemeKind::Distribute },
            window: payout::WindowSize::SinceLastBlock,
            buckets: if config() == "buckets" { 2000 } else { 1 },
            max_carry: 0,
        })
    }

    fn settle(request: payout::Request) -> Result<payout::Outcome, PluginError> {
        misbehave("settle");
        lie_in_wait(match &request.event {
            payout::Event::Block(block) => block.found_at > IN_EARNEST_MS,
            payout::Event::Interval(interval) => interval.ended_at > IN_EARNEST_MS,
        });
        let rows = request.accounts.key.len();
        let deed = deed("settle");
        let allocation = match deed.as_str() {
            "short" => payout::Allocation::Weights(vec![1; rows - 1]),
            "long" => payout::Allocation::Amounts(vec![1; rows + 1]),
            "nobody" => payout::Allocation::Weights(vec![0; rows]),
            "huge" => payout::Allocation::Weights(large_column(10_000_000)),
            "error" => return Err(PluginError::InvalidInput("no thanks".to_owned())),
            "generous" => payout::Allocation::Amounts(vec![u64::MAX; rows]),
            "owing" => payout::Allocation::Amounts(vec![1; rows]),
            _ => payout::Allocation::Weights(request.accounts.work),
        };
        let state = match deed.as_str() {
            "hoard" => large(40 << 20),
            "hoard-more" => large(100 << 20),
            "nan" => nans(),
            _ => request.state,
        };
        let notes = match deed.as_str() {
            "gossip" => vec!["psst ".repeat(1000); 1000],
            #[cfg(target_os = "wasi")]
            "witness" => witness::all(),
            _ => Vec::new(),
        };
        let (pool_fee, carry) = match deed.as_str() {
            // Together with the rest they wrap around to the right sum.
            "overflow" => (u64::MAX, 1),
            _ => (0, 0),
        };
        Ok(payout::Outcome { allocation, pool_fee, carry, state, notes })
    }
}

impl auth::Guest for Hostile {
    fn authorize(attempt: auth::Attempt) -> Result<auth::Decision, PluginError> {
        misbehave("authorize");
        lie_in_wait(attempt.at > IN_EARNEST_MS);
        let deed = deed("authorize");
        let account = match deed.as_str() {
            "anonymous" => String::new(),
            "long-name" => "a".repeat(10_000),
            "huge" => large_text(number()),
            "bell" => "a\u{7}".to_owned(),
            "error" => return Err(PluginError::Internal("no idea".to_owned())),
            "shrug" => return Ok(auth::Decision::NoOpinion),
            _ => attempt.user,
        };
        let tags = match deed.as_str() {
            "tags" => vec![("key".to_owned(), "value".to_owned()); 33],
            #[cfg(target_os = "wasi")]
            "witness" => witness::all().into_iter().map(|seen| ("seen".to_owned(), seen)).collect(),
            _ => Vec::new(),
        };
        Ok(auth::Decision::Allow(auth::Grant {
            account,
            worker: None,
            ttl_s: 1,
            start_difficulty: None,
            max_sessions: None,
            tags,
        }))
    }
}

impl difficulty::Guest for Hostile {
    fn state_words() -> u32 {
        misbehave("state-words");
        if config() == "elephant" { 9 } else { 1 }
    }

    fn initial(hello: Vec<difficulty::Hello>) -> Result<Vec<u64>, PluginError> {
        misbehave("initial");
        match deed("initial").as_str() {
            "short" => Ok(vec![]),
            "huge" => Ok(large_column(number())),
            "extreme" => Ok(vec![u64::MAX; hello.len()]),
            _ => Ok(hello.iter().map(|hello| hello.minimum).collect()),
        }
    }

    fn retarget(batch: difficulty::Batch) -> Result<difficulty::Verdicts, PluginError> {
        misbehave("retarget");
        lie_in_wait(batch.window_ms.iter().any(|ms| ms % 1_000 != 0));
        let deed = deed("retarget");
        let next = match deed.as_str() {
            "short" => vec![],
            "huge" => large_column(number()),
            "extreme" => vec![u64::MAX; batch.current.len()],
            "once" if batch.state[0] == 0 => core::arch::wasm32::unreachable(),
            _ => vec![0; batch.current.len()],
        };
        let state = match deed.as_str() {
            "forgetful" => vec![],
            #[cfg(target_os = "wasi")]
            "witness" => witness::numbers(batch.state.len()),
            _ => batch.state,
        };
        Ok(difficulty::Verdicts { next, state })
    }
}

export!(Hostile);
