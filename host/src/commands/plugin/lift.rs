//! `chimera plugin lift`: a component that failed may come back.

use clap::Args;
use serde_json::json;

use super::super::admin::AdminArgs;
use super::super::pool_api::Answer;
use super::super::{Exit, say};

/// Which.
#[derive(Debug, Args)]
pub struct LiftArgs {
    /// The component's digest, as `chimera plugin history` shows it
    pub digest: String,
    /// Which pool
    #[command(flatten)]
    pub pool: AdminArgs,
}

/// Lifts a quarantine. It swaps nothing.
pub(super) async fn run(args: LiftArgs) -> anyhow::Result<Exit> {
    let path = format!("/api/v1/plugins/quarantine/{}/lift", args.digest);
    let answer = args.pool.post(&path, &json!({ "by": "chimera plugin lift" })).await?;
    match &answer {
        Answer::Said(200, body) => {
            let lifted = body["lifted"] == true;
            if args.pool.json {
                say::json(body);
            } else if lifted {
                say::done("lift", "it may come back; `chimera plugin swap` brings it");
            } else {
                say::trouble("lift", "this digest is not quarantined");
            }
            Ok(if lifted { Exit::Done } else { Exit::Failed })
        }
        _ => Ok(args.pool.failed("lift", &answer)),
    }
}
