//! Every route there is, in one table: what is documented is what is served.

use std::future::{Ready, ready};
use std::sync::Arc;

use axum::Router;
use axum::http::Uri;
use axum::routing::{MethodRouter, delete, get, post};
use chimera_store::Store;
use tokio::sync::watch;

use crate::error::ApiError;
use crate::{
    Admin, Snapshot, admin, bans, blocks, health, history, metrics, miners, payouts, plugins,
    stats, status,
};

/// What the routes read.
#[derive(Debug, Clone)]
pub struct Live {
    /// The pool as it is, published by the host.
    pub snapshot: watch::Receiver<Arc<Snapshot>>,
    /// The ledger; `None` while it is not open.
    pub store: watch::Receiver<Option<Arc<Store>>>,
    /// The way to change something; `None` if nothing can be.
    pub admin: Option<Admin>,
}

impl Live {
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.borrow())
    }

    pub(crate) fn store(&self) -> Result<Arc<Store>, ApiError> {
        self.store.borrow().clone().ok_or(ApiError::NotReady)
    }
}

/// One route.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// Its path; `{...}` stands for any text.
    pub path: &'static str,
    /// What it tells.
    pub about: &'static str,
    handler: fn() -> MethodRouter<Live>,
}

/// Every route, in the order people read them. All answer GET, but for those said to take
/// something else.
pub const ROUTES: [Route; 17] = [
    Route { path: "/", about: "this list", handler: || get(index) },
    Route {
        path: "/api/v1/status",
        about: "state, version, uptime, chain tip, connections; answers in every state",
        handler: || get(status::status),
    },
    Route {
        path: "/api/v1/health",
        about: "every part: healthy or not, why, since when, what to do; 503 unless all is well",
        handler: || get(health::health),
    },
    Route {
        path: "/api/v1/stats",
        about: "shares by outcome, hashrate over 5 min, 1 h, 24 h, blocks, luck, books; work a second old",
        handler: || get(stats::stats),
    },
    Route {
        path: "/api/v1/miners",
        about: "accounts: work (a second old), workers, hashrate, balance; ?limit=&after=",
        handler: || get(miners::list),
    },
    Route {
        path: "/api/v1/miners/{account}",
        about: "one account: workers, hashrate, balance, latest credits",
        handler: || get(miners::one),
    },
    Route {
        path: "/api/v1/blocks",
        about: "found blocks, newest first, with their effort; ?limit=&before=",
        handler: || get(blocks::list),
    },
    Route {
        path: "/api/v1/payouts",
        about: "settlements: who was credited what, newest first; ?limit=&before=",
        handler: || get(payouts::list),
    },
    Route {
        path: "/api/v1/payouts/{settlement}/record",
        about: "what a settlement commits to, without its rows; by number or key",
        handler: || get(payouts::record),
    },
    Route {
        path: "/api/v1/plugins",
        about: "what fills each slot: version, digest, configuration, calls, failures",
        handler: || get(plugins::list),
    },
    Route {
        path: "/api/v1/plugins/history",
        about: "every swap, step by step, newest first, and what is quarantined; ?slot=&limit=&before=",
        handler: || get(history::list),
    },
    Route {
        path: "/api/v1/plugins/{slot}/swap",
        about: "POST, with the token: another component, configuration or grants take over",
        handler: || post(admin::swap),
    },
    Route {
        path: "/api/v1/plugins/{slot}/rollback",
        about: "POST, with the token: what was in force before comes back",
        handler: || post(admin::rollback),
    },
    Route {
        path: "/api/v1/plugins/quarantine/{digest}/lift",
        about: "POST, with the token: a component that failed may come back",
        handler: || post(admin::lift),
    },
    Route {
        path: "/api/v1/bans",
        about: "with the token: addresses nobody is let in from; POST bans one",
        handler: || get(bans::list).post(bans::ban),
    },
    Route {
        path: "/api/v1/bans/{address}",
        about: "DELETE, with the token: an address is let in again",
        handler: || delete(bans::lift),
    },
    Route {
        path: "/metrics",
        about: "the same numbers for Prometheus",
        handler: || get(metrics::metrics),
    },
];

/// The API: windows, and a few doors.
pub fn router(live: Live) -> Router {
    ROUTES
        .iter()
        .fold(Router::new(), |router, route| router.route(route.path, (route.handler)()))
        .fallback(unknown)
        .method_not_allowed_fallback(|| async { ApiError::ReadOnly })
        .with_state(live)
}

/// Not `async`: the type of its future would depend on the table it stands in.
fn index() -> Ready<String> {
    let width = ROUTES.iter().map(|route| route.path.len()).max().unwrap_or(0);
    let line = |route: &Route| format!("{:width$}  {}\n", route.path, route.about);
    ready(ROUTES.iter().map(line).collect())
}

async fn unknown(uri: Uri) -> ApiError {
    ApiError::UnknownRoute(uri.path().to_owned())
}
