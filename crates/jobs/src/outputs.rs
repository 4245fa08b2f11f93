//! Storing what a job's instances have written.

use std::collections::HashMap;
use std::io;

use sightline_ports::HostName;

use crate::collect::Written;
use crate::runner::{Interrupt, Runner, hosts};
use crate::workspace::off_the_runtime;
use crate::{Error, JobKind, archive, store, transfer};

/// Characters of the text in `/opt/ml/output/failure` that become the reason.
const FAILURE_CHARS_MAX: usize = 1_024;

/// Bytes of the texts in `/opt/ml/output/message` that become the exit message.
const MESSAGE_BYTES_MAX: usize = 1_024;

/// Notes on files left out that are printed one by one.
const LEFT_OUT_SHOWN: usize = 20;

/// Stores outputs, or the model of a training job.
pub(crate) async fn store(runner: &Runner<'_>) -> Result<(), Interrupt> {
    let workspace = runner.workspace.clone();
    off_the_runtime("open", move || {
        workspace.open_up();
        Ok(())
    })
    .await?;
    match runner.spec.kind {
        JobKind::Processing => store_outputs(runner).await,
        JobKind::Training => store_artifacts(runner).await,
    }
}

async fn store_outputs(runner: &Runner<'_>) -> Result<(), Interrupt> {
    for output in &runner.spec.outputs {
        // Key to the host that wrote it and the tag of its bytes.
        let mut written: HashMap<String, (HostName, String)> = HashMap::new();
        for host in hosts(&runner.spec) {
            let Some(directory) = open(runner, &host, &output.path)? else {
                continue;
            };
            let listed = off_the_runtime("list", move || {
                let listing = directory.list().map_err(read_failed)?;
                Ok((directory, listing))
            });
            let (directory, listing) = listed.await?;
            say_left_out(runner, &listing.left_out).await;
            for path in listing.files {
                let Some(file) = directory.file(&path).map_err(read_failed)? else {
                    continue;
                };
                let target = transfer::join(&output.uri, &path)?;
                if target.key().is_err() {
                    let text = format!("{path}: its name is too long for an object's key");
                    say_left_out(runner, &[text]).await;
                    continue;
                }
                let tag =
                    transfer::upload(&runner.shared.options, &runner.cx, &target, file).await?;
                let before = written.insert(path.clone(), (host.clone(), tag.clone()));
                if let Some((other, _)) = before.filter(|(_, before)| *before != tag) {
                    let text = format!(
                        "warning: {other} and {host} wrote different bytes to {target}; \
                         those of {host} are kept"
                    );
                    runner
                        .log
                        .say(runner.shared.options.clock.now(), &text)
                        .await;
                }
            }
        }
    }
    Ok(())
}

async fn store_artifacts(runner: &Runner<'_>) -> Result<(), Interrupt> {
    let Some(model) = runner.spec.model_uri() else {
        return Ok(());
    };
    store_archive(runner, "/opt/ml/model", "model.tar.gz", true).await?;
    store_archive(runner, "/opt/ml/output/data", "output.tar.gz", false).await?;
    let id = runner.id.clone();
    let recorded = runner
        .shared
        .change(&runner.id, move |tx| store::set_artifact(tx, &id, &model));
    Ok(recorded.await?)
}

/// Packs a directory of all instances and stores the archive beside the job's other ones.
async fn store_archive(
    runner: &Runner<'_>,
    inside: &str,
    file: &str,
    even_if_empty: bool,
) -> Result<(), Interrupt> {
    let Some(uri) = runner.spec.artifact_uri(file) else {
        return Ok(());
    };
    let mut directories = Vec::new();
    for host in hosts(&runner.spec) {
        directories.extend(open(runner, &host, inside)?);
    }
    let path = runner.workspace.outgoing(file);
    let target = path.clone();
    let packed = tokio::task::spawn_blocking(move || archive::pack(&directories, &target))
        .await
        .map_err(io::Error::other)
        .and_then(std::convert::identity)
        .map_err(read_failed)?;
    say_left_out(runner, &packed.left_out).await;
    if packed.files == 0 && !even_if_empty {
        return Ok(());
    }
    let archive = std::fs::File::open(&path).map_err(read_failed)?;
    let target = transfer::parse(&uri)?;
    transfer::upload(&runner.shared.options, &runner.cx, &target, archive).await?;
    Ok(())
}

async fn say_left_out(runner: &Runner<'_>, left_out: &[String]) {
    let now = runner.shared.options.clock.now();
    for entry in left_out.iter().take(LEFT_OUT_SHOWN) {
        runner.log.say(now, &format!("not stored: {entry}")).await;
    }
    if let Some(more) = left_out
        .len()
        .checked_sub(LEFT_OUT_SHOWN)
        .filter(|more| 0 < *more)
    {
        runner
            .log
            .say(now, &format!("not stored: {more} more"))
            .await;
    }
}

/// The text of `/opt/ml/output/failure`, by which a program says why it failed.
pub(crate) fn failure_text(runner: &Runner<'_>, host: &HostName) -> Option<String> {
    let directory = open(runner, host, "/opt/ml/output").ok().flatten()?;
    // A character has at most four bytes.
    let bytes = directory
        .read_start("failure", 4 * FAILURE_CHARS_MAX as u64)
        .ok()
        .flatten()?;
    let text: String = String::from_utf8_lossy(&bytes)
        .chars()
        .take(FAILURE_CHARS_MAX)
        .collect();
    let text = text.trim_end();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The texts of `/opt/ml/output/message` of all instances, cut to the length that AWS keeps.
pub(crate) fn exit_message(runner: &Runner<'_>) -> Result<Option<String>, Interrupt> {
    let mut bytes = Vec::new();
    for host in hosts(&runner.spec) {
        let Some(directory) = open(runner, &host, "/opt/ml/output")? else {
            continue;
        };
        let found = directory.read_start("message", MESSAGE_BYTES_MAX as u64);
        bytes.extend(found.map_err(read_failed)?.unwrap_or_default());
    }
    bytes.truncate(MESSAGE_BYTES_MAX);
    if bytes.is_empty() {
        return Ok(None);
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Some(text.to_owned())),
        // Cutting may have split the last character.
        Err(error) if error.error_len().is_none() => {
            let whole = &bytes[..error.valid_up_to()];
            Ok(Some(String::from_utf8_lossy(whole).into_owned()))
        }
        Err(_) => Err(Interrupt::failed(
            "ClientError: /opt/ml/output/message is not UTF-8".to_owned(),
        )),
    }
}

/// Opens a directory of an instance's private `/opt/ml`.
fn open(runner: &Runner<'_>, host: &HostName, inside: &str) -> Result<Option<Written>, Interrupt> {
    let root = runner.workspace.ml(host);
    let below = inside.strip_prefix("/opt/ml").unwrap_or(inside);
    Written::open(&root, below).map_err(|error| {
        if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
            let text = format!("ClientError: {inside} has been replaced by a symbolic link");
            return Interrupt::failed(text);
        }
        read_failed(error).into()
    })
}

fn read_failed(source: io::Error) -> Error {
    Error::Workspace {
        action: "read the outputs in",
        source,
    }
}
