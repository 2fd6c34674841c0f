//! `chimera payout prove`: shows an account its own row of a settlement, and the way from it
//! to the root the record commits to. For the account only: its salt is in it.

use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chimera_ledger::{AccountName, Hash256, Inclusion, Salt, SaltedKey, WorkSum, WorkTree};
use clap::Args;
use serde::{Deserialize, Serialize};

use super::ledger::{LedgerArgs, find};
use crate::commands::{Exit, say};

/// The word in front of every proof.
pub(super) const PROOF_FORMAT: &str = "chimera-inclusion-proof/1";

/// Whose work to prove.
#[derive(Debug, Args)]
pub struct ProveArgs {
    /// The account
    account: String,
    /// Height or id of the block, or the key or #number of a settlement; the latest one if
    /// not given
    #[arg(long, value_name = "BLOCK")]
    block: Option<String>,
    /// Where to write it; standard output if not given
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    ledger: LedgerArgs,
}

/// An account's work in a settlement, with the way to its root.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Proof {
    /// [`PROOF_FORMAT`].
    pub format: String,
    /// The settlement's key.
    pub settlement: String,
    /// The record's hash.
    pub record: Hash256,
    /// Whose work.
    pub account: String,
    /// Its secret.
    pub salt: Salt,
    /// How much, in units of 2^-52 of a block.
    pub work: u64,
    /// The way to the root.
    pub inclusion: Inclusion,
    /// The root.
    pub root: WorkSum,
}

pub(super) async fn prove(args: ProveArgs) -> anyhow::Result<Exit> {
    let account = AccountName::new(args.account)?;
    let store = args.ledger.open().await?;
    let settlement = find(&store, args.block.as_deref()).await?;
    let (key, number) = (settlement.row.key, settlement.number);
    let before = || format!("{key} was settled before records were kept");
    let recorded = store.recorded(number).await?.with_context(before)?;
    let (keys, work) = store.work_rows(number).await?.with_context(before)?;
    let salt = store.salt(&account).await?;
    store.close().await;
    let salt = salt.with_context(|| format!("nobody named \"{account}\" ever mined here"))?;
    let salted = SaltedKey::of(&account, &salt);
    let row = keys.iter().position(|key| *key == salted);
    let row = row.with_context(|| format!("{key} counts no work of \"{account}\""))?;
    let tree = WorkTree::of(&keys, &work)?;
    let proof = Proof {
        format: PROOF_FORMAT.to_owned(),
        settlement: key,
        record: recorded.hash,
        account: account.to_string(),
        salt,
        work: work[row],
        inclusion: tree.inclusion(row).context("the row was just found")?,
        root: tree.root(),
    };
    let text = serde_json::to_string_pretty(&proof)?;
    match args.output {
        None => say::line(text),
        Some(path) => {
            write_private(&path, &text)
                .with_context(|| format!("{} cannot be written", path.display()))?;
            let path = path.display();
            say::done("proof", format_args!("for {account} only, it holds its salt: {path}"));
        }
    }
    Ok(Exit::Done)
}

/// A file for its owner's eyes.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    // One that was there keeps its mode otherwise.
    file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    file.write_all(text.as_bytes())
}
