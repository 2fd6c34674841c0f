//! `/api/v1/plugins/history`: every swap, step by step, and what is quarantined.

use axum::Json;
use axum::extract::State;
use chimera_store::{Quarantined, Swap, SwapId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::ApiError;
use crate::page::{Asked, Newest, Page};
use crate::payouts::hex;
use crate::{Live, SwapStep};

const SLOTS: [&str; 3] = ["payout", "auth", "difficulty"];

/// A swap has about ten steps.
const LIMIT_MAX: u32 = 100;

/// Newest first, of one slot or all.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HistoryQuery {
    slot: Option<String>,
    limit: Option<u32>,
    before: Option<u64>,
}

#[derive(Debug, Serialize)]
pub(crate) struct History {
    #[serde(flatten)]
    page: Page<SwapView>,
    /// Components that failed in force and may not come back until they are lifted.
    quarantined: Vec<QuarantineView>,
}

#[derive(Debug, Serialize)]
struct SwapView {
    swap: u64,
    slot: String,
    /// What was asked for: a name, or a digest.
    component: String,
    /// The component that was found, hex.
    digest: Option<String>,
    /// Canonical, without what its schema marks as secret; null if nothing of it may be shown,
    /// or before the component has accepted it.
    config: Value,
    /// BLAKE3 of it, hex, as settlements record it; null if not all of it is shown: a password
    /// could be tried against it.
    config_hash: Option<String>,
    grants: Vec<String>,
    by: String,
    begun_at_ms: u64,
    /// When it may take effect, if it was announced.
    due_ms: Option<u64>,
    /// `active`, `refused`, `withdrawn`, `abandoned`; null while it is under way.
    outcome: Option<String>,
    generation: Option<u32>,
    steps: Vec<SwapStep>,
}

#[derive(Debug, Serialize)]
struct QuarantineView {
    name: String,
    digest: String,
    /// Only under the configuration of this BLAKE3 hash, hex; null under any.
    config_hash: Option<String>,
    why: String,
    since_ms: u64,
}

pub(crate) async fn list(
    State(live): State<Live>,
    Asked(query): Asked<HistoryQuery>,
) -> Result<Json<History>, ApiError> {
    let slot = query.slot;
    if let Some(slot) = &slot
        && !SLOTS.contains(&slot.as_str())
    {
        let there_are = SLOTS.join(", ");
        return Err(ApiError::BadQuery(format!(
            "there is no slot {slot:?}; there are: {there_are}"
        )));
    }
    let query = Newest::new(query.limit, query.before);
    let limit = query.limit(LIMIT_MAX)?;
    let store = live.store()?;
    let before = query.before().map(SwapId);
    let rows = store.swaps(slot.as_deref(), limit + 1, before).await?;
    let path = match &slot {
        Some(slot) => format!("/api/v1/plugins/history?slot={slot}"),
        None => "/api/v1/plugins/history".to_owned(),
    };
    let cursor = |last: &Swap| ("before", last.id.0.to_string());
    let page = Page::cut(rows, limit, &path, cursor, SwapView::new);
    let quarantined = store.quarantined().await?.into_iter().map(QuarantineView::new).collect();
    Ok(Json(History { page, quarantined }))
}

impl SwapView {
    fn new(swap: Swap) -> Self {
        let Swap {
            id,
            asked,
            shown_config,
            begun_at_ms,
            digest,
            due_ms,
            generation,
            outcome,
            steps,
        } = swap;
        let step = |step: chimera_store::SwapStep| SwapStep {
            step: step.step,
            at_ms: step.at_ms,
            detail: step.detail,
        };
        let config = shown_config.as_deref().and_then(|text| serde_json::from_str(text).ok());
        let config: Value = config.unwrap_or_default();
        let complete = serde_json::from_str(&asked.config).is_ok_and(|all: Value| all == config);
        Self {
            swap: id.0,
            slot: asked.slot,
            component: asked.component,
            digest: digest.map(|digest| hex(&digest)),
            config_hash: complete.then(|| hash(&asked.config)),
            config,
            grants: asked.grants,
            by: asked.by,
            begun_at_ms,
            due_ms,
            outcome,
            generation: generation.map(|id| id.0),
            steps: steps.into_iter().map(step).collect(),
        }
    }
}

impl QuarantineView {
    fn new(failed: Quarantined) -> Self {
        Self {
            name: failed.name,
            digest: hex(&failed.digest),
            config_hash: failed.config.map(|config| hash(&config)),
            why: failed.why,
            since_ms: failed.since_ms,
        }
    }
}

fn hash(config: &str) -> String {
    blake3::hash(config.as_bytes()).to_hex().to_string()
}
