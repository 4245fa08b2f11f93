//! Every test of a sandbox again, for a server that is an ordinary user.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::rig::{is_root, open_directory};

/// `nobody`, who owns nothing.
const ORDINARY: u32 = 65534;

#[test]
fn the_sandbox_holds_for_an_ordinary_user_too() {
    if !is_root() {
        // The other tests have just shown it.
        return;
    }
    let dir = open_directory();
    let program = dir.path().join("it");
    // The build directory may be closed to others.
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let output = Command::new(&program)
        .args([
            "api::",
            "contract::",
            "escape::",
            "injection::",
            "kill::",
            "limits::",
            "self_test::",
            "train::",
        ])
        .env_clear()
        .env("ORDINARY_SECRET", "of the server")
        .current_dir("/tmp")
        .uid(ORDINARY)
        .gid(ORDINARY)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let passed = text
        .lines()
        .find_map(|line| line.strip_prefix("test result: ok. "));
    let count: u32 = passed.unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(30 <= count, "only {count} tests ran");
}
