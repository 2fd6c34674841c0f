//! `mining.configure` (BIP 310): what a miner asks for beyond the base protocol.

use std::collections::HashSet;

use chimera_pow::Difficulty;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::params::{Params, unquote};
use crate::{Fault, Param, suggest};

/// One extension asked for. Each gets an answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Extension {
    /// Rolling of version bits: those the miner could roll. How many it needs to be efficient
    /// (`min-bit-count`) decides nothing: BIP 310 leaves it to the miner to work with fewer.
    VersionRolling { mask: u32 },
    /// No difficulty below this; `None` if the value cannot be read.
    MinimumDifficulty(Option<Difficulty>),
    /// As `mining.extranonce.subscribe`.
    SubscribeExtranonce,
    /// The miner describes itself.
    Info,
    /// One this pool does not know.
    Unknown(String),
}

/// Extensions that are answered; there are four, and nobody asks for all of them.
const EXTENSIONS_MAX: usize = 16;
/// A longer name is none: `subscribe-extranonce` has 20 characters.
const NAME_BYTES_MAX: usize = 64;

/// The options of the extensions known here.
#[derive(Deserialize, Default)]
struct Options<'a> {
    #[serde(rename = "version-rolling.mask", borrow)]
    mask: Option<&'a RawValue>,
    #[serde(rename = "minimum-difficulty.value", borrow)]
    difficulty_min: Option<&'a RawValue>,
}

/// Reads `[[extension, ...], {option: value, ...}?]`.
pub(crate) fn parse(params: &Params<'_>) -> Result<Vec<Extension>, Fault> {
    let names = params.raw(0).ok_or(Fault::Missing(Param::Extensions))?;
    let names: Vec<String> =
        serde_json::from_str(names).map_err(|_| Fault::Missing(Param::Extensions))?;
    let options: Options<'_> = match params.raw(1) {
        Some(json) => serde_json::from_str(json).map_err(|_| Fault::Missing(Param::Options))?,
        None => Options::default(),
    };
    let mut known = HashSet::new();
    let names = names.into_iter().filter(|name| name.len() <= NAME_BYTES_MAX);
    // The answer is an object: it has each name once.
    let names = names.filter(|name| known.insert(name.clone())).take(EXTENSIONS_MAX);
    Ok(names.map(|name| extension(name, &options)).collect())
}

fn extension(name: String, options: &Options<'_>) -> Extension {
    match name.as_str() {
        "version-rolling" => {
            // A mask that cannot be read offers no bits, which is then refused.
            let mask = options.mask.map_or(u32::MAX, |json| mask(json.get()).unwrap_or(0));
            Extension::VersionRolling { mask }
        }
        "minimum-difficulty" => {
            Extension::MinimumDifficulty(options.difficulty_min.and_then(|json| floor(json.get())))
        }
        "subscribe-extranonce" => Extension::SubscribeExtranonce,
        "info" => Extension::Info,
        _ => Extension::Unknown(name),
    }
}

fn mask(json: &str) -> Option<u32> {
    let text = unquote(json)?;
    let digits = (1..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    digits.then(|| u32::from_str_radix(&text, 16).ok())?
}

/// BIP 310 allows 0, which asks for nothing.
fn floor(json: &str) -> Option<Difficulty> {
    match json.parse::<f64>() {
        Ok(0.0) => Difficulty::new(f64::MIN_POSITIVE).ok(),
        _ => suggest::from_json(json).ok(),
    }
}
