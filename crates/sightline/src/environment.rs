//! `sightline env`, `run` and `keys`: what programs need to reach the running server.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use sightline_server::{Credentials, ServerFile};

use crate::places::{self, DataDirOption};
use crate::say;

/// Variables that would lead a program elsewhere, wherever they are set.
const UNSET: [&str; 9] = [
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_USE_FIPS_ENDPOINT",
];

/// What begins the names of variables that lead single services elsewhere.
const SERVICE_ENDPOINT: &str = "AWS_ENDPOINT_URL_";

/// Every variable to unset.
fn to_unset() -> Vec<String> {
    let services = places::variable_names().filter(|name| name.starts_with(SERVICE_ENDPOINT));
    UNSET
        .map(str::to_owned)
        .into_iter()
        .chain(services)
        .collect()
}

/// The hosts that no proxy may stand before: those of the user, and the server.
fn no_proxy(name: &str, server: &ServerFile) -> OsString {
    let endpoint = server.endpoint.as_str();
    let host = endpoint
        .split_once("://")
        .map_or(endpoint, |(_, host)| host);
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    let present = places::variable(name).unwrap_or_default();
    let listed = present
        .to_string_lossy()
        .split(',')
        .any(|entry| entry.trim() == host);
    let mut hosts = present.clone();
    if !listed {
        if !present.is_empty() {
            hosts.push(",");
        }
        hosts.push(host);
    }
    hosts
}

/// The shells whose language is spoken.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    /// sh, bash, zsh and their kin.
    Posix,
    /// fish.
    Fish,
    /// PowerShell.
    Powershell,
}

/// How the variables are printed.
#[derive(Debug, Args)]
pub(crate) struct Env {
    #[command(flatten)]
    data: DataDirOption,
    /// The shell that will read them.
    #[arg(long, value_enum, default_value = "posix")]
    format: Shell,
}

/// What is run.
#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    data: DataDirOption,
    /// The program and its arguments.
    #[arg(trailing_var_arg = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// The running server of a data directory and the key to it.
pub(crate) fn find(data_dir: &Path) -> Result<(ServerFile, Credentials)> {
    let server = sightline_server::read_server(data_dir)
        .ok()
        .filter(is_alive);
    let Some(server) = server else {
        let data_dir = data_dir.display();
        bail!(
            "no server runs on {data_dir}; start one with: sightline serve --data-dir {data_dir}"
        );
    };
    Ok((server, sightline_server::read_credentials(data_dir)?))
}

fn is_alive(server: &ServerFile) -> bool {
    let pid = i32::try_from(server.pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    // A process of another user cannot be signalled but is there.
    pid.is_some_and(|pid| {
        !matches!(
            rustix::process::test_kill_process(pid),
            Err(rustix::io::Errno::SRCH)
        )
    })
}

/// The variables with which a program reaches the server.
fn variables(data_dir: &Path) -> Result<Vec<(&'static str, OsString)>> {
    let (server, key) = find(data_dir)?;
    let shim = sightline_server::client_shim(data_dir);
    let present = places::variable("PYTHONPATH").unwrap_or_default();
    // Evaluated twice in one shell, the shim stands there already.
    let others = std::env::split_paths(&present).filter(|path| *path != shim);
    let python_path = std::env::join_paths(std::iter::once(shim.clone()).chain(others))?;
    let (upper, lower) = (no_proxy("NO_PROXY", &server), no_proxy("no_proxy", &server));
    let mut variables: Vec<(&str, OsString)> = Vec::new();
    if server.authority.is_some() {
        let bundle = sightline_server::trust_bundle(data_dir);
        let names = ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"];
        variables.extend(names.map(|name| (name, bundle.clone().into())));
    }
    variables.extend([
        ("AWS_ENDPOINT_URL", server.endpoint.into()),
        ("AWS_ACCESS_KEY_ID", key.access_key_id.into()),
        ("AWS_SECRET_ACCESS_KEY", key.secret_access_key.into()),
        ("AWS_DEFAULT_REGION", server.region.clone().into()),
        ("AWS_REGION", server.region.into()),
        (
            "SAGEMAKER_USER_CONFIG_OVERRIDE",
            sightline_server::sdk_config(data_dir).into(),
        ),
        ("PYTHONPATH", python_path),
        ("NO_PROXY", upper),
        ("no_proxy", lower),
    ]);
    Ok(variables)
}

impl Env {
    pub(crate) fn run(self) -> Result<()> {
        let variables = variables(&self.data.path()?)?;
        for name in to_unset() {
            say::line(match self.format {
                Shell::Posix => format!("unset {name}"),
                Shell::Fish => format!("set -e {name}"),
                Shell::Powershell => {
                    format!("Remove-Item Env:{name} -ErrorAction SilentlyContinue")
                }
            });
        }
        for (name, value) in variables {
            let value = value
                .to_str()
                .context("a path in the environment is not UTF-8")?;
            say::line(match self.format {
                Shell::Posix => format!("export {name}={}", posix_quoted(value)),
                Shell::Fish => format!("set -gx {name} {}", fish_quoted(value)),
                Shell::Powershell => format!("$env:{name} = {}", powershell_quoted(value)),
            });
        }
        Ok(())
    }
}

pub(crate) fn posix_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn fish_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))
}

fn powershell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl Run {
    /// Becomes the program, so that signals and exit codes are its own.
    pub(crate) fn run(self) -> ExitCode {
        match self.prepared() {
            Ok(mut command) => {
                let error = command.exec();
                let program = command.get_program().to_string_lossy().into_owned();
                let missing = error.kind() == std::io::ErrorKind::NotFound;
                say::error(&anyhow::Error::new(error).context(format!("cannot run {program}")));
                ExitCode::from(if missing { 127 } else { 126 })
            }
            Err(error) => {
                say::error(&error);
                ExitCode::FAILURE
            }
        }
    }

    fn prepared(&self) -> Result<std::process::Command> {
        let variables = variables(&self.data.path()?)?;
        let (program, arguments) = self.command.split_first().context("no command was given")?;
        let mut command = std::process::Command::new(program);
        command.args(arguments).envs(variables);
        for name in to_unset() {
            command.env_remove(name);
        }
        Ok(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_for_each_shell() {
        assert_eq!(posix_quoted("a'b c$d"), r"'a'\''b c$d'");
        assert_eq!(fish_quoted(r"a'b\c"), r"'a\'b\\c'");
        assert_eq!(powershell_quoted("a'b$c"), "'a''b$c'");
    }
}
