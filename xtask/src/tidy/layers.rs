//! Who may name whom: the layers of the house, the few edges inside a layer, and heavy crates.
//!
//! The tables here are the rule; `ARCHITECTURE.md` draws them.

use super::Finding;

/// A package of the workspace.
#[derive(Debug)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) dependencies: Vec<Dependency>,
}

/// One line of a manifest's dependency tables.
#[derive(Debug)]
pub(super) struct Dependency {
    pub(super) name: String,
    pub(super) for_tests: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    Base,
    Pure,
    Foundation,
    Engine,
    /// Implements a port; knows of ports and types only.
    Adapter,
    Protocol,
    Assembly,
    Binary,
    /// The test kit: a dev-dependency, never part of the product.
    Beside,
}

const PLACES: &[(&str, Layer)] = &[
    ("sightline-types", Layer::Base),
    ("sightline-columns", Layer::Pure),
    ("sightline-wire", Layer::Pure),
    ("sightline-stats", Layer::Pure),
    ("sightline-model-aws", Layer::Pure),
    ("sightline-model-sagemaker", Layer::Pure),
    ("sightline-ports", Layer::Foundation),
    ("sightline-meta", Layer::Foundation),
    ("sightline-audit", Layer::Engine),
    ("sightline-catalog", Layer::Engine),
    ("sightline-features", Layer::Engine),
    ("sightline-hosting", Layer::Engine),
    ("sightline-identity", Layer::Engine),
    ("sightline-jobs", Layer::Engine),
    ("sightline-lineage", Layer::Engine),
    ("sightline-monitor", Layer::Engine),
    ("sightline-objects", Layer::Engine),
    ("sightline-telemetry", Layer::Engine),
    ("sightline-tracking", Layer::Engine),
    ("sightline-blob", Layer::Adapter),
    ("sightline-kv", Layer::Adapter),
    ("sightline-launch", Layer::Adapter),
    ("sightline-sql", Layer::Adapter),
    ("sightline-api", Layer::Protocol),
    ("sightline-api-aws", Layer::Protocol),
    ("sightline-api-console", Layer::Protocol),
    ("sightline-api-mlflow", Layer::Protocol),
    ("sightline-api-s3", Layer::Protocol),
    ("sightline-api-sagemaker", Layer::Protocol),
    ("sightline-config", Layer::Assembly),
    ("sightline-server", Layer::Assembly),
    ("sightline", Layer::Binary),
    ("sightline-proof", Layer::Beside),
    ("sightline-testkit", Layer::Beside),
];

/// Engines and foundations that every neighbour in their layer may use.
const OPEN_TO_NEIGHBOURS: &[&str] = &[
    "sightline-api",
    "sightline-identity",
    "sightline-objects",
    "sightline-telemetry",
    "sightline-wire",
];

/// The other edges inside a layer, from the user to the used.
const EDGES_INSIDE_A_LAYER: &[(&str, &str)] = &[
    ("sightline-monitor", "sightline-jobs"),
    ("sightline-monitor", "sightline-hosting"),
    ("sightline-server", "sightline-config"),
];

/// Crates that cost build time or bring `unsafe` or C code: each has one home, but for TLS, which
/// the server speaks to clients and `meta` to the database.
const HOMES: &[(&str, &str)] = &[
    ("command-fds", "sightline-launch"),
    ("datafusion", "sightline-sql"),
    ("hyper", "sightline-server"),
    ("hyper-util", "sightline-server"),
    ("libc", "sightline-launch"),
    ("object_store", "sightline-blob"),
    ("parquet", "sightline-columns"),
    ("rcgen", "sightline-server"),
    ("rsa", "sightline-audit"),
    ("rusqlite", "sightline-meta"),
    ("seccompiler", "sightline-launch"),
    ("tokio-postgres", "sightline-meta"),
    ("tokio-rustls", "sightline-meta"),
    ("tokio-rustls", "sightline-server"),
];

/// Returns every edge that the tables above do not allow.
pub(super) fn check(packages: &[Package]) -> Vec<Finding> {
    let mut found = Vec::new();
    for package in packages.iter().filter(|package| package.name != "xtask") {
        if place(&package.name).is_none() {
            found.push(Finding::new(
                &package.name,
                "has no place in the table of layers",
            ));
        }
        for dependency in &package.dependencies {
            let refusal = refused_edge(&package.name, dependency)
                .or_else(|| refused_heavy(&package.name, dependency));
            found.extend(refusal.map(|message| Finding::new(&package.name, message)));
        }
    }
    found
}

fn place(package: &str) -> Option<Layer> {
    PLACES
        .iter()
        .find(|(name, _)| *name == package)
        .map(|(_, layer)| *layer)
}

fn refused_heavy(user: &str, dependency: &Dependency) -> Option<String> {
    let heavy = dependency.name.as_str();
    let homes: Vec<&str> = HOMES
        .iter()
        .filter(|(crate_name, _)| *crate_name == heavy)
        .map(|(_, home)| *home)
        .collect();
    let refused = !homes.is_empty() && !homes.contains(&user);
    refused.then(|| format!("names {heavy}, whose only home is {}", homes.join(" and ")))
}

fn refused_edge(user: &str, dependency: &Dependency) -> Option<String> {
    let used = dependency.name.as_str();
    let (from, to) = (place(user)?, place(used)?);
    let allowed = if dependency.for_tests {
        may_use_in_tests(from, to) || may_use(user, from, used, to)
    } else {
        may_use(user, from, used, to)
    };
    let why = if to == Layer::Beside {
        "the test kit is a dev-dependency only"
    } else if used.starts_with("sightline-model-") {
        "generated shapes belong to the protocols"
    } else if from == Layer::Adapter {
        "an adapter knows of ports and types only"
    } else if from == to {
        "this edge inside a layer is not listed"
    } else {
        "edges point down the layers, and protocols and adapters do not name each other"
    };
    (!allowed).then(|| format!("names {used}: {why}"))
}

/// Tests may stand on the kit, and run an engine or a protocol on a real adapter.
fn may_use_in_tests(from: Layer, to: Layer) -> bool {
    let stands_on_adapters = matches!(from, Layer::Engine | Layer::Protocol);
    to == Layer::Beside || (to == Layer::Adapter && stands_on_adapters)
}

fn may_use(user: &str, from: Layer, used: &str, to: Layer) -> bool {
    if to == Layer::Beside {
        return false;
    }
    if used.starts_with("sightline-model-") {
        return from == Layer::Protocol;
    }
    if from == Layer::Adapter {
        return matches!(used, "sightline-ports" | "sightline-types");
    }
    if from == Layer::Protocol && to == Layer::Adapter {
        return false;
    }
    if from == Layer::Beside {
        return to < Layer::Assembly;
    }
    if from == to {
        return OPEN_TO_NEIGHBOURS.contains(&used) || EDGES_INSIDE_A_LAYER.contains(&(user, used));
    }
    to < from
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusals(user: &str, used: &str, for_tests: bool) -> Vec<String> {
        let dependency = Dependency {
            name: used.into(),
            for_tests,
        };
        let package = Package {
            name: user.into(),
            dependencies: vec![dependency],
        };
        check(&[package]).iter().map(ToString::to_string).collect()
    }

    fn check_edge(user: &str, used: &str, allowed: bool, allowed_in_tests: bool) {
        let (product, tests) = (refusals(user, used, false), refusals(user, used, true));
        assert_eq!(product.is_empty(), allowed, "{user} -> {used}: {product:?}");
        assert_eq!(
            tests.is_empty(),
            allowed_in_tests,
            "{user} -> {used} in tests: {tests:?}"
        );
    }

    #[test]
    fn edges_point_down() {
        check_edge("sightline-jobs", "sightline-types", true, true);
        check_edge("sightline", "sightline-server", true, true);
        check_edge("sightline-server", "sightline-launch", true, true);
        check_edge("sightline-api-s3", "sightline-objects", true, true);
        check_edge("sightline-types", "sightline-wire", false, false);
        check_edge("sightline-meta", "sightline-jobs", false, false);
        check_edge("sightline-jobs", "sightline-api", false, false);
        check_edge("sightline-server", "sightline", false, false);
    }

    #[test]
    fn engines_use_only_the_listed_engines() {
        check_edge("sightline-jobs", "sightline-identity", true, true);
        check_edge("sightline-jobs", "sightline-telemetry", true, true);
        check_edge("sightline-monitor", "sightline-jobs", true, true);
        check_edge("sightline-jobs", "sightline-monitor", false, false);
        check_edge("sightline-audit", "sightline-jobs", false, false);
    }

    #[test]
    fn adapters_and_protocols_do_not_name_each_other() {
        check_edge("sightline-blob", "sightline-ports", true, true);
        check_edge("sightline-blob", "sightline-meta", false, false);
        check_edge("sightline-launch", "sightline-api", false, false);
        check_edge("sightline-launch", "sightline-blob", false, false);
        check_edge("sightline-api-s3", "sightline-api", true, true);
        check_edge("sightline-api-s3", "sightline-api-aws", false, false);
        check_edge("sightline-api-s3", "sightline-blob", false, true);
        check_edge("sightline-objects", "sightline-blob", false, true);
    }

    #[test]
    fn generated_shapes_are_for_protocols() {
        check_edge(
            "sightline-api-sagemaker",
            "sightline-model-sagemaker",
            true,
            true,
        );
        check_edge("sightline-model-sagemaker", "sightline-wire", true, true);
        check_edge("sightline-jobs", "sightline-model-sagemaker", false, false);
        check_edge("sightline-server", "sightline-model-aws", false, false);
    }

    #[test]
    fn the_test_kit_is_for_tests() {
        check_edge("sightline-blob", "sightline-testkit", false, true);
        check_edge("sightline-server", "sightline-testkit", false, true);
        check_edge("sightline-testkit", "sightline-ports", true, true);
        check_edge("sightline-testkit", "sightline-server", false, false);
    }

    #[test]
    fn a_heavy_crate_stays_at_home() {
        check_edge("sightline-meta", "rusqlite", true, true);
        check_edge("sightline-jobs", "rusqlite", false, false);
        check_edge("sightline-api", "hyper", false, false);
        check_edge("sightline-server", "hyper-util", true, true);
    }

    #[test]
    fn a_crate_without_a_place_is_found() {
        let package = Package {
            name: "sightline-utils".into(),
            dependencies: Vec::new(),
        };
        let found = check(&[package]);
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].to_string(),
            "sightline-utils: has no place in the table of layers"
        );
    }
}
