//! Writing what was generated, or checking that it is what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

/// Generated files by their path in the repository, and the folders that hold nothing else.
#[derive(Default)]
pub(super) struct Output {
    pub(super) files: BTreeMap<PathBuf, String>,
    pub(super) folders: BTreeSet<PathBuf>,
}

impl Output {
    /// Writes every file, and removes from the folders what is generated no longer.
    pub(super) fn write(&self, root: &Path) -> anyhow::Result<()> {
        for (path, text) in &self.files {
            let path = root.join(path);
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            if fs::read_to_string(&path).ok().as_ref() != Some(text) {
                fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
            }
        }
        for stale in self.stale(root)? {
            fs::remove_file(root.join(stale))?;
        }
        Ok(())
    }

    /// Fails, naming them, when files differ from what would be generated.
    pub(super) fn check(&self, root: &Path) -> anyhow::Result<()> {
        let differs = |(path, text): &(&PathBuf, &String)| {
            fs::read_to_string(root.join(path)).ok().as_ref() != Some(*text)
        };
        let changed = self
            .files
            .iter()
            .filter(differs)
            .map(|(path, _)| path.clone());
        let wrong: BTreeSet<PathBuf> = changed.chain(self.stale(root)?).collect();
        if wrong.is_empty() {
            return Ok(());
        }
        let wrong: Vec<String> = wrong
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        bail!(
            "not what `cargo xtask codegen` writes: {}",
            wrong.join(", ")
        )
    }

    fn stale(&self, root: &Path) -> anyhow::Result<Vec<PathBuf>> {
        let mut stale = Vec::new();
        let mut waiting: Vec<PathBuf> = self.folders.iter().cloned().collect();
        while let Some(folder) = waiting.pop() {
            let Ok(entries) = fs::read_dir(root.join(&folder)) else {
                continue;
            };
            for entry in entries {
                let entry = entry?;
                let path = folder.join(entry.file_name());
                if entry.file_type()?.is_dir() {
                    waiting.push(path);
                } else if !self.files.contains_key(&path) {
                    stale.push(path);
                }
            }
        }
        Ok(stale)
    }
}

/// Formats Rust source as the repository is formatted.
pub(super) fn rustfmt(root: &Path, source: &str) -> anyhow::Result<String> {
    let mut child = Command::new("rustfmt")
        .arg("--edition=2024")
        .arg("--config-path")
        .arg(root.join("rustfmt.toml"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting rustfmt")?;
    // rustfmt reads its input to the end before it writes.
    let mut stdin = child.stdin.take().context("rustfmt has no input")?;
    stdin.write_all(source.as_bytes())?;
    drop(stdin);
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "rustfmt refuses generated code");
    Ok(String::from_utf8(output.stdout)?)
}
