//! The positional arguments of a call, read with Core's errors.

use serde_json::Value;

use super::{code, fault};
use crate::rpc::RpcFault;
use crate::wire::parse_display_hash;

pub(super) struct Arguments<'a>(&'a [Value]);

impl<'a> Arguments<'a> {
    pub(super) fn of(params: &'a Value) -> Result<Self, RpcFault> {
        match params {
            Value::Null => Ok(Self(&[])),
            Value::Array(values) => Ok(Self(values)),
            _ => {
                Err(fault(code::INVALID_PARAMS, "Params must be an array; names are not supported"))
            }
        }
    }

    /// The value at a position; `null` is as good as absent, as in Core.
    pub(super) fn get(&self, position: usize) -> Option<&'a Value> {
        self.0.get(position).filter(|value| !value.is_null())
    }

    pub(super) fn text(&self, position: usize, name: &str) -> Result<&'a str, RpcFault> {
        let value = self.required(position, name)?;
        value.as_str().ok_or_else(|| wrong_type(name, value, "string"))
    }

    pub(super) fn integer(&self, position: usize, name: &str) -> Result<i64, RpcFault> {
        let value = self.required(position, name)?;
        value.as_i64().ok_or_else(|| wrong_type(name, value, "integer"))
    }

    /// A verbosity: a number, or a boolean as older callers send it.
    pub(super) fn verbosity(&self, position: usize, default: i64) -> Result<i64, RpcFault> {
        match self.get(position) {
            None => Ok(default),
            Some(Value::Bool(verbose)) => Ok(i64::from(*verbose)),
            Some(_) => self.integer(position, "verbosity"),
        }
    }

    /// A block hash in display order, returned in header order.
    pub(super) fn hash(&self, position: usize, name: &str) -> Result<[u8; 32], RpcFault> {
        let text = self.text(position, name)?;
        parse_display_hash(text).ok_or_else(|| {
            let shown: String = text.chars().take(80).collect();
            let message = if text.len() == 64 {
                format!("{name} must be hexadecimal string (not '{shown}')")
            } else {
                format!("{name} must be of length 64 (not {}, for '{shown}')", text.len())
            };
            fault(code::PARAMETER, message)
        })
    }

    fn required(&self, position: usize, name: &str) -> Result<&'a Value, RpcFault> {
        let missing = || {
            let message = format!("Missing argument {} ({name})", position + 1);
            fault(code::INVALID_PARAMS, message)
        };
        self.get(position).ok_or_else(missing)
    }
}

fn wrong_type(name: &str, value: &Value, right: &str) -> RpcFault {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    fault(code::TYPE, format!("{name}: JSON value of type {found} is not of expected type {right}"))
}
