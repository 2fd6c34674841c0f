//! The id of a request, echoed as it came, whatever its JSON type.

use serde_json::value::RawValue;

use crate::Fault;

/// Room for any number and for names like `"txlist0123456789"`; longer ids are boxed.
const INLINE_BYTES: usize = 22;
/// Replies that wait keep their id; real ids are under 30 bytes.
pub(crate) const ID_BYTES_MAX: usize = 256;

/// The JSON text of an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RequestId {
    /// `null` or absent: the sender takes no refusal for it (bfgminer's hints).
    Null,
    /// It could not be read with its line; written as `null`.
    Unreadable,
    /// The usual case.
    Short { bytes: [u8; INLINE_BYTES], len: u8 },
    /// Strings, even objects.
    Long(Box<str>),
}

impl RequestId {
    /// Takes the id of a parsed line.
    pub(crate) fn new(raw: Option<&RawValue>) -> Result<Self, Fault> {
        let Some(text) = raw.map(RawValue::get) else { return Ok(Self::Null) };
        match Self::short(text.as_bytes()) {
            Some(short) => Ok(short),
            None if text.len() > ID_BYTES_MAX => Err(Fault::IdTooLong),
            None => Ok(Self::Long(text.into())),
        }
    }

    /// A JSON text that needs no memory of its own; `None` if it is too long for that.
    pub(crate) fn short(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; INLINE_BYTES];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        Some(Self::Short { bytes, len: u8::try_from(text.len()).ok()? })
    }

    /// The bytes to echo.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Null | Self::Unreadable => b"null",
            Self::Short { bytes, len } => &bytes[..usize::from(*len)],
            Self::Long(text) => text.as_bytes(),
        }
    }

    /// Whether the sender asked for no reply.
    pub(crate) const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}
