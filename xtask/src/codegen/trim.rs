//! From botocore's data to `models/`: the kept operations with their shapes, without prose, and
//! of the other operations only what is needed to refuse them by name.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use flate2::read::GzDecoder;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;

use super::keep;
use super::model::{Http, Model, Operation, Ordered, Reference, Shape};

/// What botocore says of shapes and is of no use to a server. Anything unlisted stops the run, so
/// that a new trait is read before it is ignored.
const DROPPED_FROM_SHAPES: [&str; 10] = [
    "documentation",
    "box",
    "synthetic",
    "deprecated",
    "deprecatedMessage",
    "retryable",
    "wrapper",
    // A union is a structure of which the caller fills one member; handlers see to that.
    "union",
    // Both are said again of each member that has the shape.
    "locationName",
    "xmlNamespace",
];

/// The same for members and other uses of shapes.
const DROPPED_FROM_REFERENCES: [&str; 10] = [
    "documentation",
    "box",
    "deprecated",
    "deprecatedMessage",
    "deprecatedSince",
    "contextParam",
    "hostLabel",
    "idempotencyToken",
    "resultWrapper",
    "enum",
];

/// Keeps of a model the kept operations, and of the others where they live.
pub(super) fn trim(full: Model, name: &str, kept: &keep::Service) -> anyhow::Result<Model> {
    for (_, operation, _) in kept.all() {
        ensure!(
            full.operations.get(operation).is_some(),
            "{name} has no operation {operation}"
        );
    }
    let mut operations = Ordered::default();
    let mut unserved = Ordered::default();
    for (operation_name, operation) in full.operations.iter() {
        let rivals = rivals(&full, operation);
        let http = discriminate(&full, operation, &rivals)?;
        if let Some(kept) = kept.operation(operation_name) {
            let answered = operation.output.clone().filter(|_| !kept.refuses);
            let operation = Operation {
                http,
                output: answered,
                ..operation.clone()
            };
            operations.0.push((operation_name.to_owned(), operation));
        } else if !operation.deprecated || rivals.is_empty() {
            unserved.0.push((operation_name.to_owned(), http));
        }
    }
    let reachable = reachable(&full, &operations)?;
    let shapes = full
        .shapes
        .0
        .into_iter()
        .filter(|(name, _)| reachable.contains(name));
    let shapes = Ordered(shapes.collect());
    Ok(Model {
        metadata: full.metadata,
        operations,
        shapes,
        unserved,
    })
}

/// Reads a service's newest model from botocore's data directory.
pub(super) fn read(botocore: &Path, name: &str) -> anyhow::Result<Model> {
    let folder = botocore.join(name);
    let versions = fs::read_dir(&folder).with_context(|| format!("no {}", folder.display()))?;
    let versions: Result<Vec<PathBuf>, _> = versions
        .map(|entry| entry.map(|entry| entry.path()))
        .collect();
    let newest = versions?.into_iter().filter(|path| path.is_dir()).max();
    let newest = newest.with_context(|| format!("no version in {}", folder.display()))?;
    let plain = newest.join("service-2.json");
    let mut text = String::new();
    if plain.exists() {
        File::open(&plain)?.read_to_string(&mut text)?;
    } else {
        GzDecoder::new(File::open(newest.join("service-2.json.gz"))?).read_to_string(&mut text)?;
    }
    serde_json::from_str(&text)
        .with_context(|| format!("reading the model in {}", newest.display()))
}

/// The other operations at the same place of a REST service; of one that has a place for all, none.
fn rivals<'m>(model: &'m Model, operation: &Operation) -> Vec<&'m Operation> {
    let is_rest = model
        .metadata
        .protocols
        .iter()
        .any(|protocol| protocol.starts_with("rest-"));
    let place = |o: &Operation| (o.http.method.clone(), o.http.request_uri.clone());
    let same_place = model
        .operations
        .iter()
        .filter(|(_, o)| place(o) == place(operation));
    let rivals: Vec<_> = same_place.map(|(_, o)| o).collect();
    if is_rest && rivals.len() > 1 {
        rivals
    } else {
        Vec::new()
    }
}

/// Adds what tells the operation from its rivals: the query keys and headers that it requires.
fn discriminate(
    model: &Model,
    operation: &Operation,
    rivals: &[&Operation],
) -> anyhow::Result<Http> {
    let mut http = operation.http.clone();
    let (false, Some(input)) = (rivals.is_empty(), &operation.input) else {
        return Ok(http);
    };
    let shape = model.shape(&input.shape)?;
    for (name, member) in shape
        .members()
        .filter(|(name, _)| shape.required.iter().any(|r| r == name))
    {
        let wire_name = member
            .location_name
            .clone()
            .unwrap_or_else(|| name.to_owned());
        match member.location.as_deref() {
            Some("querystring") => http.query.push(wire_name),
            Some("header") => http.headers.push(wire_name.to_ascii_lowercase()),
            _ => {}
        }
    }
    Ok(http)
}

fn reachable(model: &Model, operations: &Ordered<Operation>) -> anyhow::Result<BTreeSet<String>> {
    let mut reachable = BTreeSet::new();
    let mut waiting: Vec<Reference> = Vec::new();
    for (_, operation) in operations.iter() {
        let references = operation
            .input
            .iter()
            .chain(&operation.output)
            .chain(&operation.errors);
        waiting.extend(references.cloned());
    }
    while let Some(reference) = waiting.pop() {
        known(&reference.rest, &DROPPED_FROM_REFERENCES, &reference.shape)?;
        if reachable.insert(reference.shape.clone()) {
            let shape: &Shape = model.shape(&reference.shape)?;
            known(&shape.rest, &DROPPED_FROM_SHAPES, &reference.shape)?;
            waiting.extend(shape.references().cloned());
        }
    }
    Ok(reachable)
}

fn known(rest: &BTreeMap<String, IgnoredAny>, dropped: &[&str], shape: &str) -> anyhow::Result<()> {
    match rest.keys().find(|name| !dropped.contains(&name.as_str())) {
        Some(name) => bail!("the model says {name:?} of {shape}, which codegen does not know"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &str = r#"{
        "metadata": {
            "apiVersion": "1", "endpointPrefix": "zoo", "protocols": ["rest-xml"], "uid": "dropped"
        },
        "operations": {
            "PutCage": {
                "name": "PutCage", "documentation": "prose",
                "http": { "method": "PUT", "requestUri": "/{Cage}" },
                "input": { "shape": "PutCageRequest" }
            },
            "CopyCage": {
                "http": { "method": "PUT", "requestUri": "/{Cage}" },
                "input": { "shape": "CopyCageRequest" }
            },
            "PutCageOld": {
                "deprecated": true,
                "http": { "method": "PUT", "requestUri": "/{Cage}" }
            },
            "OldDoor": { "deprecated": true, "http": { "method": "PUT", "requestUri": "/door" } }
        },
        "shapes": {
            "PutCageRequest": {
                "type": "structure", "documentation": "prose",
                "members": { "Zebra": { "shape": "Text" }, "Ape": { "shape": "Text" } }
            },
            "CopyCageRequest": {
                "type": "structure", "required": ["Source", "Part", "Zebra"],
                "members": {
                    "Source": { "shape": "Text", "location": "header", "locationName": "X-Source" },
                    "Part": { "shape": "Text", "location": "querystring", "locationName": "part" },
                    "Zebra": { "shape": "Text" }
                }
            },
            "Text": { "type": "string", "max": 63, "documentation": "prose" }
        }
    }"#;

    const KEEP: &str = r#"
        home = "model-zoo"
        title = "Zoo"
        [operations.cage]
        PutCage = { access = "write", resource = "*" }
    "#;

    fn trimmed(model: &str) -> anyhow::Result<String> {
        let model = trim(serde_json::from_str(model)?, "zoo", &toml::from_str(KEEP)?)?;
        Ok(serde_json::to_string(&model)?)
    }

    #[test]
    fn what_is_kept_has_no_prose_and_its_order() {
        let text = trimmed(MODEL).unwrap();
        assert!(
            !text.contains("prose") && !text.contains("dropped"),
            "{text}"
        );
        assert!(!text.contains("CopyCageRequest"), "{text}");
        let members = r#""members":{"Zebra":{"shape":"Text"},"Ape":{"shape":"Text"}}"#;
        assert!(text.contains(members), "{text}");
        assert!(
            text.contains(r#""Text":{"type":"string","max":63}"#),
            "{text}"
        );
    }

    #[test]
    fn rivals_are_told_apart_by_what_they_require() {
        let text = trimmed(MODEL).unwrap();
        let copy = r#""CopyCage":{"method":"PUT","requestUri":"/{Cage}","query":["part"],"headers":["x-source"]}"#;
        assert!(text.contains(copy), "{text}");
        assert!(
            !text.contains("PutCageOld"),
            "a deprecated rival cannot be told apart: {text}"
        );
        assert!(text.contains("OldDoor"), "{text}");
    }

    #[test]
    fn an_unknown_trait_stops_the_run() {
        let model = MODEL.replace(r#""max": 63"#, r#""max": 63, "novelty": true"#);
        let error = trimmed(&model).unwrap_err().to_string();
        assert_eq!(
            error,
            "the model says \"novelty\" of Text, which codegen does not know"
        );
    }

    #[test]
    fn an_operation_that_does_not_exist_cannot_be_kept() {
        let error = trimmed(&MODEL.replace("PutCage\"", "PutBox\""))
            .unwrap_err()
            .to_string();
        assert_eq!(error, "zoo has no operation PutCage");
    }
}
