//! Lines of the Stratum V1 connection as a miner reads and writes them: a tolerant reader,
//! a strict writer. Pure.

use chimera_pow::Difficulty;
use serde_json::{Value, json};

/// Text of a pool is cut here before it is shown.
const SHOWN_CHARS_MAX: usize = 200;

/// One line of a pool.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum PoolLine {
    /// An answer to one of our requests.
    Reply { id: u64, outcome: Result<Value, String> },
    /// Something the pool asks or tells.
    Call { id: Value, call: Call },
}

/// What a pool asks or tells.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Call {
    Notify(Vec<Value>),
    /// `None`: zero or no number, which miners ignore.
    SetDifficulty(Option<Difficulty>),
    SetExtranonce(Vec<Value>),
    Reconnect {
        host: Option<String>,
        port: Option<u16>,
        wait_s: u64,
    },
    ShowMessage(String),
    GetVersion,
    Ping,
    Other(String),
}

/// A line that is no Stratum message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a Stratum message: {0}")]
pub(crate) struct NotStratum(pub(crate) String);

impl PoolLine {
    pub(crate) fn parse(line: &str) -> Result<Self, NotStratum> {
        let not_stratum = || NotStratum(shown(line));
        let message: Value = serde_json::from_str(line).map_err(|_| not_stratum())?;
        let id = message.get("id").cloned().unwrap_or(Value::Null);
        if let Some(method) = message.get("method").and_then(Value::as_str) {
            let params = message.get("params").and_then(Value::as_array);
            return Ok(Self::Call {
                id,
                call: Call::new(method, params.map_or(&[], Vec::as_slice)),
            });
        }
        let has_answer = message.get("result").is_some() || message.get("error").is_some();
        // Some pools echo the id as text.
        let id = id.as_u64().or_else(|| id.as_str()?.parse().ok());
        match id {
            Some(id) if has_answer => Ok(Self::Reply { id, outcome: outcome(&message) }),
            _ => Err(not_stratum()),
        }
    }
}

impl Call {
    fn new(method: &str, params: &[Value]) -> Self {
        let first = params.first();
        match method {
            "mining.notify" => Self::Notify(params.to_vec()),
            "mining.set_difficulty" => Self::SetDifficulty(first.and_then(difficulty)),
            "mining.set_extranonce" => Self::SetExtranonce(params.to_vec()),
            "client.reconnect" => {
                let text = |value: &Value| match value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                let host = first.and_then(Value::as_str).filter(|host| !host.is_empty());
                let port = params.get(1).and_then(|port| text(port).parse().ok());
                let wait_s = params.get(2).and_then(|wait| text(wait).parse().ok());
                Self::Reconnect {
                    host: host.map(str::to_owned),
                    port: port.filter(|port| *port > 0),
                    wait_s: wait_s.unwrap_or(0),
                }
            }
            "client.show_message" => {
                Self::ShowMessage(shown(first.and_then(Value::as_str).unwrap_or_default()))
            }
            "client.get_version" => Self::GetVersion,
            "mining.ping" => Self::Ping,
            other => Self::Other(shown(other)),
        }
    }
}

/// A request of ours, with its line end.
pub(crate) fn request(id: u64, method: &str, params: &Value) -> String {
    format!("{}\n", json!({ "id": id, "method": method, "params": params }))
}

/// A good answer to a pool's request; none is due when its id is null.
pub(crate) fn reply(id: &Value, result: &Value) -> Option<String> {
    let due = !id.is_null();
    due.then(|| format!("{}\n", json!({ "id": id, "result": result, "error": null })))
}

/// The answer to a request we do not know.
pub(crate) fn reply_unknown(id: &Value, method: &str) -> Option<String> {
    let error = json!([20, format!("unknown method {method}"), null]);
    let due = !id.is_null();
    due.then(|| format!("{}\n", json!({ "id": id, "result": null, "error": error })))
}

/// A pool's text made fit for a terminal: no control characters, no endless lines.
pub(crate) fn shown(text: &str) -> String {
    let visible = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut shown: String = visible.take(SHOWN_CHARS_MAX).collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown.trim().to_owned()
}

fn difficulty(value: &Value) -> Option<Difficulty> {
    // The specification says number; some pools send text.
    let number = value.as_f64().or_else(|| value.as_str()?.parse().ok())?;
    Difficulty::new(number).ok()
}

/// `false`, `null` or an error is a refusal; its reason stands in one of four places.
fn outcome(message: &Value) -> Result<Value, String> {
    let field = |name: &str| message.get(name).filter(|value| !value.is_null());
    match field("result") {
        Some(result) if *result != Value::Bool(false) && field("error").is_none() => {
            Ok(result.clone())
        }
        _ => Err(reason(field("error"), field("reject-reason"))),
    }
}

fn reason(error: Option<&Value>, reject_reason: Option<&Value>) -> String {
    let text = match error {
        Some(Value::Array(parts)) => parts.get(1).and_then(Value::as_str),
        Some(Value::Object(parts)) => parts.get("message").and_then(Value::as_str),
        Some(Value::String(text)) => Some(text.as_str()),
        _ => reject_reason.and_then(Value::as_str),
    };
    text.map(shown).filter(|text| !text.is_empty()).unwrap_or_else(|| "no reason given".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply_of(line: &str) -> (u64, Result<Value, String>) {
        match PoolLine::parse(line) {
            Ok(PoolLine::Reply { id, outcome }) => (id, outcome),
            other => panic!("{line} is a reply, not {other:?}"),
        }
    }

    fn call_of(line: &str) -> Call {
        match PoolLine::parse(line) {
            Ok(PoolLine::Call { call, .. }) => call,
            other => panic!("{line} is a call, not {other:?}"),
        }
    }

    #[test]
    fn a_refusal_gives_its_reason_in_every_pools_spelling() {
        for (line, reason) in [
            (
                r#"{"id":4,"result":null,"error":[23,"low difficulty share",null]}"#,
                "low difficulty share",
            ),
            (r#"{"id":4,"result":false,"error":[21,"job not found"]}"#, "job not found"),
            (
                r#"{"id":4,"result":false,"error":null,"reject-reason":"Above target"}"#,
                "Above target",
            ),
            (r#"{"id":4,"result":false,"error":{"code":20,"message":"other"}}"#, "other"),
            (r#"{"id":"4","result":null,"error":"stale"}"#, "stale"),
            (r#"{"id":4,"result":false,"error":null}"#, "no reason given"),
            (r#"{"id":4,"error":[24]}"#, "no reason given"),
        ] {
            assert_eq!(reply_of(line), (4, Err(reason.to_owned())), "{line}");
        }
        let accepted = r#"{"id":5,"result":true,"error":null}"#;
        assert_eq!(reply_of(accepted), (5, Ok(Value::Bool(true))));
    }

    #[test]
    fn reconnect_is_read_with_and_without_parameters() {
        for (params, host, port, wait_s) in [
            ("[]", None, None, 0),
            (r#"["",0,0]"#, None, None, 0),
            (r#"["eu.pool.example",3334,5]"#, Some("eu.pool.example"), Some(3334), 5),
            (r#"["eu.pool.example","3334","5"]"#, Some("eu.pool.example"), Some(3334), 5),
        ] {
            let line = format!(r#"{{"id":null,"method":"client.reconnect","params":{params}}}"#);
            let host = host.map(str::to_owned);
            assert_eq!(call_of(&line), Call::Reconnect { host, port, wait_s });
        }
    }

    #[test]
    fn difficulty_zero_or_nonsense_is_ignored() {
        for (params, expected) in [
            ("[0.25]", Some(0.25)),
            ("[512]", Some(512.0)),
            (r#"["0.001"]"#, Some(0.001)),
            ("[0]", None),
            ("[-1]", None),
            ("[]", None),
            ("[null]", None),
        ] {
            let line = format!(r#"{{"method":"mining.set_difficulty","params":{params}}}"#);
            let expected = expected.and_then(|value| Difficulty::new(value).ok());
            assert_eq!(call_of(&line), Call::SetDifficulty(expected));
        }
    }

    #[test]
    fn text_of_a_pool_cannot_drive_the_terminal() {
        let line = "{\"method\":\"client.show_message\",\"params\":[\"\\u001b[2Jhello\\n\"]}";
        assert_eq!(call_of(line), Call::ShowMessage("[2Jhello".to_owned()));
        assert_eq!(shown(&"x".repeat(500)).chars().count(), SHOWN_CHARS_MAX + 1);
    }

    #[test]
    fn what_is_no_stratum_message_is_said_to_be_none() {
        for line in
            ["", "HTTP/1.1 400 Bad Request", "[]", "7", "{}", r#"{"id":null,"result":true}"#]
        {
            assert!(PoolLine::parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn null_id_is_never_answered() {
        assert_eq!(reply(&Value::Null, &json!("pong")), None);
        assert_eq!(reply_unknown(&Value::Null, "x"), None);
        let answer = reply(&json!(78), &json!("pong")).expect("an id is answered");
        assert_eq!(answer, "{\"error\":null,\"id\":78,\"result\":\"pong\"}\n");
    }
}
