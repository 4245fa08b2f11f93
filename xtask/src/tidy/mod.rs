//! The house rules that no compiler checks: who may name whom, and what a file must look like.
//!
//! Each module holds one kind of rule as a pure function over text, so that its tests can show it
//! an offender. `findings` reads the real tree; the test at the end keeps that tree tidy.

mod files;
mod layers;
mod permits;
mod tables;
mod tree;
mod words;

use std::fmt;
use std::path::Path;

use anyhow::{Result, bail};

use crate::machine;

/// One breach of a house rule, said so that its author knows where it is and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    place: String,
    message: String,
}

impl Finding {
    fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            message: message.into(),
        }
    }

    fn at_line(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self::new(format!("{path}:{line}"), message)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// Fails with every breach in this checkout.
pub(crate) fn run() -> Result<()> {
    let found = findings(&machine::root())?;
    if found.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    bail!("{} findings\n{}", lines.len(), lines.join("\n"))
}

/// Reads the tree under `root` and returns every breach, in a fixed order.
fn findings(root: &Path) -> Result<Vec<Finding>> {
    let files = tree::read(root)?;
    let mut found = layers::check(&tree::packages(root)?);
    let owners = tables::owners(&files, &mut found);
    for file in &files {
        found.extend(files::check(file));
        found.extend(words::check(file));
        found.extend(permits::check(file));
        found.extend(tables::check(file, &owners));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_tree_is_tidy() {
        if let Err(error) = super::run() {
            panic!("{error}");
        }
    }
}
