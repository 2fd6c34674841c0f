//! A line becomes a request: parsed once, typed, borrowed from the line.

use std::borrow::Cow;

use chimera_pow::Difficulty;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::configure::{self, Extension};
use crate::params::{Params, unquote};
use crate::request_id::RequestId;
use crate::submit::Submit;
use crate::{Fault, Param, SessionId, USER_BYTES_MAX, suggest, user_name, usual_submit};

/// One line from a miner.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    /// To be echoed.
    pub(crate) id: RequestId,
    /// What it asks for, or why that cannot be told.
    pub(crate) call: Result<Call<'a>, Fault>,
}

/// What miners ask for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Call<'a> {
    Subscribe {
        user_agent: Option<Cow<'a, str>>,
        resume: Option<SessionId>,
    },
    Authorize {
        user: Cow<'a, str>,
        password: Cow<'a, str>,
    },
    Submit(Submit<'a>),
    Configure(Vec<Extension>),
    ExtranonceSubscribe,
    Suggest(Difficulty),
    /// The same as a target, which needs no unit.
    SuggestTarget(Difficulty),
    Ping,
    GetTransactions,
    MultiVersion,
    /// bfgminer's set_goal and capabilities: nothing follows from them.
    Hint,
    /// No request: the miner answers one of the pool's. The result, if it is a string.
    Reply {
        text: Option<Cow<'a, str>>,
    },
}

/// The members of a line that matter; others are ignored.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<&'a RawValue>,
    #[serde(borrow, default)]
    params: Params<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'a RawValue>,
}

/// Unlike `Option`, tells null from absent.
fn present<'de, D: Deserializer<'de>>(json: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(json).map(Some)
}

impl<'a> Request<'a> {
    /// Reads a line. Never fails as a whole: what is wrong is told in `call`.
    pub(crate) fn parse(line: &'a [u8]) -> Self {
        usual_submit::parse(line).unwrap_or_else(|| Self::parse_any(line))
    }

    /// As [`parse`](Self::parse), without the short way.
    pub(crate) fn parse_any(line: &'a [u8]) -> Self {
        let unreadable = |fault| Self { id: RequestId::Unreadable, call: Err(fault) };
        // Serde would also take a list for the object.
        let object = str::from_utf8(line).ok().filter(|text| text.starts_with('{'));
        let Some(envelope) = object.and_then(|text| serde_json::from_str(text).ok()) else {
            return unreadable(Fault::NotJson);
        };
        let envelope: Envelope<'a> = envelope;
        match RequestId::new(envelope.id) {
            Ok(id) => Self { id, call: envelope.call() },
            Err(fault) => unreadable(fault),
        }
    }
}

impl<'a> Envelope<'a> {
    fn call(self) -> Result<Call<'a>, Fault> {
        let Some(method) = self.method else {
            let reply = self.result.is_some() || self.error.is_some();
            let text = self.result.and_then(|json| unquote(json.get()));
            return if reply { Ok(Call::Reply { text }) } else { Err(Fault::UnknownMethod) };
        };
        let method = unquote(method.get()).ok_or(Fault::UnknownMethod)?;
        let params = &self.params;
        Ok(match method.as_ref() {
            "mining.submit" => Call::Submit(Submit::parse(params)?),
            "mining.subscribe" => Call::Subscribe {
                user_agent: params.text(0),
                resume: params.text(1).and_then(|id| SessionId::parse(&id)),
            },
            "mining.authorize" => authorize(params)?,
            "mining.configure" => Call::Configure(configure::parse(params)?),
            "mining.extranonce.subscribe" => Call::ExtranonceSubscribe,
            "mining.suggest_difficulty" => Call::Suggest(suggest::difficulty(params)?),
            "mining.suggest_target" => Call::SuggestTarget(suggest::target(params)?),
            "mining.ping" => Call::Ping,
            // ESP-Miner's answer to a ping; it would take a reply to it for a refused share.
            "pong" | "mining.pong" => Call::Reply { text: None },
            "mining.get_transactions" => Call::GetTransactions,
            "mining.multi_version" => Call::MultiVersion,
            "mining.set_goal" | "mining.capabilities" => Call::Hint,
            other => {
                let number = suggest::in_method_name(other).ok_or(Fault::UnknownMethod)?;
                Call::Suggest(suggest::from_text(number)?)
            }
        })
    }
}

fn authorize<'a>(params: &Params<'a>) -> Result<Call<'a>, Fault> {
    let user = user_name::parse(params)?;
    if user.is_empty() {
        return Err(Fault::Missing(Param::User));
    }
    if user.len() > USER_BYTES_MAX {
        return Err(Fault::UserTooLong { found: user.len() });
    }
    Ok(Call::Authorize { user, password: params.text(1).unwrap_or_default() })
}
