//! `chimera plugin rollback`: what was in force before comes back.

use clap::Args;
use serde_json::json;

use super::super::admin::AdminArgs;
use super::super::pool_api::Answer;
use super::super::{Exit, say};
use super::shown::show_swap;

/// Where.
#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// payout, auth or difficulty
    pub slot: String,
    /// Which pool
    #[command(flatten)]
    pub pool: AdminArgs,
}

/// Takes back the latest swap of a slot; what is tried out or announced is withdrawn instead.
pub(super) async fn run(args: RollbackArgs) -> anyhow::Result<Exit> {
    let path = format!("/api/v1/plugins/{}/rollback", args.slot);
    let answer = args.pool.post(&path, &json!({ "by": "chimera plugin rollback" })).await?;
    match &answer {
        Answer::Said(200, swap) => {
            if args.pool.json {
                say::json(swap);
            } else {
                show_swap(&args.slot, swap);
            }
            Ok(Exit::Done)
        }
        _ => Ok(args.pool.failed("rollback", &answer)),
    }
}
