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

use std::cell::RefCell;

wit_bindgen::generate!({
    path: "../../wit",
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
    static MISDEED: RefCell<String> = const { RefCell::new(String::new()) };
}

struct Hostile;

/// Everything that can go wrong in any call, by name.
fn misbehave() {
    match misdeed().as_str() {
        "trap" => {
            log::write(log::Level::Error, "panicked: the books are on fire");
            core::arch::wasm32::unreachable()
        }
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
        _ => {}
    }
}

#[allow(unconditional_recursion)]
fn recurse(depth: u64) -> u64 {
    core::hint::black_box(recurse(core::hint::black_box(depth + 1)) + 1)
}

fn misdeed() -> String {
    MISDEED.with(|misdeed| misdeed.borrow().clone())
}

impl plugin::Guest for Hostile {
    fn describe() -> plugin::Info {
        plugin::Info {
            name: "hostile".to_owned(),
            version: "0".to_owned(),
            description: "misbehaves".to_owned(),
            config_schema: "{}".to_owned(),
            state_version: 1,
            state_accepts_since: 1,
        }
    }

    fn validate(config: String) -> Result<String, Vec<Diagnostic>> {
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
            "validate-trap" => core::arch::wasm32::unreachable(),
            _ => Ok(config),
        }
    }

    fn configure(config: String) -> Result<(), PluginError> {
        if config == "unconfigurable" {
            return Err(PluginError::Internal("not today".to_owned()));
        }
        // As text, or as operators write settings.
        let named =
            config.strip_prefix("{\"misdeed\":\"").and_then(|rest| rest.strip_suffix("\"}"));
        let named = named.unwrap_or(&config).to_owned();
        MISDEED.with(|misdeed| *misdeed.borrow_mut() = named);
        Ok(())
    }

    fn migrate(_: u32, state: Vec<u8>) -> Result<Vec<u8>, PluginError> {
        misbehave();
        Ok(state)
    }
}

impl payout::Guest for Hostile {
    fn make_plan() -> Result<payout::Plan, PluginError> {
        let accrue = misdeed() == "accrue-by-weight";
        Ok(payout::Plan {
            kind: if accrue { payout::SchemeKind::Accrue } else { payout::SchemeKind::Distribute },
            window: payout::WindowSize::SinceLastBlock,
            buckets: if misdeed() == "buckets" { 2000 } else { 1 },
            max_carry: 0,
        })
    }

    fn settle(request: payout::Request) -> Result<payout::Outcome, PluginError> {
        misbehave();
        let rows = request.accounts.key.len();
        let allocation = match misdeed().as_str() {
            "short" => payout::Allocation::Weights(vec![1; rows - 1]),
            "long" => payout::Allocation::Amounts(vec![1; rows + 1]),
            "nobody" => payout::Allocation::Weights(vec![0; rows]),
            "huge" => {
                // Filling it would be noticed before it is sent.
                let mut weights = Vec::with_capacity(10_000_000);
                // SAFETY: fresh linear memory is zero, and u64 has no invalid values.
                unsafe { weights.set_len(10_000_000) };
                payout::Allocation::Weights(weights)
            }
            "error" => return Err(PluginError::InvalidInput("no thanks".to_owned())),
            "generous" => payout::Allocation::Amounts(vec![u64::MAX; rows]),
            _ => payout::Allocation::Weights(request.accounts.work),
        };
        let state = if misdeed() == "hoard" { vec![0; 20 << 20] } else { request.state };
        let notes =
            if misdeed() == "gossip" { vec!["psst ".repeat(1000); 1000] } else { Vec::new() };
        Ok(payout::Outcome { allocation, pool_fee: 0, carry: 0, state, notes })
    }
}

impl auth::Guest for Hostile {
    fn authorize(attempt: auth::Attempt) -> Result<auth::Decision, PluginError> {
        misbehave();
        let account = match misdeed().as_str() {
            "anonymous" => String::new(),
            "long-name" => "a".repeat(10_000),
            "bell" => "a\u{7}".to_owned(),
            "error" => return Err(PluginError::Internal("no idea".to_owned())),
            "shrug" => return Ok(auth::Decision::NoOpinion),
            _ => attempt.user,
        };
        Ok(auth::Decision::Allow(auth::Grant {
            account,
            worker: None,
            ttl_s: 1,
            start_difficulty: None,
            tags: Vec::new(),
        }))
    }
}

impl difficulty::Guest for Hostile {
    fn state_words() -> u32 {
        if misdeed() == "elephant" { 9 } else { 1 }
    }

    fn initial(hello: Vec<difficulty::Hello>) -> Result<Vec<u64>, PluginError> {
        misbehave();
        match misdeed().as_str() {
            "short" => Ok(vec![]),
            "extreme" => Ok(vec![u64::MAX; hello.len()]),
            _ => Ok(hello.iter().map(|hello| hello.minimum).collect()),
        }
    }

    fn retarget(batch: difficulty::Batch) -> Result<difficulty::Verdicts, PluginError> {
        misbehave();
        let next = match misdeed().as_str() {
            "short" => vec![],
            "extreme" => vec![u64::MAX; batch.current.len()],
            "once" if batch.state[0] == 0 => core::arch::wasm32::unreachable(),
            _ => vec![0; batch.current.len()],
        };
        let state = if misdeed() == "forgetful" { vec![] } else { batch.state };
        Ok(difficulty::Verdicts { next, state })
    }
}

export!(Hostile);
