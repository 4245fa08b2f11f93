//! Structures and enumerations.

use std::collections::BTreeSet;
use std::fmt::Write;

use anyhow::bail;

use super::model::{Reference, Shape};
use super::names;
use super::plan::{Plan, is_enum};

/// The source of a file in the making.
pub(super) struct Source<'p, 'm> {
    pub(super) plan: &'p Plan<'m>,
    pub(super) text: String,
    /// Types and tables used here and defined in another file: file and name.
    pub(super) imports: BTreeSet<(String, String)>,
    noun: &'m str,
}

impl<'p, 'm> Source<'p, 'm> {
    pub(super) fn new(plan: &'p Plan<'m>, noun: &'m str) -> Self {
        Self {
            plan,
            text: String::new(),
            imports: BTreeSet::new(),
            noun,
        }
    }

    /// Notes that `name` is used here, and imports it when it is defined elsewhere.
    pub(super) fn uses(&mut self, shape: &str, name: &str) {
        match self.plan.noun(shape) {
            Some(noun) if noun != self.noun => {
                self.imports.insert((noun.to_owned(), name.to_owned()));
            }
            _ => {}
        }
    }

    /// The type of a shape, if it has one of its own.
    pub(super) fn define(&mut self, name: &str, shape: &Shape) -> anyhow::Result<()> {
        match shape.kind.as_str() {
            "structure" => self.structure(name, shape),
            _ if is_enum(shape) => self.enumeration(name, shape),
            _ => Ok(()),
        }
    }

    fn structure(&mut self, name: &str, shape: &Shape) -> anyhow::Result<()> {
        let type_name = self.plan.type_name(name);
        let default = if self.plan.has_default(shape) {
            ", Default"
        } else {
            ""
        };
        let case = Case::of(shape);
        writeln!(self.text, "/// The structure `{name}`.")?;
        writeln!(
            self.text,
            "#[derive(Debug, Clone, PartialEq, Serialize, Deserialize{default})]"
        )?;
        writeln!(self.text, "#[serde(rename_all = {:?})]", case.name())?;
        writeln!(self.text, "pub struct {type_name} {{")?;
        for (member_name, member) in shape.members() {
            let target = self.plan.model.shape(&member.shape)?;
            if is_stream(shape, member_name, member, target) {
                continue;
            }
            let field = names::field(member_name);
            let base = self.type_of(&member.shape)?;
            let base = if self.plan.is_recursive(&member.shape) {
                format!("Box<{base}>")
            } else {
                base
            };
            let required = shape
                .required
                .iter()
                .any(|required| required == member_name);
            let mut attributes = Vec::new();
            if case.apply(&field) != member_name {
                attributes.push(format!("rename = {member_name:?}"));
            }
            if !required {
                attributes.push("skip_serializing_if = \"Option::is_none\"".to_owned());
            }
            if !attributes.is_empty() {
                writeln!(self.text, "#[serde({})]", attributes.join(", "))?;
            }
            let full = if required {
                base
            } else {
                format!("Option<{base}>")
            };
            writeln!(self.text, "pub {field}: {full},")?;
        }
        writeln!(self.text, "}}\n")?;
        Ok(())
    }

    /// The type that holds values of a shape.
    fn type_of(&mut self, name: &str) -> anyhow::Result<String> {
        let shape = self.plan.model.shape(name)?;
        if self.plan.has_type(shape) {
            let type_name = self.plan.type_name(name);
            self.uses(name, &type_name);
            return Ok(type_name);
        }
        let of = |part: &Option<Reference>| {
            part.as_ref()
                .map(|part| part.shape.clone())
                .unwrap_or_default()
        };
        Ok(match shape.kind.as_str() {
            // A blob inside a document is its base64 text.
            "string" | "blob" => "String".to_owned(),
            "integer" => "i32".to_owned(),
            "long" => "i64".to_owned(),
            "float" | "double" => "f64".to_owned(),
            "boolean" => "bool".to_owned(),
            "timestamp" => "Timestamp".to_owned(),
            "list" => format!("Vec<{}>", self.type_of(&of(&shape.member))?),
            "map" => format!("BTreeMap<String, {}>", self.type_of(&of(&shape.value))?),
            other => bail!("{name} is a {other}, which has no type yet"),
        })
    }

    fn enumeration(&mut self, name: &str, shape: &Shape) -> anyhow::Result<()> {
        let type_name = self.plan.type_name(name);
        writeln!(self.text, "/// The enumeration `{name}`.")?;
        writeln!(
            self.text,
            "#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]"
        )?;
        writeln!(self.text, "pub enum {type_name} {{")?;
        for value in &shape.values {
            writeln!(self.text, "/// `{value}`")?;
            writeln!(
                self.text,
                "#[serde(rename = {value:?})]\n{},",
                names::variant(value)
            )?;
        }
        writeln!(self.text, "}}\n\nimpl {type_name} {{")?;
        writeln!(self.text, "/// The value on the wire.\n#[must_use]")?;
        writeln!(
            self.text,
            "pub fn as_str(self) -> &'static str {{\nmatch self {{"
        )?;
        for value in &shape.values {
            writeln!(self.text, "Self::{} => {value:?},", names::variant(value))?;
        }
        writeln!(self.text, "}}\n}}\n}}\n")?;
        Ok(())
    }
}

/// The case of a structure's names on the wire, as serde derives it from a field.
#[derive(Clone, Copy)]
enum Case {
    Camel,
    Pascal,
}

impl Case {
    /// That of the first member.
    fn of(shape: &Shape) -> Self {
        let first = shape
            .members()
            .next()
            .and_then(|(name, _)| name.chars().next());
        if first.is_some_and(|c| c.is_ascii_lowercase()) {
            Self::Camel
        } else {
            Self::Pascal
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Camel => "camelCase",
            Self::Pascal => "PascalCase",
        }
    }

    /// The name that serde makes of a field; another one must be given to it.
    fn apply(self, field: &str) -> String {
        let words = field.trim_start_matches("r#").split('_');
        let pascal: String = words.map(names::capitalized).collect();
        match self {
            Self::Pascal => pascal,
            Self::Camel => {
                let mut chars = pascal.chars();
                let first = chars.next().map(|first| first.to_ascii_lowercase());
                first.into_iter().chain(chars).collect()
            }
        }
    }
}

/// Whether a member is a payload of bytes, which travels beside the document.
pub(super) fn is_stream(owner: &Shape, name: &str, member: &Reference, target: &Shape) -> bool {
    let is_payload = owner.payload.as_deref() == Some(name);
    member.streaming || (is_payload && target.kind == "blob")
}
