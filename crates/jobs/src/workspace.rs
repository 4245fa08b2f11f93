//! Where a job lies on this host while it runs.
//!
//! ```text
//! {root}/{id}/inputs/0 …        staged inputs, shared by the instances that receive the same
//! {root}/{id}/source/           the archive that script mode unpacks
//! {root}/{id}/algo-1/ml/        the instance's private /opt/ml
//! {root}/{id}/algo-1/config/    its configuration files
//! {root}/{id}/api.sock          the server, for this job alone
//! ```

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use sightline_ports::HostName;

use crate::{Error, JobId, JobKind};

/// Others may pass through a job's directory to what they are shown of it, and not list it.
const PASS_ONLY: u32 = 0o711;

/// What the server needs on a directory to look into it and to empty it.
const OWNER_ALL: u32 = 0o700;

/// Directories within directories that are opened; collecting looks no deeper either.
const DEPTH_MAX: usize = 128;

/// A job's directory.
#[derive(Clone, Debug)]
pub(crate) struct Workspace {
    id: String,
    path: PathBuf,
}

impl Workspace {
    /// The directory of this job, which need not exist.
    pub(crate) fn of(root: &Path, job: &JobId) -> Self {
        let digest = Sha256::digest(format!("{}/{}", job.kind.as_str(), job.name));
        let id = format!("{}-{}", job.kind.as_str(), hex::encode(&digest[..8]));
        Self {
            path: root.join(&id),
            id,
        }
    }

    /// Unique among jobs, and of characters that are safe everywhere.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Whether the job was begun on this host.
    pub(crate) fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Removes whatever an earlier attempt left, and makes the directory anew.
    pub(crate) fn begin(&self) -> Result<(), Error> {
        self.remove()?;
        let make = || -> io::Result<()> {
            std::fs::create_dir_all(&self.path)?;
            std::fs::set_permissions(&self.path, std::fs::Permissions::from_mode(PASS_ONLY))
        };
        make().map_err(|source| Error::Workspace {
            action: "make",
            source,
        })
    }

    /// Lets the server into directories that a program has closed, as far as it can.
    ///
    /// Only where jobs run as the server's own user does it need this; no process of the job is
    /// left to interfere.
    pub(crate) fn open_up(&self) {
        if let Err(error) = open_directories(&self.path, 0) {
            tracing::warn!(%error, "a directory of a job stays closed");
        }
    }

    /// Removes the directory with all in it.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        if std::fs::remove_dir_all(&self.path).is_ok() {
            return Ok(());
        }
        self.open_up();
        match std::fs::remove_dir_all(&self.path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(Error::Workspace {
                action: "remove",
                source,
            }),
            _ => Ok(()),
        }
    }

    /// Removes the directories of all jobs but these.
    pub(crate) fn remove_others(root: &Path, jobs: &[JobId]) -> Result<(), Error> {
        let failed = |source| Error::Workspace {
            action: "look for",
            source,
        };
        let kept: Vec<PathBuf> = jobs.iter().map(|job| Self::of(root, job).path).collect();
        let entries = match std::fs::read_dir(root) {
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(failed)?,
        };
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            let id = path.file_name().unwrap_or_default().to_string_lossy();
            let of_a_job = JobKind::ALL
                .iter()
                .any(|kind| id.starts_with(kind.as_str()));
            if of_a_job && !kept.contains(&path) {
                let id = id.into_owned();
                // One that resists is no reason to keep the others.
                if let Err(error) = (Self { path, id }).remove() {
                    tracing::warn!(%error, "the directory of an ended job stays");
                }
            }
        }
        Ok(())
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path.join("api.sock")
    }

    /// Where the objects of input number `input` are staged, whole or for one instance.
    pub(crate) fn input(&self, input: usize, shard: Option<u32>) -> PathBuf {
        match shard {
            None => self.path.join(format!("inputs/{input}")),
            Some(shard) => self.path.join(format!("inputs/{input}-{shard}")),
        }
    }

    pub(crate) fn source(&self) -> PathBuf {
        self.path.join("source")
    }

    /// The instance's private `/opt/ml`.
    pub(crate) fn ml(&self, host: &HostName) -> PathBuf {
        self.path.join(host.to_string()).join("ml")
    }

    /// The instance's configuration files.
    pub(crate) fn config(&self, host: &HostName) -> PathBuf {
        self.path.join(host.to_string()).join("config")
    }

    /// Room for archives on their way out.
    pub(crate) fn outgoing(&self, file: &str) -> PathBuf {
        self.path.join(file)
    }
}

/// Runs work on files where it keeps no other task waiting.
pub(crate) async fn off_the_runtime<T: Send + 'static>(
    action: &'static str,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::Workspace {
        action,
        source: io::Error::other(error),
    })?
}

fn open_directories(path: &Path, depth: usize) -> io::Result<()> {
    let metadata = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata?,
    };
    if !metadata.is_dir() || DEPTH_MAX < depth {
        return Ok(());
    }
    let mode = metadata.permissions().mode();
    if mode & OWNER_ALL != OWNER_ALL {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode | OWNER_ALL))?;
    }
    for entry in std::fs::read_dir(path)? {
        open_directories(&entry?.path(), depth + 1)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::JobKind;

    #[test]
    fn directories_that_a_program_closed_are_opened_and_removed() {
        let root = tempfile::tempdir().unwrap();
        let id = JobId {
            kind: JobKind::Training,
            name: "job".to_owned(),
        };
        let workspace = Workspace::of(root.path(), &id);
        workspace.begin().unwrap();
        let closed = workspace.outgoing("closed");
        std::fs::create_dir_all(closed.join("inner")).unwrap();
        for path in [closed.join("inner"), closed.clone()] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o000)).unwrap();
        }
        workspace.open_up();
        let mode = std::fs::metadata(closed.join("inner"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, OWNER_ALL);
        workspace.remove().unwrap();
        assert!(!closed.exists());
    }
}
