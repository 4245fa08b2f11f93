//! What must hold of all tables, whatever the model says.

use std::collections::BTreeSet;

use sightline_types::{AccountId, Region};
use sightline_wire::resolve_resource;
use sightline_wire::schema::{Kind, Operation, Shape};

use crate::SERVICES;

fn operations() -> impl Iterator<Item = &'static Operation> {
    SERVICES
        .iter()
        .flat_map(|service| service.operations)
        .copied()
}

/// Visits every shape that an operation uses, once.
fn visit(shape: &'static Shape, seen: &mut BTreeSet<*const Shape>, see: &mut dyn FnMut(&Shape)) {
    if !seen.insert(std::ptr::from_ref(shape)) {
        return;
    }
    see(shape);
    match &shape.kind {
        Kind::Structure(members) => {
            for member in *members {
                visit(member.shape, seen, see);
            }
        }
        Kind::List(list) => visit(list.member, seen, see),
        Kind::Map(map) => {
            visit(map.key, seen, see);
            visit(map.value, seen, see);
        }
        Kind::Text(_)
        | Kind::Integer(_)
        | Kind::Long(_)
        | Kind::Float(_)
        | Kind::Double(_)
        | Kind::Boolean
        | Kind::Blob(_)
        | Kind::Timestamp(_) => {}
    }
}

#[test]
fn every_pattern_compiles() {
    let mut seen = BTreeSet::new();
    let mut patterns = 0;
    let mut see = |shape: &Shape| {
        if let Kind::Text(text) = &shape.kind
            && let Some(pattern) = text.pattern
        {
            patterns += 1;
            assert!(pattern.compiles(), "{} {}", shape.name, pattern.text());
        }
    };
    for operation in operations() {
        visit(operation.input, &mut seen, &mut see);
        operation
            .output
            .into_iter()
            .for_each(|output| visit(output, &mut seen, &mut see));
    }
    assert!(3 <= patterns, "the walk must see patterns");
}

#[test]
fn every_operation_declares_its_permission() {
    let account: AccountId = "123456789012".parse().unwrap();
    let region: Region = "us-east-1".parse().unwrap();
    for operation in operations() {
        let (service, name) = operation.action.split_once(':').unwrap();
        assert_eq!(service, operation.service.name, "{}", operation.name);
        assert!(!name.is_empty(), "{}", operation.name);
        assert!(!operation.resources.is_empty(), "{}", operation.name);
        let nothing = resolve_resource(operation, &serde_json::json!({}), &region, &account);
        let is_everything = operation.resources.iter().any(|one| !one.contains('{'));
        assert_eq!(nothing.is_ok(), is_everything, "{}", operation.name);
    }
}
