//! What is generated for a service: which shape goes to which file under which name.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{bail, ensure};

use super::keep;
use super::model::{Model, Operation, Reference, Shape};
use super::names;

/// Enumerations longer than this stay texts: nobody matches on 300 instance types.
const VARIANTS_MAX: usize = 40;

/// The file of the shapes that several nouns use.
pub(super) const SHARED: &str = "shared";

/// A service with everything that rendering asks about it.
pub(super) struct Plan<'m> {
    pub(super) name: &'m str,
    pub(super) model: &'m Model,
    pub(super) kept: &'m keep::Service,
    /// The noun of each shape that is generated.
    nouns: BTreeMap<&'m str, &'m str>,
    /// The types of inputs and outputs, which are named after their operation.
    renamed: BTreeMap<&'m str, String>,
    /// Structures that a member of the same structure may hold, directly or below.
    recursive: BTreeSet<&'m str>,
}

impl<'m> Plan<'m> {
    pub(super) fn new(
        name: &'m str,
        model: &'m Model,
        kept: &'m keep::Service,
    ) -> anyhow::Result<Self> {
        let mut plan = Self {
            name,
            model,
            kept,
            nouns: BTreeMap::new(),
            renamed: BTreeMap::new(),
            recursive: BTreeSet::new(),
        };
        for (noun, operation_name, _) in kept.all() {
            let operation = plan.operation(operation_name)?;
            plan.place(noun, operation)?;
            plan.rename(operation_name, operation);
        }
        plan.recursive = plan
            .nouns
            .keys()
            .copied()
            .filter(|s| plan.contains_itself(s))
            .collect();
        plan.check_templates()?;
        plan.check_unique()?;
        Ok(plan)
    }

    pub(super) fn operation(&self, name: &str) -> anyhow::Result<&'m Operation> {
        let operation = self.model.operations.get(name);
        operation.ok_or_else(|| {
            anyhow::anyhow!(
                "models/{}.json lacks {name}; run with --botocore",
                self.name
            )
        })
    }

    /// The files to write, each with its shapes in alphabetical order.
    pub(super) fn files(&self) -> BTreeMap<&'m str, Vec<(&'m str, &'m Shape)>> {
        let mut files: BTreeMap<&str, Vec<(&str, &Shape)>> = BTreeMap::new();
        for (shape, noun) in &self.nouns {
            if let Some(found) = self.model.shapes.get(shape) {
                files.entry(noun).or_default().push((shape, found));
            }
        }
        for noun in self.kept.operations.keys() {
            files.entry(noun).or_default();
        }
        files
    }

    pub(super) fn noun(&self, shape: &str) -> Option<&'m str> {
        self.nouns.get(shape).copied()
    }

    /// The Rust type that stands for a shape, without `Option`.
    pub(super) fn type_name(&self, shape: &str) -> String {
        self.renamed
            .get(shape)
            .cloned()
            .unwrap_or_else(|| names::type_name(shape))
    }

    /// Whether a shape has a generated type of its own.
    pub(super) fn has_type(&self, shape: &Shape) -> bool {
        shape.kind == "structure" || is_enum(shape)
    }

    /// Whether a structure must be boxed where a member holds it directly.
    pub(super) fn is_recursive(&self, shape: &str) -> bool {
        self.recursive.contains(shape)
    }

    /// Whether a structure has a default: all that it requires has one.
    pub(super) fn has_default(&self, shape: &Shape) -> bool {
        let required = |name: &str| shape.required.iter().any(|required| required == name);
        shape
            .members()
            .filter(|(name, _)| required(name))
            .all(|(_, member)| {
                self.model.shapes.get(&member.shape).is_some_and(|target| {
                    match target.kind.as_str() {
                        "structure" => {
                            !self.is_recursive(&member.shape) && self.has_default(target)
                        }
                        _ => !is_enum(target),
                    }
                })
            })
    }

    fn place(&mut self, noun: &'m str, operation: &'m Operation) -> anyhow::Result<()> {
        let mut waiting: Vec<&'m Reference> =
            operation.input.iter().chain(&operation.output).collect();
        let mut seen = BTreeSet::new();
        while let Some(reference) = waiting.pop() {
            if !seen.insert(reference.shape.as_str()) {
                continue;
            }
            let place = self.nouns.entry(&reference.shape).or_insert(noun);
            if *place != noun {
                *place = SHARED;
            }
            waiting.extend(self.model.shape(&reference.shape)?.references());
        }
        Ok(())
    }

    fn rename(&mut self, name: &str, operation: &'m Operation) {
        if let Some(input) = &operation.input {
            self.renamed.insert(&input.shape, format!("{name}Input"));
        }
        if let Some(output) = &operation.output {
            self.renamed.insert(&output.shape, format!("{name}Output"));
        }
    }

    fn contains_itself(&self, start: &str) -> bool {
        let mut waiting = vec![start];
        let mut seen = BTreeSet::new();
        while let Some(name) = waiting.pop() {
            let members = self
                .model
                .shapes
                .get(name)
                .into_iter()
                .flat_map(Shape::members);
            for (_, member) in members {
                if member.shape == start {
                    return true;
                }
                if seen.insert(member.shape.as_str()) {
                    waiting.push(&member.shape);
                }
            }
        }
        false
    }

    /// A template that names no member of its input would never resolve.
    fn check_templates(&self) -> anyhow::Result<()> {
        for (_, name, kept) in self.kept.all() {
            let input = self.operation(name)?.input.as_ref();
            let members: BTreeSet<&str> = match input {
                Some(input) => self
                    .model
                    .shape(&input.shape)?
                    .members()
                    .map(|(n, _)| n)
                    .collect(),
                None => BTreeSet::new(),
            };
            ensure!(
                !kept.resource.templates().is_empty(),
                "{name} has no resource"
            );
            for template in kept.resource.templates() {
                for label in template.split('{').skip(1) {
                    let label = label.split('}').next().unwrap_or_default();
                    ensure!(
                        members.contains(label),
                        "{name} takes no {label}, named in {template}"
                    );
                }
            }
        }
        Ok(())
    }

    fn check_unique(&self) -> anyhow::Result<()> {
        let mut seen = BTreeSet::new();
        let operations = self.kept.all().map(|(_, name, _)| name.to_owned());
        let typed = |shape: &&&str| {
            self.model
                .shapes
                .get(shape)
                .is_some_and(|s| self.has_type(s))
        };
        let types = self
            .nouns
            .keys()
            .filter(typed)
            .map(|shape| self.type_name(shape));
        for name in operations.chain(types) {
            if !seen.insert(name.clone()) {
                bail!("{} would have two types named {name}", self.name);
            }
        }
        Ok(())
    }
}

/// Whether a text becomes an enumeration.
pub(super) fn is_enum(shape: &Shape) -> bool {
    shape.kind == "string" && (1..=VARIANTS_MAX).contains(&shape.values.len())
}
