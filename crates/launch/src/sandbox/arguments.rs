//! From one instance's plan to bubblewrap's arguments, as a pure function.
//!
//! Everything that decides what an instance sees is in this file. Options go to bubblewrap
//! through a file descriptor, separated by NUL, so that no text can become another option and
//! no secret appears in the host's process list. Small files of the instance's own (`/etc/hosts`
//! and the like) go through descriptors too and never touch the host's disk.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use sightline_ports::{Command, HostName, Mount, Network};

use super::check::JOB_ROOT;
use super::interpreter::Interpreter;
use super::system::SystemView;

/// Descriptors of the bubblewrap process.
pub(super) const ARGUMENTS_FD: i32 = 3;
pub(super) const SECCOMP_FD: i32 = 4;
pub(super) const STATUS_FD: i32 = 5;
pub(super) const RELEASE_FD: i32 = 6;
const FIRST_FILE_FD: i32 = 7;

/// User and group id inside, whatever they are outside.
const JOB_UID: &str = "1000";
/// Where the environment appears.
const ENVIRONMENT: &str = "/opt/env";
const PYTHON: &str = "/opt/env/bin/python3";
const SHIM: &str = "/opt/sightline/shim.py";
const TRAIN: &str = "/opt/sightline/bin/train";
const API_SOCKET: &str = "/run/sightline/api.sock";
const DEFAULT_PATH: &str =
    "/opt/env/bin:/opt/sightline/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// `/run` holds a socket and perhaps lock files.
const RUN_BYTES: u64 = 16 << 20;

const SHIM_SOURCE: &str = include_str!("../../shim/sightline_shim.py");
const TRAIN_SOURCE: &str = "#!/bin/sh\nexec /opt/env/bin/python3 /opt/sightline/shim.py train\n";

/// What one instance is to see and run.
#[derive(Clone, Copy, Debug)]
pub(super) struct InstancePlan<'a> {
    pub(super) host: &'a HostName,
    pub(super) environment: &'a Path,
    pub(super) interpreter: &'a Interpreter,
    pub(super) system: &'a SystemView,
    pub(super) mounts: &'a [Mount],
    pub(super) command: &'a Command,
    pub(super) variables: &'a [(String, String)],
    pub(super) working_directory: &'a str,
    pub(super) memory_bytes: u64,
    pub(super) network: &'a Network,
}

/// How to call bubblewrap for an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Invocation {
    /// Options for [`ARGUMENTS_FD`].
    pub(super) options: Vec<OsString>,
    /// Descriptors with the content to be read from them.
    pub(super) files: Vec<(i32, Vec<u8>)>,
    /// The program inside with its arguments.
    pub(super) program: Vec<OsString>,
}

/// Decides the whole call.
pub(super) fn invocation(plan: &InstancePlan<'_>) -> Invocation {
    let mut call = Invocation::default();
    call.namespaces(plan);
    call.system(plan);
    call.etc(plan.host);
    call.environment(plan);
    call.job(plan);
    call.variables(plan);
    // Last, or the mount points above could not be made.
    call.option(["--remount-ro", "/"]);
    call.program = program(plan);
    call
}

impl Invocation {
    /// The options as bubblewrap reads them.
    pub(super) fn options_nul_terminated(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for option in &self.options {
            bytes.extend_from_slice(option.as_encoded_bytes());
            bytes.push(0);
        }
        bytes
    }

    fn option<const N: usize>(&mut self, words: [impl AsRef<OsStr>; N]) {
        self.options
            .extend(words.iter().map(|word| word.as_ref().to_os_string()));
    }

    fn namespaces(&mut self, plan: &InstancePlan<'_>) {
        self.option([
            "--unshare-user",
            "--unshare-pid",
            "--unshare-ipc",
            "--unshare-uts",
        ]);
        self.option(["--unshare-net", "--unshare-cgroup-try", "--disable-userns"]);
        self.option(["--uid", JOB_UID, "--gid", JOB_UID]);
        self.option(["--hostname", &plan.host.to_string()]);
        self.option(["--die-with-parent", "--new-session"]);
        self.option(["--seccomp", &SECCOMP_FD.to_string()]);
        self.option(["--json-status-fd", &STATUS_FD.to_string()]);
        self.option(["--block-fd", &RELEASE_FD.to_string()]);
    }

    fn system(&mut self, plan: &InstancePlan<'_>) {
        self.read_only(Path::new("/usr"), Path::new("/usr"));
        for (path, target) in &plan.system.links {
            self.symlink(target, path);
        }
        self.option(["--perms", "0755", "--dir", "/etc"]);
        for path in &plan.system.shared {
            self.read_only(path, path);
        }
        self.option(["--proc", "/proc"]);
        // As root of the host even a sandboxed process could write kernel settings.
        self.read_only(Path::new("/proc/sys"), Path::new("/proc/sys"));
        self.option(["--dev", "/dev"]);
        let scratch = plan.memory_bytes / 2;
        self.tmpfs("/dev/shm", "1777", scratch);
        self.option(["--remount-ro", "/dev"]);
        self.tmpfs("/tmp", "1777", scratch);
        self.tmpfs("/run", "0755", RUN_BYTES);
        self.option(["--perms", "0755", "--dir", "/var"]);
        self.symlink(Path::new("/tmp"), Path::new("/var/tmp"));
    }

    fn etc(&mut self, host: &HostName) {
        let hosts = format!("127.0.0.1 localhost {host}\n::1 localhost\n");
        let accounts = "root:x:0:0:root:/:/usr/sbin/nologin\n\
                        job:x:1000:1000:job:/tmp:/bin/sh\n\
                        nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n";
        let groups = "root:x:0:\njob:x:1000:\nnogroup:x:65534:\n";
        let sources = "passwd: files\ngroup: files\nhosts: files\nservices: files\n";
        self.file("/etc/hosts", "0444", &hosts);
        self.file("/etc/resolv.conf", "0444", "");
        self.file("/etc/nsswitch.conf", "0444", sources);
        self.file("/etc/passwd", "0444", accounts);
        self.file("/etc/group", "0444", groups);
    }

    fn environment(&mut self, plan: &InstancePlan<'_>) {
        self.option(["--perms", "0755", "--dir", "/opt"]);
        self.read_only(plan.environment, Path::new(ENVIRONMENT));
        for (host, inside) in &plan.interpreter.installations {
            self.read_only(host, inside);
        }
        for (path, target) in &plan.interpreter.links {
            self.symlink(target, path);
        }
        self.option(["--perms", "0755", "--dir", "/opt/sightline"]);
        self.option(["--perms", "0755", "--dir", "/opt/sightline/bin"]);
        self.file(SHIM, "0444", SHIM_SOURCE);
        self.file(TRAIN, "0555", TRAIN_SOURCE);
    }

    fn job(&mut self, plan: &InstancePlan<'_>) {
        self.option(["--perms", "0755", "--dir", JOB_ROOT]);
        for mount in plan.mounts {
            let kind = if mount.writable {
                "--bind"
            } else {
                "--ro-bind"
            };
            self.option([
                OsStr::new(kind),
                mount.host.as_os_str(),
                OsStr::new(&mount.inside),
            ]);
        }
        if let Network::Api { socket, .. } = plan.network {
            self.option(["--perms", "0755", "--dir", "/run/sightline"]);
            self.read_only(socket, Path::new(API_SOCKET));
        }
        self.option(["--chdir", plan.working_directory]);
    }

    fn variables(&mut self, plan: &InstancePlan<'_>) {
        for (name, value) in [("PATH", DEFAULT_PATH), ("HOME", "/tmp")] {
            if !plan.variables.iter().any(|(given, _)| given == name) {
                self.option(["--setenv", name, value]);
            }
        }
        for (name, value) in plan.variables {
            self.option(["--setenv", name, value]);
        }
    }

    fn read_only(&mut self, host: &Path, inside: &Path) {
        self.option([
            OsStr::new("--ro-bind"),
            host.as_os_str(),
            inside.as_os_str(),
        ]);
    }

    fn symlink(&mut self, target: &Path, path: &Path) {
        self.option([
            OsStr::new("--symlink"),
            target.as_os_str(),
            path.as_os_str(),
        ]);
    }

    fn tmpfs(&mut self, path: &str, mode: &str, bytes: u64) {
        self.option([
            "--perms",
            mode,
            "--size",
            &bytes.to_string(),
            "--tmpfs",
            path,
        ]);
    }

    fn file(&mut self, path: &str, mode: &str, content: &str) {
        let taken = i32::try_from(self.files.len()).unwrap_or(i32::MAX);
        let descriptor = FIRST_FILE_FD.saturating_add(taken);
        self.option(["--perms", mode, "--file", &descriptor.to_string(), path]);
        self.files.push((descriptor, content.as_bytes().to_vec()));
    }
}

/// The job's own command, behind the supervisor that carries its API calls if it may make any.
fn program(plan: &InstancePlan<'_>) -> Vec<OsString> {
    let own: Vec<OsString> = match plan.command {
        Command::Train => vec![TRAIN.into()],
        Command::Program(words) => words.iter().map(Into::into).collect(),
    };
    let Network::Api { port, .. } = plan.network else {
        return own;
    };
    let port = port.to_string();
    let supervisor = [
        PYTHON,
        "-I",
        SHIM,
        "supervise",
        "--api-port",
        &port,
        "--api-socket",
        API_SOCKET,
        "--",
    ];
    supervisor.iter().map(OsString::from).chain(own).collect()
}

/// Every path of the host that bubblewrap must reach as the job's user.
pub(super) fn sources(plan: &InstancePlan<'_>) -> Vec<PathBuf> {
    let mut sources = vec![plan.environment.to_path_buf()];
    sources.extend(
        plan.interpreter
            .installations
            .iter()
            .map(|(host, _)| host.clone()),
    );
    sources.extend(plan.mounts.iter().map(|mount| mount.host.clone()));
    if let Network::Api { socket, .. } = plan.network {
        sources.push(socket.clone());
    }
    sources
}

#[cfg(test)]
mod tests;
