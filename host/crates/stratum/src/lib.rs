//! Stratum V1: what miners say, and the session that answers. Pure: bytes and the host's
//! answers go in; bytes and [`Effect`]s come out. No socket, no clock, no thread.
//!
//! The straight line of a share: [`LineBuffer`] cuts a line, the session parses it once,
//! `chimera_work` judges it, [`Effect::Found`] and [`Effect::Credit`] leave, and the reply
//! waits in the order of the requests until the host says [`Session::durable`].
#![forbid(unsafe_code)]

mod configure;
mod counters;
mod difficulty_choice;
mod effect;
mod fault;
mod line;
mod notice;
mod notify;
mod params;
mod proxy_header;
mod refusal;
mod reply_queue;
mod request;
mod request_id;
mod seat;
mod session;
mod share_rate;
mod submit;
mod suggest;
mod user_name;
mod usual_submit;

pub use counters::Counters;
pub use difficulty_choice::DifficultyLimits;
pub use effect::{AuthAnswer, AuthTicket, Effect, Login, Outbox};
pub use fault::{Fault, Param};
pub use line::{LINE_BYTES_MAX, Line, LineBuffer, Unread};
pub use notice::Reconnect;
pub use notify::NotifyLine;
pub use proxy_header::{PROXY_HEADER_BYTES_MAX, ProxyFault, ProxyHeader};
pub use refusal::Refusal;
pub use reply_queue::PENDING_REPLIES_MAX;
pub use seat::{Seat, SessionId};
pub use session::state::{Jobs, SeatState, SessionState};
pub use session::{Session, SessionConfig, USER_BYTES_MAX, WORKERS_MAX};
pub use share_rate::Measure;
