//! The positional parameters of a request, borrowed from its line.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::{Fault, Param};

/// No message has more than submit's six.
const PARAMS_KEPT: usize = 6;

/// The first parameters; anything that is no list counts as an empty one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Params<'a>([Option<&'a RawValue>; PARAMS_KEPT]);

impl<'a> Params<'a> {
    /// The JSON text of a parameter; `None` if it is absent or null.
    pub(crate) fn raw(&self, index: usize) -> Option<&'a str> {
        let text = self.0.get(index).copied().flatten()?.get();
        (text != "null").then_some(text)
    }

    /// A parameter that is a string; `None` if it is anything else.
    pub(crate) fn text(&self, index: usize) -> Option<Cow<'a, str>> {
        unquote(self.raw(index)?)
    }

    /// A parameter that must be a string.
    pub(crate) fn required(&self, index: usize, param: Param) -> Result<Cow<'a, str>, Fault> {
        self.text(index).ok_or(Fault::Missing(param))
    }
}

/// The value of a JSON string; borrowed unless it contains escapes.
pub(crate) fn unquote(json: &str) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str(json).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Params<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ParamsVisitor)
    }
}

struct ParamsVisitor;

impl<'de> Visitor<'de> for ParamsVisitor {
    type Value = Params<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("parameters")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut params = Params::default();
        for slot in &mut params.0 {
            match list.next_element()? {
                Some(raw) => *slot = Some(raw),
                None => return Ok(params),
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(params)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Params::default())
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Params::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Params::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Params::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Params::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Params::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Params::default())
    }
}
