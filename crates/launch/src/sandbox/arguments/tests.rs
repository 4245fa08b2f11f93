//! The arguments as bubblewrap will read them.

use super::*;

/// How many words follow each option that the sandbox uses.
fn arity(option: &str) -> usize {
    match option {
        "--unshare-user"
        | "--unshare-pid"
        | "--unshare-ipc"
        | "--unshare-uts"
        | "--unshare-net"
        | "--unshare-cgroup-try"
        | "--disable-userns"
        | "--die-with-parent"
        | "--new-session" => 0,
        "--uid" | "--gid" | "--hostname" | "--seccomp" | "--json-status-fd" | "--block-fd"
        | "--perms" | "--size" | "--dir" | "--proc" | "--dev" | "--tmpfs" | "--chdir"
        | "--remount-ro" => 1,
        "--ro-bind" | "--bind" | "--symlink" | "--file" | "--setenv" => 2,
        other => panic!("option {other:?} is not meant to be used"),
    }
}

/// The options with their words, read as bubblewrap reads them.
fn read(call: &Invocation) -> Vec<Vec<String>> {
    let bytes = call.options_nul_terminated();
    let text = String::from_utf8(bytes).unwrap();
    let mut words = text
        .strip_suffix('\0')
        .unwrap()
        .split('\0')
        .map(str::to_owned);
    let mut options = Vec::new();
    while let Some(option) = words.next() {
        let count = arity(&option);
        let mut whole = vec![option];
        whole.extend(words.by_ref().take(count));
        options.push(whole);
    }
    options
}

/// What differs from test to test.
struct Given {
    mounts: Vec<Mount>,
    command: Command,
    variables: Vec<(String, String)>,
    network: Network,
}

fn given() -> Given {
    Given {
        mounts: Vec::new(),
        command: Command::Program(vec!["run".into(), "--bind".into()]),
        variables: Vec::new(),
        network: Network::None,
    }
}

fn call(given: &Given) -> Invocation {
    invocation(&InstancePlan {
        host: &HostName::numbered(2),
        environment: Path::new("/cache/env"),
        interpreter: &Interpreter {
            installations: vec![("/opt/py".into(), "/opt/py".into())],
            links: vec![("/home/u/bin/python3".into(), "/opt/py/bin/python3".into())],
        },
        system: &SystemView {
            links: vec![("/bin".into(), "usr/bin".into())],
            shared: vec!["/etc/ssl/certs".into()],
        },
        mounts: &given.mounts,
        command: &given.command,
        variables: &given.variables,
        working_directory: "/opt/ml/code",
        memory_bytes: 1 << 30,
        network: &given.network,
    })
}

fn position(options: &[Vec<String>], wanted: &[&str]) -> usize {
    let found = options.iter().position(|option| option == wanted);
    found.unwrap_or_else(|| panic!("{wanted:?} is missing in {options:#?}"))
}

#[test]
fn every_namespace_is_new_and_the_root_is_sealed_last() {
    let options = read(&call(&given()));
    for option in [
        "--unshare-user",
        "--unshare-pid",
        "--unshare-ipc",
        "--unshare-uts",
        "--unshare-net",
        "--disable-userns",
        "--die-with-parent",
        "--new-session",
    ] {
        position(&options, &[option]);
    }
    position(&options, &["--hostname", "algo-2"]);
    assert_eq!(options.last().unwrap(), &["--remount-ro", "/"]);
    let proc = position(&options, &["--proc", "/proc"]);
    assert!(proc < position(&options, &["--ro-bind", "/proc/sys", "/proc/sys"]));
    let shm = position(&options, &["--tmpfs", "/dev/shm"]);
    assert!(shm < position(&options, &["--remount-ro", "/dev"]));
}

#[test]
fn mounts_keep_their_order_and_only_the_writable_are() {
    let mount = |host: &str, inside: &str, writable| Mount {
        host: host.into(),
        inside: inside.into(),
        writable,
    };
    let mounts = vec![
        mount("/w/ml", "/opt/ml", true),
        mount("/w/in", "/opt/ml/input", false),
    ];
    let options = read(&call(&Given { mounts, ..given() }));
    let tree = position(&options, &["--bind", "/w/ml", "/opt/ml"]);
    assert_eq!(
        position(&options, &["--ro-bind", "/w/in", "/opt/ml/input"]),
        tree + 1
    );
    assert_eq!(
        options
            .iter()
            .filter(|option| option[0] == "--bind")
            .count(),
        1
    );
    position(&options, &["--ro-bind", "/cache/env", "/opt/env"]);
    position(&options, &["--ro-bind", "/opt/py", "/opt/py"]);
    position(
        &options,
        &["--symlink", "/opt/py/bin/python3", "/home/u/bin/python3"],
    );
}

#[test]
fn variables_are_values_whatever_they_hold() {
    let variables = vec![
        ("PATH".to_owned(), "/mine".to_owned()),
        ("SECRET".to_owned(), "--bind\n/\n/host".to_owned()),
    ];
    let call = call(&Given {
        variables,
        ..given()
    });
    let options = read(&call);
    position(&options, &["--setenv", "SECRET", "--bind\n/\n/host"]);
    position(&options, &["--setenv", "PATH", "/mine"]);
    position(&options, &["--setenv", "HOME", "/tmp"]);
    assert_eq!(
        options
            .iter()
            .filter(|option| option[0] == "--setenv")
            .count(),
        3
    );
    // The program's words are in the host's process list, the variables must not be.
    assert_eq!(call.program, ["run", "--bind"]);
}

#[test]
fn every_file_has_a_descriptor_of_its_own() {
    let call = call(&given());
    let numbers: Vec<i32> = call.files.iter().map(|(number, _)| *number).collect();
    let expected: Vec<i32> = (FIRST_FILE_FD..).take(numbers.len()).collect();
    assert_eq!(numbers, expected);
    let options = read(&call);
    let named = options.iter().filter(|option| option[0] == "--file");
    let named: Vec<i32> = named.map(|option| option[1].parse().unwrap()).collect();
    assert_eq!(named, expected);
    let (_, hosts) = &call.files[0];
    assert!(hosts.starts_with(b"127.0.0.1 localhost algo-2\n"));
}

#[test]
fn only_a_job_with_the_api_has_the_socket_and_the_supervisor() {
    let without = call(&given());
    assert!(!format!("{without:?}").contains(API_SOCKET));
    let network = Network::Api {
        socket: "/run/s/job.sock".into(),
        port: 7070,
    };
    let command = Command::Train;
    let with = call(&Given {
        command,
        network,
        ..given()
    });
    position(&read(&with), &["--ro-bind", "/run/s/job.sock", API_SOCKET]);
    let words: Vec<&str> = with
        .program
        .iter()
        .map(|word| word.to_str().unwrap())
        .collect();
    let supervised = [
        PYTHON,
        "-I",
        SHIM,
        "supervise",
        "--api-port",
        "7070",
        "--api-socket",
        API_SOCKET,
        "--",
        TRAIN,
    ];
    assert_eq!(words, supervised);
}
