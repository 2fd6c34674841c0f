//! `/api/v1/bans`: addresses nobody is let in from. Only for who shows the token: whom an
//! operator bans is nobody else's business.

use std::net::IpAddr;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use chimera_store::BanRow;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Live;
use crate::admin::{AdminRequest, admitted, answer, ask, parse};
use crate::error::ApiError;

/// Whoever is to be banned for longer is banned for ever.
const SECONDS_MAX: u64 = 10 * 365 * 86_400;
/// Miners are told it in one line.
const REASON_BYTES_MAX: usize = 256;
const NO_REASON: &str = "by the operator";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BanBody {
    address: String,
    seconds: Option<u64>,
    reason: Option<String>,
}

/// `GET /api/v1/bans`
pub(crate) async fn list(
    State(live): State<Live>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let admin = admitted(&live, &headers)?;
    Ok(answer(ask(admin, AdminRequest::Bans).await?))
}

/// `POST /api/v1/bans`
pub(crate) async fn ban(
    State(live): State<Live>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let admin = admitted(&live, &headers)?;
    let BanBody { address, seconds, reason } = parse(&body)?;
    let address = address_of(&address)?;
    if seconds.is_some_and(|seconds| !(1..=SECONDS_MAX).contains(&seconds)) {
        let right = format!("seconds must be 1 to {SECONDS_MAX}; without it the ban is for ever");
        return Err(ApiError::BadBody(right));
    }
    let reason = reason.unwrap_or_else(|| NO_REASON.to_owned());
    if reason.len() > REASON_BYTES_MAX || reason.contains(char::is_control) {
        let right = format!("reason must be one line of at most {REASON_BYTES_MAX} bytes");
        return Err(ApiError::BadBody(right));
    }
    Ok(answer(ask(admin, AdminRequest::Ban { address, seconds, reason }).await?))
}

/// `DELETE /api/v1/bans/{address}`
pub(crate) async fn lift(
    State(live): State<Live>,
    Path(address): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let admin = admitted(&live, &headers)?;
    let address = address_of(&address)?;
    Ok(answer(ask(admin, AdminRequest::LiftBan { address }).await?))
}

fn address_of(text: &str) -> Result<IpAddr, ApiError> {
    let unusable = |_| ApiError::BadQuery(format!("{text:?} is not an IP address"));
    text.parse().map_err(unusable)
}

/// A ban as it is shown.
pub(crate) fn shown(row: &BanRow) -> Value {
    let BanRow { address, until_ms, reason, source, created_ms } = row;
    json!({
        "address": address, "until_ms": until_ms, "reason": reason, "source": source.name(),
        "created_ms": created_ms,
    })
}
