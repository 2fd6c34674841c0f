//! What a client is told when it gets no data: always JSON, always a code and a sentence.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chimera_store::StoreError;
use serde_json::json;

use crate::ROUTES;

/// A request that gets no data.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("{0}")]
    BadQuery(String),
    #[error("no account \"{0}\" has ever mined here")]
    UnknownAccount(String),
    #[error("no settlement \"{0}\" with a record; name it by its number or its key")]
    UnknownSettlement(String),
    #[error("there is no {0} here; the routes are {routes}", routes = route_list())]
    UnknownRoute(String),
    #[error("this route takes another method; most are only read: use GET")]
    ReadOnly,
    #[error(
        "changes need the token: Authorization: Bearer <what is in admin.token in pool.data_dir>"
    )]
    NoToken,
    #[error("changes are not taken from web pages")]
    Browser,
    #[error("this body is not understood: {0}")]
    BadBody(String),
    #[error("the pool is not running; ask /api/v1/status")]
    NotRunning,
    #[error("too many requests wait already; try again")]
    Busy,
    #[error("{0}")]
    NotKept(String),
    #[error("the ledger is not open yet; ask /api/v1/status")]
    NotReady,
    #[error("the ledger cannot be read; ask /api/v1/health")]
    Store(#[from] StoreError),
}

impl ApiError {
    const fn code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::BadQuery(_) => (StatusCode::BAD_REQUEST, "bad-query"),
            Self::UnknownAccount(_) => (StatusCode::NOT_FOUND, "unknown-account"),
            Self::UnknownSettlement(_) => (StatusCode::NOT_FOUND, "unknown-settlement"),
            Self::UnknownRoute(_) => (StatusCode::NOT_FOUND, "unknown-route"),
            Self::ReadOnly => (StatusCode::METHOD_NOT_ALLOWED, "read-only"),
            Self::NoToken => (StatusCode::UNAUTHORIZED, "no-token"),
            Self::Browser => (StatusCode::FORBIDDEN, "browser"),
            Self::BadBody(_) => (StatusCode::BAD_REQUEST, "bad-body"),
            Self::NotRunning => (StatusCode::SERVICE_UNAVAILABLE, "not-running"),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            Self::NotKept(_) => (StatusCode::SERVICE_UNAVAILABLE, "not-kept"),
            Self::NotReady => (StatusCode::SERVICE_UNAVAILABLE, "not-ready"),
            Self::Store(_) => (StatusCode::SERVICE_UNAVAILABLE, "ledger-unreadable"),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if let Self::Store(error) = &self {
            // The cause may name files; it is for the operator's log, not for strangers.
            tracing::warn!(%error, "the API cannot read the ledger");
        }
        let (status, code) = self.code();
        let body = json!({ "error": { "code": code, "message": self.to_string() } });
        (status, axum::Json(body)).into_response()
    }
}

fn route_list() -> String {
    let paths: Vec<&str> = ROUTES.iter().map(|route| route.path).collect();
    paths.join(", ")
}
