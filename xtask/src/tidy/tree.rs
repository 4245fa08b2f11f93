//! What the rules look at: the text files of the checkout and the packages of the workspace.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, MetadataCommand};

use super::layers::{Dependency, Package};

/// Folders that hold what tools made, not what people wrote.
const SKIPPED_FOLDERS: &[&str] = &["target", "node_modules", "__pycache__", "dist"];
/// Hidden folders that are part of the house all the same.
const HIDDEN_FOLDERS: &[&str] = &[".ci", ".cargo"];
/// Kinds of files that people write, by the end of the name.
const TEXT_ENDINGS: &[&str] = &[
    ".rs", ".py", ".sql", ".md", ".toml", ".sh", ".in", ".ts", ".tsx", ".css", ".html",
];
/// Files without an ending that people write.
const TEXT_NAMES: &[&str] = &["Makefile", "setup", "run", "oracles"];

/// One text file, with its path relative to the root, `/` between its parts.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: String,
    pub(super) text: String,
}

impl File {
    /// Whether a tool wrote this file and said so in its first lines.
    pub(super) fn is_generated(&self) -> bool {
        self.text
            .lines()
            .take(3)
            .any(|line| line.contains("@generated"))
    }

    /// The folder under `crates/` that the file belongs to.
    pub(super) fn crate_name(&self) -> Option<&str> {
        self.path
            .strip_prefix("crates/")?
            .split_once('/')
            .map(|(name, _)| name)
    }
}

/// Reads every text file under `root` that people wrote, in the order of the paths.
pub(super) fn read(root: &Path) -> Result<Vec<File>> {
    let mut files = Vec::new();
    visit(root, "", &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn visit(folder: &Path, prefix: &str, files: &mut Vec<File>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type()?;
        if kind.is_dir() && is_ours(&name) {
            visit(&entry.path(), &format!("{prefix}{name}/"), files)?;
        } else if kind.is_file() && is_text(&name) {
            let text = fs::read_to_string(entry.path())
                .with_context(|| format!("reading {}", entry.path().display()))?;
            files.push(File {
                path: format!("{prefix}{name}"),
                text,
            });
        }
    }
    Ok(())
}

fn is_ours(folder: &str) -> bool {
    let visible = !folder.starts_with('.') || HIDDEN_FOLDERS.contains(&folder);
    visible && !SKIPPED_FOLDERS.contains(&folder)
}

fn is_text(name: &str) -> bool {
    TEXT_NAMES.contains(&name) || TEXT_ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// The packages of the workspace with the dependencies their manifests declare.
pub(super) fn packages(root: &Path) -> Result<Vec<Package>> {
    let metadata = MetadataCommand::new()
        .current_dir(root)
        .no_deps()
        .exec()
        .context("running cargo metadata")?;
    Ok(metadata.packages.into_iter().map(package).collect())
}

fn package(package: cargo_metadata::Package) -> Package {
    let dependencies = package
        .dependencies
        .into_iter()
        .map(|dependency| Dependency {
            name: dependency.name,
            for_tests: dependency.kind == DependencyKind::Development,
        });
    Package {
        name: package.name.to_string(),
        dependencies: dependencies.collect(),
    }
}
