//! `chimera ban`: addresses a running pool lets nobody in from.

use std::net::IpAddr;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::admin::AdminArgs;
use super::pool_api::Answer;
use super::{Exit, say};
use crate::clock::now_ms;

const ROUTE: &str = "/api/v1/bans";

/// What can be done about bans.
#[derive(Debug, Subcommand)]
pub enum BanCommand {
    /// Show who is banned, until when, why and by whom
    List(ListArgs),
    /// Ban an address; those connected go on
    Add(AddArgs),
    /// Let an address in again
    Lift(LiftArgs),
}

/// Of which pool.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Which pool
    #[command(flatten)]
    pub pool: AdminArgs,
}

/// Whom.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// An IPv4 or IPv6 address; the first address of an IPv6 /64 stands for all of it
    pub address: IpAddr,
    /// For how long; without it for ever
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub seconds: Option<u64>,
    /// What those who come are told
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Which pool
    #[command(flatten)]
    pub pool: AdminArgs,
}

/// Whom.
#[derive(Debug, Args)]
pub struct LiftArgs {
    /// An address; a ban of its IPv6 /64 is lifted with it
    pub address: IpAddr,
    /// Which pool
    #[command(flatten)]
    pub pool: AdminArgs,
}

/// Does it.
///
/// # Errors
/// When the token cannot be read, or the answer not be understood.
pub async fn run(command: BanCommand) -> anyhow::Result<Exit> {
    match command {
        BanCommand::List(args) => list(args).await,
        BanCommand::Add(args) => add(args).await,
        BanCommand::Lift(args) => lift(args).await,
    }
}

async fn list(ListArgs { pool }: ListArgs) -> anyhow::Result<Exit> {
    let answer = pool.send(Method::GET, ROUTE, None).await?;
    let Answer::Said(200, body) = &answer else { return Ok(pool.failed("ban", &answer)) };
    if pool.json {
        say::json(body);
        return Ok(Exit::Done);
    }
    let bans = body["bans"].as_array().map(Vec::as_slice).unwrap_or_default();
    for ban in bans {
        say::field(text(ban, "address"), about(ban, now_ms()));
    }
    if bans.is_empty() {
        say::line("Nobody is banned.");
    }
    Ok(Exit::Done)
}

async fn add(AddArgs { address, seconds, reason, pool }: AddArgs) -> anyhow::Result<Exit> {
    let mut body = json!({ "address": address });
    if let Some(seconds) = seconds {
        body["seconds"] = json!(seconds);
    }
    if let Some(reason) = reason {
        body["reason"] = json!(reason);
    }
    let answer = pool.post(ROUTE, &body).await?;
    let Answer::Said(200, ban) = &answer else { return Ok(pool.failed("ban", &answer)) };
    if pool.json {
        say::json(ban);
    } else {
        say::done("ban", format_args!("{} {}", text(ban, "address"), about(ban, now_ms())));
    }
    Ok(Exit::Done)
}

/// Ends with 1 if nothing was banned.
async fn lift(LiftArgs { address, pool }: LiftArgs) -> anyhow::Result<Exit> {
    let answer = pool.send(Method::DELETE, &format!("{ROUTE}/{address}"), None).await?;
    let Answer::Said(200, body) = &answer else { return Ok(pool.failed("lift", &answer)) };
    let lifted = body["lifted"] == true;
    if pool.json {
        say::json(body);
    } else if lifted {
        say::done("lift", format_args!("{address} is let in again"));
    } else {
        say::trouble("lift", format_args!("{address} is not banned"));
    }
    Ok(if lifted { Exit::Done } else { Exit::Failed })
}

fn text<'a>(ban: &'a Value, key: &str) -> &'a str {
    ban[key].as_str().unwrap_or_default()
}

/// Until when, why and by whom.
fn about(ban: &Value, now_ms: u64) -> String {
    let long = match ban["until_ms"].as_u64() {
        Some(until_ms) => {
            format!("for {} s more", until_ms.saturating_sub(now_ms).div_ceil(1_000))
        }
        None => "for ever".to_owned(),
    };
    format!("{long}: {} ({})", text(ban, "reason"), text(ban, "source"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ban_is_told_with_its_end_its_reason_and_its_source() {
        for (until_ms, expected) in [
            (json!(2_500), "for 2 s more: junk (conduct)"),
            (json!(null), "for ever: junk (conduct)"),
        ] {
            let ban = json!({ "until_ms": until_ms, "reason": "junk", "source": "conduct" });
            assert_eq!(about(&ban, 1_000), expected);
        }
    }
}
