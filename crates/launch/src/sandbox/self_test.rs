//! Tries at start-up whether the sandbox holds on this machine.
//!
//! A script inside attempts the cheap half of what a hostile program would attempt. It needs
//! nothing but a shell, so that it can run before any environment has been built.

use sightline_ports::LaunchError;

/// How well jobs are isolated on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Every check holds and the kernel enforces the limits.
    Full,
    /// Every check holds, but something is weaker than it could be; a sentence for each.
    Reduced(Vec<String>),
    /// Jobs cannot be isolated and are refused; says why and what to do.
    None(String),
}

/// One thing that a program inside must not be able to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was attempted, such as `writing to the system`.
    pub attempt: String,
    /// Whether it was prevented.
    pub prevented: bool,
}

/// The result of the self-test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelfTest {
    /// The verdict.
    pub isolation: Isolation,
    /// What was tried; empty if no sandbox could be started.
    pub checks: Vec<Check>,
}

/// Prints a line for each attempt, `prevented` or `possible` first, and `done` at the end.
pub(super) const SCRIPT: &str = r#"
try() { if "$1" 2>/dev/null; then echo "possible $2"; else echo "prevented $2"; fi; }
status() { while read -r key value; do [ "$key" = "$1:" ] && [ "$value" = "$2" ] && return 0
  done < /proc/self/status; return 1; }
write_system() { true > /usr/.sightline-self-test; }
write_environment() { true > /opt/env/.sightline-self-test; }
write_root() { true > /sightline-self-test; }
write_kernel() { true > /proc/sys/kernel/core_pattern; }
read_accounts() { [ -e /etc/shadow ]; }
read_server_variables() { read -r first < /proc/1/environ || [ -n "$first" ]; }
see_host_processes() { [ -e /proc/40 ] && [ "$$" -gt 40 ]; }
keep_capabilities() { ! status CapEff 0000000000000000 || ! status CapBnd 0000000000000000; }
gain_privileges() { ! status NoNewPrivs 1; }
call_anything() { ! status Seccomp 2; }
make_namespace() { command -v unshare >/dev/null && unshare --user true; }
open_device() { for node in /dev/*; do [ -b "$node" ] && return 0; done; return 1; }
reach_network() { while read -r name rest; do case "$name" in
    lo:*|Inter-*|face) ;; *) return 0 ;; esac; done < /proc/net/dev; return 1; }
try write_system "writing to the system"
try write_environment "writing to the environment"
try write_root "writing to the root directory"
try write_kernel "writing kernel settings"
try read_accounts "reading the host's accounts"
try read_server_variables "reading the server's variables"
try see_host_processes "seeing the host's processes"
try keep_capabilities "holding capabilities"
try gain_privileges "gaining privileges by executing a program"
try call_anything "making unfiltered system calls"
try make_namespace "making a user namespace"
try open_device "opening a disk"
try reach_network "reaching a network"
echo done
"#;

/// Reads what the script printed.
pub(super) fn read(output: &str) -> Result<Vec<Check>, LaunchError> {
    let mut checks = Vec::new();
    for line in output.lines() {
        match line.split_once(' ') {
            Some(("prevented", attempt)) => {
                checks.push(Check {
                    attempt: attempt.into(),
                    prevented: true,
                });
            }
            Some(("possible", attempt)) => {
                checks.push(Check {
                    attempt: attempt.into(),
                    prevented: false,
                });
            }
            Some(_) | None if line == "done" => return Ok(checks),
            Some(_) | None => {}
        }
    }
    let said = output.trim();
    Err(LaunchError::Isolation(format!(
        "the self-test did not finish: {said}"
    )))
}

/// The verdict over `checks` when `weaknesses` are known of this machine.
pub(super) fn verdict(checks: &[Check], weaknesses: Vec<String>) -> Isolation {
    let possible: Vec<&str> = checks
        .iter()
        .filter(|check| !check.prevented)
        .map(|c| c.attempt.as_str())
        .collect();
    if !possible.is_empty() {
        return Isolation::None(format!(
            "the self-test found that a job could get away with {}",
            possible.join(", ")
        ));
    }
    if weaknesses.is_empty() {
        Isolation::Full
    } else {
        Isolation::Reduced(weaknesses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_possible_attempt_is_no_isolation() {
        let checks = read("prevented a\npossible b c\ndone\n").unwrap();
        assert_eq!(checks.len(), 2);
        let isolation = verdict(&checks, Vec::new());
        assert!(
            matches!(&isolation, Isolation::None(why) if why.contains("b c")),
            "{isolation:?}"
        );
        assert_eq!(verdict(&checks[..1], Vec::new()), Isolation::Full);
        let weak = vec!["w".to_owned()];
        assert_eq!(
            verdict(&checks[..1], weak.clone()),
            Isolation::Reduced(weak)
        );
    }

    #[test]
    fn a_script_that_stops_early_proves_nothing() {
        assert!(read("prevented a\n").is_err());
        assert!(read("").is_err());
    }
}
