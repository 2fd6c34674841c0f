//! The difficulty a miner asks for, in all its spellings.

use chimera_pow::{Difficulty, Target};

use crate::params::{Params, unquote};
use crate::{Fault, Param};

/// `mining.suggest_difficulty`: a number or (cpuminer-opt) a string with a number.
pub(crate) fn difficulty(params: &Params<'_>) -> Result<Difficulty, Fault> {
    from_json(params.raw(0).ok_or(Fault::Missing(Param::Difficulty))?)
}

/// A JSON number, or a JSON string with a number in it.
pub(crate) fn from_json(json: &str) -> Result<Difficulty, Fault> {
    let text = unquote(json);
    from_text(text.as_deref().unwrap_or(json))
}

/// A number as text.
pub(crate) fn from_text(text: &str) -> Result<Difficulty, Fault> {
    let number = text.trim().parse().map_err(|_| Fault::NotADifficulty)?;
    Difficulty::new(number).map_err(|_| Fault::NotADifficulty)
}

/// The number in `mining.suggest_difficulty(n)`; `None` for any other method.
pub(crate) fn in_method_name(method: &str) -> Option<&str> {
    method.strip_prefix("mining.suggest_difficulty(")?.strip_suffix(')')
}

/// `mining.suggest_target`: 64 hex digits, most significant first.
pub(crate) fn target(params: &Params<'_>) -> Result<Difficulty, Fault> {
    let text = params.required(0, Param::Target)?;
    let mut bytes = [0; 32];
    hex::decode_to_slice(text.as_bytes(), &mut bytes).map_err(|wrong| match wrong {
        hex::FromHexError::InvalidHexCharacter { .. } => Fault::NotHex(Param::Target),
        _ => Fault::HexWidth { param: Param::Target, found: text.chars().count(), expected: 64 },
    })?;
    Ok(Target::from_be_bytes(bytes).difficulty())
}

/// The first `d=` or `diff=` of a password such as `x,d=0.01`.
pub(crate) fn in_password(password: &str) -> Option<Difficulty> {
    password
        .split([',', ';', ' '])
        .filter_map(|part| part.strip_prefix("d=").or_else(|| part.strip_prefix("diff=")))
        .find_map(|number| from_text(number).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t2_a_password_may_suggest_a_difficulty() {
        let cases = [
            ("x", None),
            ("", None),
            ("d=0.5", Some(0.5)),
            ("x,diff=16", Some(16.0)),
            ("c=XVG;d=1e-6", Some(1e-6)),
            ("d=,d=2", Some(2.0)),
            ("d=-1", None),
            ("d=nan", None),
            ("old=5", None),
        ];
        for (password, expected) in cases {
            assert_eq!(in_password(password).map(Difficulty::get), expected, "{password}");
        }
    }
}
