//! The configuration: one table of keys, and where the value of each comes from.
//!
//! A value is the flag's, else the variable's, else the file's, else the default. The table in
//! `table.rs` is the only place that names a key: [`Settings`], the errors, `sightline config
//! show` and `docs/configuration.md` are made from it. This crate reads neither files nor the
//! environment; the binary does, once, and hands the texts to [`load`].

mod load;
mod nearest;
mod reference;
mod setting;
mod table;

pub use load::{Entry, Flag, Given, Loaded, Origin, Problem, Problems, Sources, load};
pub use reference::page;
pub use setting::{ObjectStore, Secret, Setting};
pub use table::*;

/// One key of the table.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Section and key, such as `server.listen`.
    pub name: &'static str,
    /// What it is for.
    pub doc: &'static str,
    /// What its value must be, such as `a whole number`.
    pub expected: &'static str,
    /// The least and the greatest number it may be.
    pub range: Option<(u64, u64)>,
    /// A shorter variable that sets it too.
    pub also: Option<&'static str>,
}

impl Key {
    /// The section's name.
    #[must_use]
    pub fn section(&self) -> &'static str {
        self.name.split_once('.').map_or("", |(section, _)| section)
    }

    /// The name within the section.
    #[must_use]
    pub fn within(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(_, key)| key)
    }

    /// The variable that overrides the file.
    #[must_use]
    pub fn variable(&self) -> String {
        variable_of(self.name)
    }

    /// What its value must be, in words.
    #[must_use]
    pub fn expectation(&self) -> String {
        match self.range {
            Some((least, greatest)) => {
                format!("{} from {least} to {greatest}", self.expected)
            }
            None => self.expected.to_owned(),
        }
    }
}

/// A section of the table.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// The name in the file's brackets.
    pub name: &'static str,
    /// What its keys are about.
    pub doc: &'static str,
}

/// What every variable's name begins with.
pub(crate) const VARIABLE_PREFIX: &str = "SIGHTLINE_";

fn variable_of(name: &str) -> String {
    format!(
        "{VARIABLE_PREFIX}{}",
        name.replace('.', "_").to_ascii_uppercase()
    )
}
