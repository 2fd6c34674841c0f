//! `[chain]`: which chain, through which nodes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chimera_chain::{MATURITY_BLOCKS, NodeAuth, Profile};
use chimera_pow::Algorithm;

use super::check::Problems;
use super::raw::{RawChain, RawNode};

/// Where blocks come from and go to.
#[derive(Debug, Clone)]
pub enum Chain {
    /// The chain inside this process.
    Dev(DevChain),
    /// Nodes over JSON-RPC.
    Nodes(Box<Nodes>),
}

/// The embedded chain.
#[derive(Debug, Clone)]
pub struct DevChain {
    /// Its proof of work.
    pub algorithm: Algorithm,
    /// Time between blocks it aims at.
    pub spacing: Duration,
    /// Confirmations until a reward may be spent.
    pub maturity: u32,
    /// Who is paid; the chain's own wallet if not given.
    pub payout_address: Option<String>,
}

/// Nodes that speak Bitcoin Core's JSON-RPC.
#[derive(Debug, Clone)]
pub struct Nodes {
    /// In order of preference; blocks go to all.
    pub nodes: Vec<NodeAddress>,
    /// What the chain is like.
    pub profile: Profile,
    /// Who is paid.
    pub payout_address: String,
    /// Confirmations until a reward may be spent.
    pub maturity: u32,
    /// How often the tip is asked for.
    pub poll: Duration,
    /// How often the template is refreshed for time and fees.
    pub refresh: Duration,
    /// Whether an announced block is mined on before its template is there.
    pub empty_block_first: bool,
}

/// One node.
#[derive(Debug, Clone)]
pub struct NodeAddress {
    /// `http://host:port` or `https://host:port`
    pub url: String,
    /// How to log in.
    pub auth: NodeAuth,
    /// Who signed its certificate, if not an authority this machine trusts.
    pub authority: Option<PathBuf>,
    /// Where it announces new blocks.
    pub zmq: Option<String>,
}

/// What amounts are shown in.
#[derive(Debug, Clone)]
pub struct Coin {
    /// Its short name.
    pub ticker: String,
    /// Digits after the point.
    pub decimals: u8,
}

impl Chain {
    /// What the chain is like.
    pub(crate) fn profile(&self) -> Profile {
        match self {
            Self::Dev(dev) => Profile {
                algorithm: dev.algorithm,
                maturity: dev.maturity,
                ..Profile::named("devchain").expect("it is shipped")
            },
            Self::Nodes(nodes) => nodes.profile.clone(),
        }
    }
}

impl RawChain {
    pub(super) fn check(self, problems: &mut Problems) -> (Chain, Coin) {
        let algorithm =
            self.algorithm.as_ref().map(|name| problems.algorithm("chain.algorithm", name));
        if self.maturity == Some(0) {
            problems.add("chain.maturity", 0, "must be at least 1 block");
        }
        let (ticker, decimals) = (self.ticker.clone(), self.decimals);
        let chain = match self.kind.as_str() {
            "node" => Chain::Nodes(Box::new(self.nodes(algorithm, problems))),
            other => {
                if other != "devchain" {
                    let found = format_args!("{other:?}");
                    problems.add("chain.kind", found, "must be \"devchain\" or \"node\"");
                }
                if !self.nodes.is_empty() {
                    let right = "is only for chain.kind = \"node\"";
                    problems.add("chain.nodes", "[..]", right);
                }
                if !self.profile.is_empty() {
                    let found = format_args!("{:?}", self.profile);
                    problems.add("chain.profile", found, "is only for chain.kind = \"node\"");
                }
                Chain::Dev(DevChain {
                    algorithm: algorithm.unwrap_or_default(),
                    spacing: problems.seconds("chain.spacing_s", self.spacing_s, 3_600),
                    maturity: self.maturity.unwrap_or(MATURITY_BLOCKS),
                    payout_address: Some(self.payout_address).filter(|text| !text.is_empty()),
                })
            }
        };
        let profile = chain.profile();
        let decimals = decimals.unwrap_or(profile.decimals);
        if decimals > 18 {
            problems.add("chain.decimals", decimals, "must be 0 to 18");
        }
        (chain, Coin { ticker: ticker.unwrap_or(profile.ticker), decimals })
    }

    fn nodes(self, algorithm: Option<Algorithm>, problems: &mut Problems) -> Nodes {
        if self.payout_address.is_empty() {
            let right = "must be an address of this chain: it is who the blocks pay";
            problems.add("chain.payout_address", "\"\"", right);
        }
        if self.nodes.is_empty() {
            let right = "must list at least one node, e.g. [{ url = \"http://127.0.0.1:8332\" }]";
            problems.add("chain.nodes", "[]", right);
        }
        if !(50..=60_000).contains(&self.poll_ms) {
            problems.add("chain.poll_ms", self.poll_ms, "must be 50 to 60000");
        }
        let mut profile = profile(&self.profile, problems);
        profile.algorithm = algorithm.unwrap_or(profile.algorithm);
        if self.empty_block_first && profile.schedule.is_none() {
            let right = "needs a profile with a [schedule]: elsewhere the next block's difficulty \
                         is not known before its template";
            problems.add("chain.empty_block_first", true, right);
        }
        Nodes {
            maturity: self.maturity.unwrap_or(profile.maturity),
            profile,
            nodes: self.nodes.into_iter().map(|node| node.check(problems)).collect(),
            payout_address: self.payout_address,
            poll: Duration::from_millis(self.poll_ms),
            refresh: problems.seconds("chain.refresh_s", self.refresh_s, 600),
            empty_block_first: self.empty_block_first,
        }
    }
}

/// A shipped profile by its name, or a file.
fn profile(named: &str, problems: &mut Problems) -> Profile {
    const KEY: &str = "chain.profile";
    let found = format_args!("{named:?}");
    let is_file = named.contains('/') || Path::new(named).extension().is_some();
    let read = if is_file {
        let text = std::fs::read_to_string(named).map_err(|error| error.to_string());
        text.and_then(|text| Profile::parse(&text).map_err(|error| error.to_string()))
    } else {
        Profile::named(named).ok_or_else(|| {
            let known = Profile::shipped().collect::<Vec<_>>().join(", ");
            format!("must be one of {known}, or the path of a file like those of config/chains")
        })
    };
    read.unwrap_or_else(|problem| {
        problems.add(KEY, found, problem);
        Profile::named("bitcoin").expect("it is shipped")
    })
}

impl RawNode {
    fn check(self, problems: &mut Problems) -> NodeAddress {
        let secure = self.url.starts_with("https://");
        if !secure && !self.url.starts_with("http://") {
            // A password may be in it.
            let found = if self.url.contains('@') { "(not shown)" } else { &self.url };
            let found = format_args!("{found:?}");
            problems.add("chain.nodes.url", found, "must start with http:// or https://");
        }
        if let Some(authority) = self.ca_file.as_ref().filter(|_| !secure) {
            let found = format_args!("{authority:?}");
            problems.add("chain.nodes.ca_file", found, "is only for a url with https://");
        }
        if let Some(endpoint) = self.zmq.as_ref().filter(|it| !it.starts_with("tcp://")) {
            let right = "must be where the node's zmqpubhashblock points, e.g. \
                         \"tcp://127.0.0.1:28332\"";
            problems.add("chain.nodes.zmq", format_args!("{endpoint:?}"), right);
        }
        let auth = match (self.user, self.password, self.cookie_file) {
            (None, None, None) => NodeAuth::None,
            (None, None, Some(path)) => NodeAuth::Cookie(path.into()),
            (Some(user), Some(password), None) => NodeAuth::Password { user, password },
            _ => {
                let right = "must be both user and password, or cookie_file alone, or none of them";
                problems.add("chain.nodes.user", "..", right);
                NodeAuth::None
            }
        };
        NodeAddress { url: self.url, auth, authority: self.ca_file.map(Into::into), zmq: self.zmq }
    }
}
