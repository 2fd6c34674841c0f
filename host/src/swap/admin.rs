//! What comes through the API's doors.

use std::sync::Arc;

use chimera_api::{AdminAnswer, AdminCommand, AdminRequest, SwapAnswer, SwapBody};
use chimera_plugin::{Digest, Grants};
use tokio::sync::mpsc;

use super::SlotName;
use super::manager::Manager;
use super::request::{SwapRequest, refusal};
use crate::clock::now_ms;

/// Who asks when the caller does not say.
const BY_API: &str = "api";

/// Where requests arrive.
pub(crate) struct Commands(pub mpsc::Receiver<AdminCommand>);

impl Manager {
    /// Does what is asked for and answers.
    pub(super) async fn obey(self: &Arc<Self>, command: AdminCommand) {
        let answer = match command.request {
            AdminRequest::Swap { slot, swap } => AdminAnswer::Swap(self.swap(&slot, swap).await),
            AdminRequest::Rollback { slot, by } => {
                AdminAnswer::Swap(match slot.parse::<SlotName>() {
                    Ok(slot) => self.roll_back(slot, &by).await,
                    Err(unknown) => refusal(unknown),
                })
            }
            AdminRequest::Lift { digest, by } => AdminAnswer::Lifted(self.lift(&digest, &by).await),
            AdminRequest::Bans => AdminAnswer::Bans(self.bans.list()),
            AdminRequest::Ban { address, seconds, reason } => {
                AdminAnswer::Banned(self.bans.set(address, seconds, reason).await)
            }
            AdminRequest::LiftBan { address } => {
                AdminAnswer::BanLifted(self.bans.lift(address).await)
            }
        };
        // The caller may have hung up.
        let _ = command.answer.send(answer);
    }

    async fn swap(self: &Arc<Self>, slot: &str, body: SwapBody) -> SwapAnswer {
        match request(slot, body) {
            Ok(request) => self.request(request).await,
            Err(refused) => refusal(refused),
        }
    }

    async fn lift(&self, digest: &str, by: &str) -> Result<bool, String> {
        let digest: Digest = digest.parse().map_err(|error| format!("{error}"))?;
        let lifted = self.store.lift_quarantine(digest.as_bytes(), by, now_ms()).await;
        let lifted = lifted.map_err(|error| error.to_string())?;
        if lifted {
            tracing::info!(%digest, by, "quarantine lifted");
            self.lifted().await;
        }
        Ok(lifted)
    }
}

fn request(slot: &str, body: SwapBody) -> Result<SwapRequest, String> {
    let SwapBody { component, config, digest, grants, by } = body;
    Ok(SwapRequest {
        slot: slot.parse::<SlotName>()?,
        component,
        // As the component reads it: text is text, everything else JSON.
        config: config.map(|config| match config {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        }),
        grants: grants.map(|texts| Grants::parse(&texts)).transpose().map_err(|e| e.to_string())?,
        digest: digest
            .map(|text| text.parse())
            .transpose()
            .map_err(|error: chimera_plugin::BadDigest| error.to_string())?,
        by: by.unwrap_or_else(|| BY_API.to_owned()),
    })
}
