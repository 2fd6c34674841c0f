//! Changes to a running pool, through its API, with the token that admits to them.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::pool_api::{Answer, read};
use super::{Exit, api_url, say};

/// A trial answers early; what takes longer than this is a pool in trouble.
const ANSWER_WAIT: Duration = Duration::from_secs(120);

/// Which pool, and the right to change it.
#[derive(Debug, Args)]
pub struct AdminArgs {
    /// The pool's API
    #[arg(long, default_value = "http://127.0.0.1:8080", value_name = "URL", value_parser = api_url)]
    pub api: String,
    /// The pool's data directory, where its admin.token lies
    #[arg(long, default_value = "data", env = "CHIMERA_POOL__DATA_DIR", value_name = "DIRECTORY")]
    pub data_dir: PathBuf,
    /// The token itself, for a pool on another machine
    #[arg(long, env = "CHIMERA_ADMIN_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub token: Option<String>,
    /// The raw answer, as JSON
    #[arg(long)]
    pub json: bool,
}

impl AdminArgs {
    /// Posts a request.
    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.send(Method::POST, path, Some(body)).await
    }

    /// Sends a request.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Answer> {
        let token = match &self.token {
            Some(token) => token.clone(),
            None => {
                let path = crate::swap::token_path(&self.data_dir);
                let text = std::fs::read_to_string(&path);
                text.with_context(|| {
                    format!(
                        "cannot read the token {}: name the pool's --data-dir, or give --token",
                        path.display()
                    )
                })?
            }
        };
        let client = reqwest::Client::builder().timeout(ANSWER_WAIT).build()?;
        let url = format!("{}{path}", self.api);
        let request = client.request(method, &url).bearer_auth(token.trim());
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        read(&url, request.send().await).await
    }

    /// How a command ends when there is nothing to show.
    pub(super) fn failed(&self, what: &str, answer: &Answer) -> Exit {
        match answer {
            Answer::Nobody(error) => {
                if self.json {
                    say::json(&serde_json::json!({ "error": error }));
                } else {
                    say::trouble(what, error);
                    say::line("Is the pool running? --api names another address.");
                }
                Exit::Unreachable
            }
            Answer::Said(_, body) => {
                if self.json {
                    say::json(body);
                } else {
                    let message = body["error"]["message"].as_str().or(body["message"].as_str());
                    say::trouble(what, message.unwrap_or("the pool does not say why"));
                }
                Exit::Failed
            }
        }
    }
}
