//! What the composition root needs of the slots before anything runs.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use chimera_api::Admin;
use chimera_plugin::{AuthPolicy, DifficultyStrategy, Engines, Registry, Services};
use chimera_store::{Generation, Store};
use tokio::sync::mpsc;

use super::activation::{About, Ready, fill};
use super::boot::{Opened, open_slots};
use super::request::SwapRequest;
use super::token::open_token;
use super::{Candidate, Commands, Loader, SlotName};
use crate::config::{Config, Grantable};
use crate::policy::Filled;
use crate::schemes::{Scheme, Schemes};

/// Requests that may wait; operators do not send more at once.
const COMMANDS_MAX: usize = 16;

/// The doors of the API, and where requests come out.
///
/// # Errors
/// When the token's file cannot be read or made.
pub(crate) fn doors(config: &Config) -> anyhow::Result<(Admin, Commands)> {
    let data_dir = &config.pool.data_dir;
    // Keys, passwords and who was paid lie in it; one that is there keeps its mode.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data_dir)
        .with_context(|| format!("cannot create pool.data_dir = {}", data_dir.display()))?;
    let (commands, arriving) = mpsc::channel(COMMANDS_MAX);
    Ok((Admin::new(open_token(data_dir)?, commands), Commands(arriving)))
}

/// Engines and names; compiled code is kept in `cache`. `services` are what auth policies may
/// be granted.
///
/// # Errors
/// When the runtime or the plugin directory cannot be used.
pub(crate) fn loader(
    config: &Config,
    cache: Option<&Path>,
    services: Services,
) -> anyhow::Result<Loader> {
    Ok(Loader {
        engines: Arc::new(Engines::new(cache).context("the plugin runtime")?),
        registry: Registry::new(config.plugin_directory.as_deref())?,
        services,
        grantable: Arc::new(Grantable::of(&config.capabilities)),
    })
}

/// One line for each slot about what the settings name, for people. Nothing is kept.
///
/// # Errors
/// Which slot, which component, and what is wrong with it or its configuration.
pub(crate) async fn describe_slots(config: &Config) -> anyhow::Result<[(&'static str, String); 3]> {
    let (loader, config) = (loader(config, None, Services::none())?, config.clone());
    let describing = tokio::task::spawn_blocking(move || {
        let mut lines = SlotName::ALL.map(|slot| (slot.name(), String::new()));
        for (slot, line) in SlotName::ALL.into_iter().zip(&mut lines) {
            let settings = slot.settings(&config);
            let about = || format!("slot {slot}");
            let artifact = loader.find(settings).with_context(about)?;
            let candidate = loader
                .load(slot, &artifact, &settings.config, &settings.grants)
                .with_context(about)?;
            line.1 = candidate.describe();
        }
        Ok(lines)
    });
    describing.await?
}

/// What the slots begin with.
pub(crate) struct FilledSlots {
    /// Payout.
    pub schemes: Arc<Schemes>,
    /// Auth.
    pub auth: Filled<AuthPolicy>,
    /// Difficulty.
    pub difficulty: Filled<DifficultyStrategy>,
    /// What the manager goes on with.
    pub opened: Vec<OpenedSlot>,
}

/// What a start has found out about a slot.
pub(crate) struct OpenedSlot {
    /// Which.
    pub slot: SlotName,
    /// The generation in force.
    pub generation: Generation,
    /// What the operator should know.
    pub warning: Option<String>,
    /// What the settings want and may only have later.
    pub later: Option<SwapRequest>,
}

/// Fills the slots with what a start goes on with.
///
/// # Errors
/// Which slot cannot be filled, and why.
pub(crate) async fn fill_slots(
    store: &Arc<Store>,
    loader: &Loader,
    config: &Config,
) -> anyhow::Result<FilledSlots> {
    let [payout, auth, difficulty] = open_slots(store, loader, config).await?;
    let mut opened = Vec::new();
    let mut take = |slot, from: Opened| {
        let Opened { generation, ready, about, warning, later } = from;
        opened.push(OpenedSlot { slot, generation: generation.clone(), warning, later });
        (generation, about, ready)
    };
    let (generation, About { origin, grants }, ready) = take(SlotName::Payout, payout);
    let Ready::Payout(payout) = ready else { anyhow::bail!("slot payout holds another class") };
    let scheme = Scheme::new(generation.id, payout, origin, grants);
    let engines = Arc::clone(&loader.engines);
    let schemes = Schemes::new(Arc::clone(store), engines, scheme);
    let (generation, about, ready) = take(SlotName::Auth, auth);
    let Ready::Other(Candidate::Auth(policy)) = ready else {
        anyhow::bail!("slot auth holds another class")
    };
    let auth = fill(generation.id, about, policy);
    let (generation, about, ready) = take(SlotName::Difficulty, difficulty);
    let Ready::Other(Candidate::Difficulty(strategy)) = ready else {
        anyhow::bail!("slot difficulty holds another class")
    };
    let difficulty = fill(generation.id, about, strategy);
    Ok(FilledSlots { schemes: Arc::new(schemes), auth, difficulty, opened })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_data_directory_is_made_for_the_pools_user_only() {
        let dir = tempfile::tempdir().unwrap();
        let earlier = dir.path().join("earlier");
        std::fs::create_dir(&earlier).unwrap();
        std::fs::set_permissions(&earlier, std::fs::Permissions::from_mode(0o755)).unwrap();
        for (name, mode) in [("new", 0o700), ("earlier", 0o755)] {
            let mut config = Config::embedded();
            config.pool.data_dir = dir.path().join(name);
            drop(doors(&config).unwrap());
            let made = std::fs::metadata(&config.pool.data_dir).unwrap();
            assert_eq!(made.permissions().mode() & 0o777, mode, "{name}");
        }
    }
}
