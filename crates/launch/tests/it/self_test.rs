//! The self-test says the truth about this machine.

use std::sync::Arc;

use sightline_launch::{Isolation, SandboxConfig};
use sightline_ports::{LaunchError, Launcher as _, SystemClock};

use crate::rig::{Rig, is_root, launcher, launcher_with};

#[tokio::test]
async fn every_check_holds_here() {
    let launcher = launcher();
    let tested = launcher.self_test().await;
    let possible: Vec<_> = tested
        .checks
        .iter()
        .filter(|check| !check.prevented)
        .collect();
    assert!(possible.is_empty(), "{possible:?}");
    assert_eq!(tested.checks.len(), 13, "{tested:?}");
    match &tested.isolation {
        Isolation::Full => assert!(is_root(), "an ordinary user has one id for all jobs"),
        Isolation::Reduced(why) => assert!(!why.is_empty()),
        Isolation::None(why) => panic!("{why}"),
    }
    let said = launcher.isolation().join("\n");
    assert!(said.contains("bubblewrap"), "{said}");
    assert!(
        said.contains("isolation: full") || said.contains("isolation: reduced"),
        "{said}"
    );
}

#[tokio::test]
async fn without_bubblewrap_no_job_starts() {
    let mut config = SandboxConfig::new(Arc::new(SystemClock));
    config.bubblewrap = vec!["/nonexistent/bwrap".into()];
    let mut rig = Rig::new();
    rig.launcher = launcher_with(config);
    let (spec, lines) = rig.spec(&["true"]);
    match rig.launcher.start(spec).await {
        Err(LaunchError::Isolation(why)) => {
            assert!(why.contains("install bubblewrap"), "{why}");
        }
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("a job was started without a sandbox"),
    }
    assert!(lines.of(1).is_empty());
}

#[tokio::test]
async fn the_log_begins_with_what_runs_and_how() {
    let rig = Rig::new();
    let (_, lines) = rig.run(&["echo", "hello"]).await;
    let lines = lines.of(1);
    let (last, preamble) = lines.split_last().unwrap();
    assert_eq!(last, "hello");
    assert!(
        preamble.iter().all(|line| line.starts_with("[sightline] ")),
        "{preamble:#?}"
    );
    let whole = preamble.join("\n");
    for part in [
        "launcher: sandbox (bubblewrap ",
        "isolation: ",
        "environment: system-python (digest 0123456789ab), CPython of the system",
        "substitution: it is the system's Python",
        "network: none",
        "limits: memory 512 MiB by ",
    ] {
        assert!(whole.contains(part), "{part:?} is missing in\n{whole}");
    }
}
