//! From what was given, where, to settings; and every reason why that cannot be.

use std::collections::BTreeMap;
use std::fmt;

use toml::{Table, Value};

use crate::nearest::nearest;
use crate::{KEYS, Key, SECTIONS, Setting, Settings, VARIABLE_PREFIX, variable_of};

/// Everything that says something about settings, the weakest first.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file's name and text.
    pub file: Option<(String, String)>,
    /// All variables of the environment; those of other programs are passed over.
    pub variables: Vec<(String, String)>,
    /// What the command line says.
    pub flags: Vec<Flag>,
}

/// A flag that sets a key.
#[derive(Clone, Debug)]
pub struct Flag {
    /// As the user typed it, such as `--listen`.
    pub flag: String,
    /// The key that it sets, such as `server.listen`.
    pub key: String,
    /// What it sets it to.
    pub value: Given,
}

/// A value that is not read yet.
#[derive(Clone, Debug)]
pub enum Given {
    /// A text, as variables and flags are.
    Text(String),
    /// A value that has a type of its own.
    Typed(Value),
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// The file of this name.
    File(String),
    /// The variable of this name.
    Variable(String),
    /// The flag, as typed.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(name) | Self::Variable(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

/// A key with the value that is in force.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub key: Key,
    /// Its value as the file would say it, secrets redacted; `None` if unset.
    pub value: Option<String>,
    /// Where the value comes from.
    pub origin: Origin,
}

/// Settings that are in force, and where each comes from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// Every key with its value, in the order of the table.
    pub entries: Vec<Entry>,
}

/// One reason why a configuration is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The file is not TOML.
    #[error("{file}, line {line}: not readable as TOML: {reason}")]
    Syntax {
        /// The file.
        file: String,
        /// The line, counted from one.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// There is no such section or key.
    #[error("{origin}: there is no {what} {name}{}", suggestion(.nearest))]
    Unknown {
        /// Where it is named.
        origin: Origin,
        /// `section`, `key` or `variable`.
        what: &'static str,
        /// The name.
        name: String,
        /// The known one that is probably meant.
        nearest: Option<String>,
    },
    /// A value is not of the key's kind.
    #[error("{origin}: {key} = {value} is not {expected}")]
    Wrong {
        /// Where it is given.
        origin: Origin,
        /// The key.
        key: &'static str,
        /// What was given.
        value: String,
        /// What must be given.
        expected: String,
    },
}

fn suggestion(nearest: &Option<String>) -> String {
    let suggest = |name: &String| format!("; did you mean {name}?");
    nearest.as_ref().map(suggest).unwrap_or_default()
}

/// Every reason why a configuration is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration cannot be used:")?;
        self.0
            .iter()
            .try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for Problems {}

/// Brings the sources together; all problems are told at once.
pub fn load(sources: &Sources) -> Result<Loaded, Problems> {
    let mut loader = Loader::default();
    if let Some((name, text)) = &sources.file {
        loader.take_file(name, text);
    }
    loader.take_variables(&sources.variables);
    loader.take_flags(&sources.flags);
    let settings = Settings::read(&mut loader);
    if loader.problems.is_empty() {
        let entries = loader.entries;
        Ok(Loaded { settings, entries })
    } else {
        Err(Problems(loader.problems))
    }
}

/// What was given for each key, and what became of it.
#[derive(Debug, Default)]
pub(crate) struct Loader {
    given: BTreeMap<&'static str, (Given, Origin)>,
    entries: Vec<Entry>,
    problems: Vec<Problem>,
}

impl Loader {
    /// The value of a key: what was given for it, or its default.
    pub(crate) fn read<T: Setting>(&mut self, name: &'static str, default: T) -> T {
        let Some(key) = key(name) else {
            return default;
        };
        let (value, origin) = match self.given.remove(name) {
            None => (default, Origin::Default),
            Some((given, origin)) => match parse::<T>(key, &given) {
                Some(value) => (value, origin),
                None => {
                    self.problems.push(Problem::Wrong {
                        origin,
                        key: key.name,
                        value: told::<T>(&given),
                        expected: key.expectation(),
                    });
                    return default;
                }
            },
        };
        let shown = value.show();
        self.entries.push(Entry {
            key: *key,
            value: shown,
            origin,
        });
        value
    }

    fn take_file(&mut self, name: &str, text: &str) {
        let table: Table = match toml::from_str(text) {
            Ok(table) => table,
            Err(error) => {
                // Only the place is told: the line itself may hold a secret.
                let start = error.span().map_or(0, |span| span.start);
                let before = text.get(..start).unwrap_or_default();
                return self.problems.push(Problem::Syntax {
                    file: name.to_owned(),
                    line: before.matches('\n').count().saturating_add(1),
                    reason: error.message().to_owned(),
                });
            }
        };
        let origin = Origin::File(name.to_owned());
        for (section, content) in table {
            let known = SECTIONS.iter().any(|known| known.name == section);
            let Some(keys) = content.as_table().filter(|_| known) else {
                let names = SECTIONS.iter().map(|known| known.name);
                self.unknown(&origin, "section", &section, names);
                continue;
            };
            for (key, value) in keys {
                let full = format!("{section}.{key}");
                self.give(&full, Given::Typed(value.clone()), origin.clone());
            }
        }
    }

    fn take_variables(&mut self, variables: &[(String, String)]) {
        let set = |name: &str| variables.iter().find(|(known, _)| known == name);
        for key in KEYS {
            let short = key.also.and_then(set);
            let Some((name, text)) = set(&key.variable()).or(short) else {
                continue;
            };
            let given = Given::Text(text.clone());
            self.given
                .insert(key.name, (given, Origin::Variable(name.clone())));
        }
        for (name, _) in variables {
            if is_misspelt(name) {
                let known: Vec<String> = KEYS.iter().map(Key::variable).collect();
                let origin = Origin::Variable("environment".to_owned());
                let known = known.iter().map(String::as_str);
                self.unknown(&origin, "variable", name, known);
            }
        }
    }

    fn take_flags(&mut self, flags: &[Flag]) {
        for Flag { flag, key, value } in flags {
            self.give(key, value.clone(), Origin::Flag(flag.clone()));
        }
    }

    fn give(&mut self, name: &str, given: Given, origin: Origin) {
        match key(name) {
            Some(key) => {
                self.given.insert(key.name, (given, origin));
            }
            None => self.unknown(&origin, "key", name, KEYS.iter().map(|key| key.name)),
        }
    }

    fn unknown<'k>(
        &mut self,
        origin: &Origin,
        what: &'static str,
        name: &str,
        known: impl IntoIterator<Item = &'k str>,
    ) {
        self.problems.push(Problem::Unknown {
            origin: origin.clone(),
            what,
            name: name.to_owned(),
            nearest: nearest(name, known).map(str::to_owned),
        });
    }
}

fn key(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

fn parse<T: Setting>(key: &Key, given: &Given) -> Option<T> {
    let value = match given {
        Given::Text(text) => T::from_text(text),
        Given::Typed(value) => T::from_toml(value),
    }?;
    let within = match (key.range, value.number()) {
        (Some((least, greatest)), Some(number)) => (least..=greatest).contains(&number),
        _ => true,
    };
    within.then_some(value)
}

/// A value that is refused, for the message; what should have been a secret stays one.
fn told<T: Setting>(given: &Given) -> String {
    if T::EXPECTED == crate::Secret::EXPECTED {
        return "(secret)".to_owned();
    }
    match given {
        Given::Text(text) => format!("{text:?}"),
        Given::Typed(Value::String(text)) => format!("{text:?}"),
        Given::Typed(Value::Integer(number)) => number.to_string(),
        Given::Typed(Value::Float(number)) => number.to_string(),
        Given::Typed(Value::Boolean(flag)) => flag.to_string(),
        Given::Typed(Value::Datetime(_)) => "a date".to_owned(),
        Given::Typed(Value::Array(_)) => "a list".to_owned(),
        Given::Typed(Value::Table(_)) => "a section".to_owned(),
    }
}

/// Whether a variable names one of our sections but none of its keys.
fn is_misspelt(name: &str) -> bool {
    let is_of_a_section = SECTIONS
        .iter()
        .any(|section| name.starts_with(&format!("{}_", variable_of(section.name))));
    let is_known = |key: &Key| key.variable() == name || key.also.is_some_and(|also| also == name);
    name.starts_with(VARIABLE_PREFIX) && is_of_a_section && !KEYS.iter().any(is_known)
}

#[cfg(test)]
mod tests;
