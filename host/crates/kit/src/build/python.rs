//! A Python module: `componentize-py` from PyPI, in an environment of the project's own.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::BuildError;
use super::project::{App, answer};

/// Where authors and tests may share one installation.
const SHARED: &str = "COMPONENTIZE_PY_HOME";

pub(super) fn compile(app: &App, reproducible: bool) -> Result<Vec<u8>, BuildError> {
    let App { directory, settings } = app;
    if reproducible {
        return Err(BuildError::Project {
            file: directory.join("plugin.toml"),
            problem: "componentize-py writes other bytes every time (it keeps the interpreter's \
                      memory); --reproducible is for compiled languages"
                .into(),
        });
    }
    let private = directory.join(".build");
    let tools = env::var_os(SHARED).map_or_else(|| private.clone(), PathBuf::from);
    let program = installed(&tools, &settings.componentize_py)?;
    fs::create_dir_all(&private).map_err(BuildError::file(&private))?;
    let out = private.join("component.wasm");
    let mut componentize = Command::new(program);
    componentize
        .current_dir(directory)
        .env_remove("VIRTUAL_ENV")
        .args(["--quiet", "--wit-path"])
        .arg(&settings.wit)
        .args(["--world", &settings.world, "componentize", "--python-path", "."])
        // No WASI at all: what would read a clock traps, and says so.
        .args(["--stub-wasi", &settings.module, "--output"])
        .arg(&out);
    answer(&mut componentize, "componentize-py")?;
    fs::read(&out).map_err(BuildError::file(&out))
}

/// The program, installed if it is not there. A half-made environment is made anew.
fn installed(tools: &Path, version: &str) -> Result<PathBuf, BuildError> {
    let environment = tools.join(format!("componentize-py-{version}"));
    let program = environment.join("bin/componentize-py");
    if program.is_file() {
        return Ok(program);
    }
    let mut python = Command::new("python3");
    python.args(["-m", "venv", "--clear"]).arg(&environment);
    answer(&mut python, "python3 -m venv (Debian and Ubuntu: apt install python3-venv)")?;
    let mut pip = Command::new(environment.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"])
        .arg(format!("componentize-py=={version}"));
    answer(&mut pip, "pip install componentize-py")?;
    Ok(program)
}
