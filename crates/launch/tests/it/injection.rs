//! Names, paths and texts that try to be something else on their way to bubblewrap.

use std::fs;
use std::os::unix::fs::symlink;

use sightline_ports::{Command, Exit, LaunchError, LaunchSpec, Launcher as _, Mount};

use crate::rig::Rig;

async fn refusal(rig: &Rig, change: impl FnOnce(&mut LaunchSpec)) -> String {
    let (mut spec, _) = rig.spec(&["true"]);
    change(&mut spec);
    match rig.launcher.start(spec).await {
        Err(LaunchError::Refused(why)) => why,
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("it was started"),
    }
}

#[tokio::test]
async fn paths_and_names_that_are_not_plain_are_refused() {
    let rig = Rig::new();
    for inside in [
        "/etc",
        "/opt/ml/../../etc",
        "/opt/ml/x\n--bind\n/",
        "/opt/ml/x\0--bind",
        "x",
    ] {
        let host = rig.path("private");
        refusal(&rig, |spec| {
            spec.instances[0].1.push(Mount {
                host,
                inside: inside.into(),
                writable: true,
            });
        })
        .await;
    }
    refusal(&rig, |spec| spec.id = "../other".into()).await;
    refusal(&rig, |spec| spec.id = "--bind".into()).await;
    refusal(&rig, |spec| {
        spec.variables
            .push(("A\0--bind\0/\0/host".into(), "x".into()))
    })
    .await;
    refusal(&rig, |spec| {
        spec.variables
            .push(("A".into(), "x\0--bind\0/\0/host".into()))
    })
    .await;
    refusal(&rig, |spec| spec.variables.push(("A=B".into(), "x".into()))).await;
    refusal(&rig, |spec| spec.working_directory = "/opt/ml/..".into()).await;
    refusal(&rig, |spec| {
        spec.working_directory = "/opt/ml/absent".into()
    })
    .await;
    refusal(&rig, |spec| {
        spec.command = Command::Program(vec!["a\0--bind".into()])
    })
    .await;
    refusal(&rig, |spec| spec.command = Command::Program(Vec::new())).await;
    refusal(&rig, |spec| spec.instances.clear()).await;
    refusal(&rig, |spec| spec.limits.open_files = 4).await;
    let absent = rig.path("absent");
    let why = refusal(&rig, |spec| spec.instances[0].1[1].host = absent).await;
    assert!(why.contains("missing"), "{why}");
}

#[tokio::test]
async fn a_link_in_a_jobs_tree_cannot_move_a_mount() {
    let rig = Rig::new();
    symlink("/", rig.path("job/channel")).unwrap();
    let host = rig.path("input");
    let why = refusal(&rig, |spec| {
        let inside = "/opt/ml/channel/data".into();
        spec.instances[0].1.push(Mount {
            host,
            inside,
            writable: false,
        });
    })
    .await;
    assert!(why.contains("a link or file is in its way"), "{why}");
}

#[tokio::test]
async fn odd_but_legal_texts_arrive_as_they_are() {
    let rig = Rig::new();
    let odd = "--bind / /host\n--setenv X 'y' \u{e9} $HOME ;";
    let script = "import json, os, sys; \
                  print(json.dumps([sys.argv[1:], os.environ['ODD'], os.listdir('/opt/ml/--ro-bind')]))";
    let (mut spec, lines) = rig.spec(&["python3", "-c", script, "--ro-bind", "--", odd]);
    spec.variables.push(("ODD".into(), odd.into()));
    let host = rig.path("named\nlines");
    fs::create_dir(&host).unwrap();
    fs::write(host.join("--file"), "").unwrap();
    let inside = "/opt/ml/--ro-bind".into();
    spec.instances[0].1.push(Mount {
        host,
        inside,
        writable: false,
    });
    let report = rig.run_spec(spec).await;
    assert_eq!(report.exit, Exit::Code(0), "{:?}", lines.printed());
    let said: serde_json::Value = serde_json::from_str(&lines.printed()[0]).unwrap();
    assert_eq!(
        said,
        serde_json::json!([["--ro-bind", "--", odd], odd, ["--file"]])
    );
}
