//! `mining.submit`: the one message that must be fast.

use std::borrow::Cow;

use chimera_work::{Extranonce2, JobId};

use crate::params::Params;
use crate::{Fault, Param, user_name};

/// Digits of the largest second extranonce any miner has.
pub(crate) const EXTRANONCE2_DIGITS_MAX: usize = 32;

/// A submission as its sender named things: past here nobody holds a hex string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Submit<'a> {
    pub(crate) user: Cow<'a, str>,
    /// `None` for a text that is no job id of this pool.
    pub(crate) job: Option<JobId>,
    pub(crate) extranonce2: Extranonce2,
    pub(crate) time: u32,
    pub(crate) nonce: u32,
    pub(crate) version_bits: Option<u32>,
}

impl<'a> Submit<'a> {
    /// Reads `[user, job_id, extranonce2, ntime, nonce, version_bits?]`.
    pub(crate) fn parse(params: &Params<'a>) -> Result<Self, Fault> {
        let user = user_name::parse(params)?;
        let job = JobId::parse(&params.required(1, Param::JobId)?);
        let extranonce2 = extranonce2(&params.required(2, Param::Extranonce2)?)?;
        let time = word(params, 3, Param::Ntime)?;
        let nonce = word(params, 4, Param::Nonce)?;
        let version_bits =
            params.raw(5).map(|_| word(params, 5, Param::VersionBits)).transpose()?;
        Ok(Self { user, job, extranonce2, time, nonce, version_bits })
    }
}

/// Eight hex digits, most significant first. Short ones are a broken miner's: padding them
/// would credit work that was not done.
fn word(params: &Params<'_>, index: usize, param: Param) -> Result<u32, Fault> {
    let text = params.required(index, param)?;
    let mut bytes = [0; 4];
    decode(&text, &mut bytes).map_err(|wrong| match wrong {
        hex::FromHexError::InvalidHexCharacter { .. } => Fault::NotHex(param),
        _ => Fault::HexWidth { param, found: text.chars().count(), expected: 8 },
    })?;
    Ok(u32::from_be_bytes(bytes))
}

fn extranonce2(text: &str) -> Result<Extranonce2, Fault> {
    let too_wide = Fault::Extranonce2Width { found: text.chars().count() };
    let mut bytes = [0; EXTRANONCE2_DIGITS_MAX / 2];
    let bytes = bytes.get_mut(..text.len() / 2).ok_or(too_wide)?;
    decode(text, bytes).map_err(|wrong| match wrong {
        hex::FromHexError::InvalidHexCharacter { .. } => Fault::NotHex(Param::Extranonce2),
        _ => too_wide,
    })?;
    Extranonce2::new(bytes).ok_or(too_wide)
}

fn decode(text: &str, bytes: &mut [u8]) -> Result<(), hex::FromHexError> {
    hex::decode_to_slice(text, bytes)
}
