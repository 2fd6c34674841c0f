//! What the pool says unasked. Nothing before the subscribe reply: each of these tells
//! whether it was said.

use super::Session;
use crate::{Outbox, Reconnect, notice};

impl Session {
    /// Asks the miner to reconnect.
    pub fn reconnect(&mut self, reconnect: &Reconnect, out: &mut Outbox) -> bool {
        self.say(|| notice::reconnect(reconnect, &mut out.bytes))
    }

    /// A text for the person at the miner.
    pub fn show_message(&mut self, text: &str, out: &mut Outbox) -> bool {
        self.say(|| notice::show_message(text, &mut out.bytes))
    }

    /// A sign of life: cpuminer gives a pool up after 300 s of silence.
    pub fn ping(&mut self, out: &mut Outbox) -> bool {
        let id = self.next_request();
        self.say(|| notice::request(id, "mining.ping", &mut out.bytes))
    }

    /// Asks what the miner is; the answer shows in [`user_agent`](Self::user_agent).
    pub fn get_version(&mut self, out: &mut Outbox) -> bool {
        let id = self.next_request();
        let said = self.say(|| notice::request(id, "client.get_version", &mut out.bytes));
        self.version_request = said.then_some(id);
        said
    }

    fn say(&self, line: impl FnOnce()) -> bool {
        if self.greeted {
            line();
        }
        self.greeted
    }

    fn next_request(&mut self) -> u32 {
        self.requests = self.requests.wrapping_add(1);
        self.requests
    }
}
