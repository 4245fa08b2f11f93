//! Programs that try to get out. Each test also shows that its probes can succeed elsewhere.

use std::fs::File;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};

use crate::rig::{Rig, assert_allowed, assert_prevented, is_root};

#[tokio::test]
async fn a_job_writes_to_nothing_but_its_own_tree() {
    let rig = Rig::new();
    let shared = [
        "/usr/probe",
        "/usr/lib/probe",
        "/opt/env/probe",
        "/opt/env/bin/probe",
        "/opt/sightline/shim.py",
        "/opt/sightline/bin/train",
        "/opt/ml/input/probe",
        "/opt/ml/input/data.csv",
        "/etc/hosts",
        "/etc/probe",
        "/opt/probe",
        "/dev/probe",
        "/probe",
    ];
    assert_prevented(&rig.attempts(&[&["write"], &shared[..]].concat()).await);
    let files = [
        "/opt/ml/input/data.csv",
        "/etc/hosts",
        "/opt/env/bin/python3",
    ];
    assert_prevented(&rig.attempts(&[&["replace"], &files[..]].concat()).await);

    let own = [
        "/opt/ml/output/probe",
        "/tmp/probe",
        "/dev/shm/probe",
        "/run/probe",
    ];
    assert_allowed(&rig.attempts(&[&["write"], &own[..]].concat()).await, &own);
    assert!(rig.path("job/output/probe").exists());
}

#[tokio::test]
async fn a_job_reads_nothing_of_the_host_or_of_other_jobs() {
    let rig = Rig::new();
    let other = Rig::new();
    let private = rig.shown("private/database");
    let theirs = other.shown("job");
    let paths = [
        "read",
        "/etc/shadow",
        "/root",
        "/home",
        "/var/lib",
        "/sys",
        "/boot",
        &private,
        &theirs,
    ];
    assert_prevented(&rig.attempts(&paths).await);

    assert_allowed(
        &rig.attempts_outside(&["read", &private, &theirs]),
        &[&private, &theirs],
    );
    let given = ["/opt/ml/input/data.csv", "/usr/bin", "/etc/hosts"];
    assert_allowed(
        &rig.attempts(&[&["read"], &given[..]].concat()).await,
        &given,
    );
}

#[tokio::test]
async fn the_first_process_gives_nothing_away() {
    let rig = Rig::new();
    assert_prevented(&rig.attempts(&["processes", "1"]).await);
    let own = std::process::id().to_string();
    let outside = rig.attempts_outside(&["processes", &own]);
    let names = [
        "seeing the host's processes",
        "reading variables",
        "reaching its parent",
    ];
    assert_allowed(&outside, &names);
}

#[tokio::test]
async fn kernel_settings_cannot_be_opened_for_writing() {
    let rig = Rig::new();
    assert_prevented(&rig.attempts(&["kernel_settings"]).await);
    if is_root() {
        let names = [
            "/proc/sys/kernel/core_pattern",
            "/proc/sys/kernel/printk_ratelimit",
        ];
        assert_allowed(&rig.attempts_outside(&["kernel_settings"]), &names);
    }
}

#[tokio::test]
async fn mounts_and_namespaces_are_out_of_reach() {
    let rig = Rig::new();
    assert_prevented(&rig.attempts(&["namespaces"]).await);
    let inside = rig.attempts(&["new_namespaces"]).await;
    assert_prevented(&inside);
    let clone3 = inside
        .iter()
        .find(|attempt| attempt.attempt == "clone3 user")
        .unwrap();
    assert_eq!(clone3.why, "ENOSYS", "libc falls back to clone only then");
    let names = [
        "unshare user",
        "unshare user and mount",
        "clone user",
        "clone3 user",
    ];
    assert_allowed(&rig.attempts_outside(&["new_namespaces"]), &names);
}

#[tokio::test]
async fn processes_cannot_be_traced_or_read() {
    let rig = Rig::new();
    assert_prevented(&rig.attempts(&["first_process"]).await);
    assert_prevented(&rig.attempts(&["own_memory"]).await);
    assert_allowed(
        &rig.attempts_outside(&["own_memory"]),
        &["ptrace", "process_vm_readv"],
    );
}

#[tokio::test]
async fn risky_kernel_interfaces_are_closed() {
    let rig = Rig::new();
    let inside = rig.attempts(&["kernel_interfaces"]).await;
    assert_prevented(&inside);
    let refused: Vec<_> = inside
        .iter()
        .filter(|attempt| attempt.why != "EPERM")
        .collect();
    assert!(refused.is_empty(), "not by the filter: {refused:?}");
    assert_allowed(
        &rig.attempts_outside(&["kernel_interfaces"]),
        &["keyctl", "userfaultfd"],
    );

    let machine = rig.attempts(&["machine"]).await;
    assert_prevented(&machine);
    assert!(
        machine.iter().all(|attempt| attempt.why == "EPERM"),
        "{machine:#?}"
    );
}

#[tokio::test]
async fn devices_and_other_users_are_out_of_reach() {
    let rig = Rig::new();
    assert_prevented(&rig.attempts(&["devices", "/opt/ml/output"]).await);
    if is_root() {
        let outside = rig.attempts_outside(&["devices", &rig.shown("private")]);
        assert_allowed(
            &outside,
            &["mknod block", "mknod character", "setuid", "chown to root"],
        );
    }
}

#[tokio::test]
async fn only_local_and_internet_sockets_exist_and_lead_nowhere() {
    let rig = Rig::new();
    let inside = rig.attempts(&["sockets"]).await;
    assert_prevented(&inside);
    for name in ["vsock", "packet", "netlink", "alg"] {
        let found = inside
            .iter()
            .find(|attempt| attempt.attempt == name)
            .unwrap();
        assert_eq!(found.why, "EAFNOSUPPORT", "{name}");
    }
    assert_allowed(&rig.attempts_outside(&["sockets"]), &["netlink"]);

    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = tcp.local_addr().unwrap().port().to_string();
    let name = format!("sightline-test-{}", rig.path("").display());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let listener = UnixListener::bind_addr(&address).unwrap();
    let group = ["connections", port.as_str(), &name];
    assert_prevented(&rig.attempts(&group).await);
    let reachable = ["the host's loopback", "the host's abstract socket"];
    assert_allowed(&rig.attempts_outside(&group), &reachable);
    drop(listener);
}

#[tokio::test]
async fn nothing_can_be_typed_into_a_terminal() {
    let rig = Rig::new();
    let inside = rig.attempts(&["terminals"]).await;
    assert_prevented(&inside);
    assert!(
        inside.iter().all(|attempt| attempt.why == "EPERM"),
        "{inside:#?}"
    );
    // Outside it succeeds, or is refused by the kernel with another error.
    let outside = rig.attempts_outside(&["terminals"]);
    assert!(
        outside.iter().all(|attempt| attempt.why != "EPERM"),
        "{outside:#?}"
    );
}

#[tokio::test]
async fn the_environment_holds_what_was_given_and_nothing_of_the_server() {
    let rig = Rig::new();
    let (report, lines) = rig.run(&["env"]).await;
    assert_eq!(report.notes, Vec::<String>::new());
    let mut names: Vec<String> = lines
        .printed()
        .iter()
        .map(|line| line.split_once('=').unwrap().0.to_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["GIVEN", "HOME", "PATH", "PWD"]);

    // The test runner has given this process variables that a job must not find anywhere.
    let secret = std::env::vars()
        .map(|(name, value)| format!("{name}={value}"))
        .find(|pair| {
            !pair.starts_with("PATH=") && !pair.starts_with("HOME=") && !pair.starts_with("PWD=")
        });
    let secret = secret.expect("the test runs with some variables");
    assert_prevented(&rig.attempts(&["own_environment", &secret]).await);
    let outside = rig.attempts_outside(&["own_environment", &secret]);
    assert_allowed(&outside, &["finding the server's variables"]);
}

#[tokio::test]
async fn no_descriptor_of_the_server_is_left_open() {
    let rig = Rig::new();
    // As if whoever started the server had left it open.
    let secret = File::open(rig.path("private/database")).unwrap();
    // Beyond the numbers that the launcher itself gives out.
    let secret = rustix::io::fcntl_dupfd_cloexec(&secret, 100).unwrap();
    rustix::io::fcntl_setfd(&secret, rustix::io::FdFlags::empty()).unwrap();
    assert_prevented(&rig.attempts(&["descriptors"]).await);
    let name = format!("inheriting {}", rig.shown("private/database"));
    assert_allowed(&rig.attempts_outside(&["descriptors"]), &[&name]);
}
