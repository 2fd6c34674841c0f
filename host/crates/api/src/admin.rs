//! The few doors through which something is changed: swapping a slot's component, taking that
//! back, lifting a quarantine, banning addresses. The host decides; here requests are let in, or not.
//!
//! Let in is who shows the token, as `Authorization: Bearer`. A browser is not: whatever
//! sends an `Origin` header is refused, so that no web page can use an operator's network.

use std::fmt;
use std::net::IpAddr;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::{AUTHORIZATION, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chimera_store::BanRow;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::error::ApiError;
use crate::{Lifecycle, Live, bans};

/// The way to the host, and who may use it.
#[derive(Clone)]
pub struct Admin {
    token: String,
    commands: mpsc::Sender<AdminCommand>,
}

/// A request on its way, and where its answer is waited for.
#[derive(Debug)]
pub struct AdminCommand {
    /// What is asked for.
    pub request: AdminRequest,
    /// Where the answer goes.
    pub answer: oneshot::Sender<AdminAnswer>,
}

/// What can be asked for.
#[derive(Debug)]
pub enum AdminRequest {
    /// Another component, configuration or grants for a slot.
    Swap {
        /// Which slot.
        slot: String,
        /// What.
        swap: SwapBody,
    },
    /// What was in force before; what is announced or tried is withdrawn instead.
    Rollback {
        /// Which slot.
        slot: String,
        /// Who asks.
        by: String,
    },
    /// A quarantined component may come back.
    Lift {
        /// Its digest, hex.
        digest: String,
        /// Who asks.
        by: String,
    },
    /// Every ban in force.
    Bans,
    /// Nobody of an address is let in.
    Ban {
        /// Whom.
        address: IpAddr,
        /// For how long; without it for ever.
        seconds: Option<u64>,
        /// What they are told.
        reason: String,
    },
    /// An address is let in again.
    LiftBan {
        /// Which.
        address: IpAddr,
    },
}

/// The body of a request to swap.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwapBody {
    /// A component's name, or the digest of one that was in force here.
    pub component: String,
    /// Its configuration; without it what it has in force or in the settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Value>,
    /// The component must have this digest, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// What it may use; without it what is granted now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<Vec<String>>,
    /// Who asks, for the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// The body of the other requests.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ByBody {
    by: Option<String>,
}

/// What has become of a request.
#[derive(Debug)]
pub enum AdminAnswer {
    /// Of a swap or a rollback.
    Swap(SwapAnswer),
    /// Of a lift: whether anything was quarantined, or what is wrong with the digest.
    Lifted(Result<bool, String>),
    /// Every ban in force.
    Bans(Vec<BanRow>),
    /// The ban, or why it will not outlive a restart.
    Banned(Result<BanRow, String>),
    /// Whether there was a ban, or why it will come back with a restart.
    BanLifted(Result<bool, String>),
}

/// What has become of a swap so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SwapAnswer {
    /// In one word.
    pub outcome: SwapOutcome,
    /// Its number in the history.
    pub swap: Option<u64>,
    /// The generation it put in force.
    pub generation: Option<u32>,
    /// Why it was refused.
    pub message: Option<String>,
    /// What was done, oldest first.
    pub steps: Vec<SwapStep>,
}

/// The end of a swap, or where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SwapOutcome {
    /// It is in force.
    Active,
    /// It is asked beside, or for a part of, the one in force.
    Trial,
    /// It takes effect later.
    Announced,
    /// Nothing has changed.
    Refused,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SwapStep {
    /// Which.
    pub step: String,
    /// When, ms since the Unix epoch.
    pub at_ms: u64,
    /// What happened.
    pub detail: String,
}

impl Admin {
    /// Lets in who shows the token.
    pub const fn new(token: String, commands: mpsc::Sender<AdminCommand>) -> Self {
        Self { token, commands }
    }

    /// Takes the same time wherever a wrong token differs.
    fn admits(&self, headers: &HeaderMap) -> bool {
        let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some((scheme, shown)) = value.and_then(|value| value.split_once(' ')) else {
            return false;
        };
        let (shown, right) = (shown.trim().as_bytes(), self.token.as_bytes());
        let differing = shown.iter().zip(right).fold(0, |bits, (a, b)| bits | (a ^ b));
        scheme.eq_ignore_ascii_case("bearer") && shown.len() == right.len() && differing == 0
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Admin(..)")
    }
}

/// `POST /api/v1/plugins/{slot}/swap`
pub(crate) async fn swap(
    State(live): State<Live>,
    Path(slot): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let admin = admitted(&live, &headers)?;
    let swap = parse(&body)?;
    Ok(answer(ask(admin, AdminRequest::Swap { slot, swap }).await?))
}

/// `POST /api/v1/plugins/{slot}/rollback`
pub(crate) async fn rollback(
    State(live): State<Live>,
    Path(slot): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let admin = admitted(&live, &headers)?;
    let by = parse_by(&body)?;
    Ok(answer(ask(admin, AdminRequest::Rollback { slot, by }).await?))
}

/// `POST /api/v1/plugins/quarantine/{digest}/lift`
pub(crate) async fn lift(
    State(live): State<Live>,
    Path(digest): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let admin = admitted(&live, &headers)?;
    let by = parse_by(&body)?;
    Ok(answer(ask(admin, AdminRequest::Lift { digest, by }).await?))
}

pub(crate) fn admitted<'a>(live: &'a Live, headers: &HeaderMap) -> Result<&'a Admin, ApiError> {
    if headers.contains_key(ORIGIN) {
        return Err(ApiError::Browser);
    }
    let admin = live.admin.as_ref().filter(|admin| admin.admits(headers));
    let admin = admin.ok_or(ApiError::NoToken)?;
    if live.snapshot().lifecycle != Lifecycle::Running {
        return Err(ApiError::NotRunning);
    }
    Ok(admin)
}

pub(crate) fn parse<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::BadBody(error.to_string()))
}

fn parse_by(body: &[u8]) -> Result<String, ApiError> {
    let body: ByBody = if body.is_empty() { ByBody::default() } else { parse(body)? };
    Ok(body.by.unwrap_or_else(|| "api".to_owned()))
}

pub(crate) async fn ask(admin: &Admin, request: AdminRequest) -> Result<AdminAnswer, ApiError> {
    let (answer, answered) = oneshot::channel();
    let command = AdminCommand { request, answer };
    admin.commands.try_send(command).map_err(|_| ApiError::Busy)?;
    answered.await.map_err(|_| ApiError::NotRunning)
}

pub(crate) fn answer(answer: AdminAnswer) -> Response {
    match answer {
        AdminAnswer::Swap(swap) => {
            let refused = swap.outcome == SwapOutcome::Refused;
            let code = if refused { StatusCode::CONFLICT } else { StatusCode::OK };
            (code, Json(swap)).into_response()
        }
        AdminAnswer::Lifted(Ok(lifted)) => Json(json!({ "lifted": lifted })).into_response(),
        AdminAnswer::Lifted(Err(message)) => ApiError::BadQuery(message).into_response(),
        AdminAnswer::Bans(rows) => {
            let rows: Vec<_> = rows.iter().map(bans::shown).collect();
            Json(json!({ "bans": rows })).into_response()
        }
        AdminAnswer::Banned(Ok(row)) => Json(bans::shown(&row)).into_response(),
        AdminAnswer::BanLifted(Ok(lifted)) => Json(json!({ "lifted": lifted })).into_response(),
        AdminAnswer::Banned(Err(why)) | AdminAnswer::BanLifted(Err(why)) => {
            ApiError::NotKept(why).into_response()
        }
    }
}
