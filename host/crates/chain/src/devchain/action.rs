//! What can be done to a node from outside, and how a script says it.

use serde_json::Value;

use super::faults::{Fault, FaultRule};
use super::methods::{code, fault};
use crate::rpc::RpcFault;

/// Something that happens to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// From now on it fails so.
    Fault(FaultRule),
    /// All faults end.
    ClearFaults,
    /// Somebody mines blocks with what the mempool has.
    Mine {
        /// How many; 1 to 1000.
        blocks: u32,
    },
    /// The last blocks are replaced at once by others, one more than they were.
    Reorg {
        /// How many; 1 to 100.
        depth: u32,
    },
    /// The tip changes to another of the same height and back.
    Flap {
        /// How often it changes; 1 to 1000.
        times: u32,
    },
    /// Transactions come in, spending mature coinbases anybody may spend (Bitcoin rules).
    Transactions {
        /// How many; 1 to 20,000.
        count: u32,
        /// Serialised size of each; 110 to 60,000.
        bytes: u32,
        /// Fee of each, in base units.
        fee: u64,
    },
    /// Verge: the template says so, and blocks are refused as `bad-blk-algorithm`.
    MiningDisabled(bool),
    /// The node says it is, and gives no templates.
    InitialDownload(bool),
    /// Its clock is wrong.
    ClockOffset {
        /// By so much; negative is slow.
        seconds: i64,
    },
}

impl Action {
    /// Reads the argument of the call `simulate`.
    ///
    /// # Errors
    /// Names the field and what would be right.
    pub fn parse(object: &Value) -> Result<Self, RpcFault> {
        let fields = Fields(object);
        match (object.get("fault"), object.get("action")) {
            (Some(_), None) => fields.fault_rule().map(Self::Fault),
            (None, Some(_)) => fields.action(),
            _ => Err(wrong(
                "fault",
                object,
                "one object with either \"fault\" or \"action\", \
                 e.g. {\"fault\":\"slow\",\"ms\":500} or {\"action\":\"mine\",\"n\":1}",
            )),
        }
    }
}

struct Fields<'a>(&'a Value);

impl Fields<'_> {
    fn fault_rule(&self) -> Result<FaultRule, RpcFault> {
        let fault = match self.text("fault", FAULTS)? {
            "slow" => Fault::Slow { ms: self.whole("ms", 0, 3_600_000)? },
            "hang" => Fault::Hang,
            "status" => Fault::Status(self.status()?),
            "warm_up" => Fault::WarmUp,
            "half_reply" => Fault::HalfReply,
            "half_json" => Fault::HalfJson,
            "stale" => Fault::Stale,
            "closed" => Fault::Closed,
            "error" => Fault::Error {
                code: self.signed("code", i32::MIN.into(), i32::MAX.into())? as i32,
                message: self.text("message", "the words of the error")?.to_owned(),
            },
            "zmq_silent" => Fault::ZmqSilent,
            _ => return Err(wrong("fault", &self.0["fault"], FAULTS)),
        };
        let times = match self.0.get("times") {
            None => None,
            Some(_) => Some(self.whole("times", 1, u32::MAX.into())? as u32),
        };
        Ok(FaultRule { fault, methods: self.methods()?, times })
    }

    fn action(&self) -> Result<Action, RpcFault> {
        Ok(match self.text("action", ACTIONS)? {
            "clear" => Action::ClearFaults,
            "mine" => Action::Mine { blocks: self.whole("n", 1, 1000)? as u32 },
            "reorg" => Action::Reorg { depth: self.whole("depth", 1, 100)? as u32 },
            "flap" => Action::Flap { times: self.whole("times", 1, 1000)? as u32 },
            "transactions" => Action::Transactions {
                count: self.whole("count", 1, 20_000)? as u32,
                bytes: self.whole("bytes", 110, 60_000)? as u32,
                fee: self.whole("fee", 0, 100_000_000)?,
            },
            "mining_disabled" => Action::MiningDisabled(self.flag("value")?),
            "initial_download" => Action::InitialDownload(self.flag("value")?),
            "clock_offset" => {
                Action::ClockOffset { seconds: self.signed("seconds", -YEARS_S, YEARS_S)? }
            }
            _ => return Err(wrong("action", &self.0["action"], ACTIONS)),
        })
    }

    fn methods(&self) -> Result<Option<Vec<String>>, RpcFault> {
        let right = "\"all\" or a list of method names, e.g. [\"getblocktemplate\"]";
        match self.0.get("methods") {
            None => Ok(None),
            Some(Value::String(all)) if all == "all" => Ok(None),
            Some(Value::Array(list)) if !list.is_empty() => {
                let name = |value: &Value| value.as_str().map(str::to_owned);
                let names: Option<Vec<String>> = list.iter().map(name).collect();
                names.map(Some).ok_or_else(|| wrong("methods", &self.0["methods"], right))
            }
            Some(other) => Err(wrong("methods", other, right)),
        }
    }

    fn status(&self) -> Result<u16, RpcFault> {
        let status = self.0.get("status").and_then(Value::as_u64);
        match status {
            Some(status @ (401 | 403 | 500 | 503)) => Ok(status as u16),
            _ => Err(wrong("status", &self.0["status"], "401, 403, 500 or 503")),
        }
    }

    fn text(&self, field: &str, right: &str) -> Result<&str, RpcFault> {
        self.0[field].as_str().ok_or_else(|| wrong(field, &self.0[field], right))
    }

    fn flag(&self, field: &str) -> Result<bool, RpcFault> {
        self.0[field].as_bool().ok_or_else(|| wrong(field, &self.0[field], "true or false"))
    }

    fn whole(&self, field: &str, least: u64, most: u64) -> Result<u64, RpcFault> {
        let value = self.0[field].as_u64().filter(|value| (least..=most).contains(value));
        let right = || format!("a whole number from {least} to {most}");
        value.ok_or_else(|| wrong(field, &self.0[field], &right()))
    }

    fn signed(&self, field: &str, least: i64, most: i64) -> Result<i64, RpcFault> {
        let value = self.0[field].as_i64().filter(|value| (least..=most).contains(value));
        let right = || format!("a whole number from {least} to {most}");
        value.ok_or_else(|| wrong(field, &self.0[field], &right()))
    }
}

/// Ten years, in seconds.
const YEARS_S: i64 = 315_360_000;

const FAULTS: &str = "\"slow\" (ms), \"hang\", \"status\" (status), \"warm_up\", \"half_reply\", \
                      \"half_json\", \"stale\", \"closed\", \"error\" (code, message) or \
                      \"zmq_silent\"";

const ACTIONS: &str = "\"clear\", \"mine\" (n), \"reorg\" (depth), \"flap\" (times), \
                       \"transactions\" (count, bytes, fee), \"mining_disabled\" (value), \
                       \"initial_download\" (value) or \"clock_offset\" (seconds)";

fn wrong(field: &str, found: &Value, right: &str) -> RpcFault {
    let found: String = found.to_string().chars().take(80).collect();
    fault(code::PARAMETER, format!("simulate: \"{field}\" is {found}; right would be {right}"))
}
