//! The image's own `train` program, as a job starts it.

use std::fs;

use sightline_ports::{Command, Exit};

use crate::rig::Rig;

const SCRIPT: &str = r#"
import argparse, os
parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int)
given = parser.parse_args()
print("epochs", given.epochs, os.environ["SM_CURRENT_HOST"], os.getcwd())
with open(os.path.join(os.environ["SM_MODEL_DIR"], "model"), "w") as file:
    file.write("trained")
if given.epochs == 0:
    raise ValueError("nothing to do")
"#;

fn with_files(epochs: &str) -> Rig {
    let rig = Rig::new();
    for (name, text) in [
        ("config/inputdataconfig.json", "{}"),
        (
            "config/resourceconfig.json",
            r#"{"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "eth0"}"#,
        ),
        (
            "config/hyperparameters.json",
            &format!(r#"{{"epochs": "{epochs}", "sagemaker_program": "\"train.py\""}}"#),
        ),
    ] {
        let path = rig.path("input").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    for name in ["job/code", "job/model"] {
        fs::create_dir_all(rig.path(name)).unwrap();
    }
    fs::write(rig.path("job/code/train.py"), SCRIPT).unwrap();
    rig
}

#[tokio::test]
async fn a_script_is_trained_with_its_hyperparameters() {
    let rig = with_files("3");
    let (mut spec, lines) = rig.spec(&[]);
    spec.command = Command::Train;
    assert_eq!(
        rig.run_spec(spec).await.exit,
        Exit::Code(0),
        "{:#?}",
        lines.printed()
    );
    let printed = lines.printed();
    assert!(
        printed.contains(&"epochs 3 algo-1 /opt/ml/code".to_owned()),
        "{printed:#?}"
    );
    assert_eq!(
        fs::read_to_string(rig.path("job/model/model")).unwrap(),
        "trained"
    );
}

#[tokio::test]
async fn a_script_that_fails_leaves_its_reason() {
    let rig = with_files("0");
    let (mut spec, lines) = rig.spec(&[]);
    spec.command = Command::Train;
    assert_eq!(rig.run_spec(spec).await.exit, Exit::Code(1));
    let printed = lines.printed().join("\n");
    assert!(printed.contains("ValueError: nothing to do"), "{printed}");
    let reason = fs::read_to_string(rig.path("job/output/failure")).unwrap();
    assert!(
        reason.starts_with("ExecuteUserScriptError:\nExitCode 1\n"),
        "{reason}"
    );
}
