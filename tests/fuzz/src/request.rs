//! One line, to a session that has just begun and to one that mines: at most one reply, under
//! the id of the request, in the shape miners need.

use serde_json::Value;
use serde_json::value::RawValue;

use super::session::{Pool, said};

/// A line; what stands behind its end is not given to a session.
pub fn run(bytes: &[u8]) {
    let bytes = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    for begun in [false, true] {
        let mut pool = Pool::new();
        if begun {
            pool.begin();
        }
        pool.session.handle_line(bytes, &mut pool.out);
        let asked = pool.out.effects.len();
        assert!(asked <= 2, "{:?}", pool.out.effects);
        pool.answer_everything();
        let lines = said(&pool.take_bytes());
        let replies: Vec<&Value> =
            lines.iter().filter(|line| line.get("method").is_none()).collect();
        check(bytes, &replies);
    }
}

fn check(line: &[u8], replies: &[&Value]) {
    assert!(replies.len() <= 1, "{replies:?}");
    let Some(sent) = Sent::read(line) else { return };
    let text = |index: usize| replies.get(index).and_then(|reply| reply["error"][1].as_str());
    match replies.first() {
        Some(reply) if reply["id"] == sent.id => {}
        // Its id could not be kept, or a member stands there twice.
        Some(reply) => {
            let text = text(0).unwrap_or_default();
            let unreadable = text.starts_with("not a JSON") || text.starts_with("id is longer");
            assert!(reply["id"].is_null() && unreadable, "{reply}");
        }
        None => assert!(sent.id.is_null() || !sent.is_request, "no reply"),
    }
}

/// What a line says, read in another way.
struct Sent {
    id: Value,
    is_request: bool,
}

impl Sent {
    fn read(line: &[u8]) -> Option<Self> {
        let members: std::collections::HashMap<String, &RawValue> =
            serde_json::from_slice(line).ok()?;
        let value = |name: &str| {
            members.get(name).map_or(Some(Value::Null), |raw| serde_json::from_str(raw.get()).ok())
        };
        let (id, method) = (value("id")?, value("method")?);
        let answers = members.contains_key("result") || members.contains_key("error");
        let pong = matches!(method.as_str(), Some("pong" | "mining.pong"));
        Some(Self { id, is_request: !(pong || method.is_null() && answers) })
    }
}
