//! Control groups: where the kernel itself enforces memory, process and processor limits.
//!
//! Each of the three controllers may be found in a version 2 tree, in a version 1 hierarchy of
//! its own, or nowhere that this server may write. The server makes one group for itself below
//! a place that it may use, and one group for each instance below that.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sightline_ports::Limits;

/// Beginning of the names of the servers' own groups.
const GROUP_PREFIX: &str = "sightline-";
/// The scheduler's period in microseconds, for processor quotas.
const CPU_PERIOD_US: u64 = 100_000;
/// bubblewrap's own process inside counts too.
const OWN_PROCESSES: u32 = 1;
/// Removing a group fails while its last process is being taken away.
const REMOVE_TRIES: u32 = 50;
const REMOVE_PAUSE: std::time::Duration = std::time::Duration::from_millis(2);

/// What can be limited by groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Controller {
    Memory,
    Pids,
    Cpu,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

/// A directory of a control group tree below which this server may make groups.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    controller: Controller,
    version: Version,
    directory: PathBuf,
}

/// The groups that this server may use. Removed when dropped.
#[derive(Debug, Default)]
pub(super) struct Cgroups {
    places: Vec<Place>,
}

/// The groups of one instance. Removed when dropped, by which time its processes must be gone.
#[derive(Debug)]
pub(super) struct InstanceGroup {
    directories: BTreeSet<PathBuf>,
    oom_file: Option<PathBuf>,
}

impl Controller {
    const ALL: [Self; 3] = [Self::Memory, Self::Pids, Self::Cpu];

    fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Cpu => "cpu",
        }
    }
}

impl Cgroups {
    /// Finds and makes this server's groups, after removing those of servers that are gone.
    pub(super) fn of_this_host() -> Self {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let mut places = Vec::new();
        for controller in Controller::ALL {
            let base = base_v2(&own, &mounts, controller)
                .map(|directory| (Version::Two, directory))
                .or_else(|| base_v1(&own, &mounts, controller).map(|dir| (Version::One, dir)));
            let Some((version, base)) = base else {
                continue;
            };
            remove_stale(&base);
            let directory = base.join(own_name());
            if make_own(&directory, version, controller).is_ok() {
                places.push(Place {
                    controller,
                    version,
                    directory,
                });
            }
        }
        Self { places }
    }

    /// The version that enforces `controller`, if any does.
    pub(super) fn version(&self, controller: Controller) -> Option<Version> {
        self.places
            .iter()
            .find(|place| place.controller == controller)
            .map(|place| place.version)
    }

    /// Makes the groups of an instance with its limits.
    pub(super) fn create(&self, name: &str, limits: &Limits) -> io::Result<InstanceGroup> {
        let mut group = InstanceGroup {
            directories: BTreeSet::new(),
            oom_file: None,
        };
        for place in &self.places {
            let directory = place.directory.join(name);
            if group.directories.insert(directory.clone()) {
                match fs::create_dir(&directory) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                        return Err(error);
                    }
                    Ok(()) | Err(_) => {}
                }
            }
            for (file, value) in settings(place.controller, place.version, limits) {
                let path = directory.join(file);
                // Swap accounting is a build option of the kernel.
                if path.exists() {
                    fs::write(path, value)?;
                }
            }
            if place.controller == Controller::Memory {
                let file = match place.version {
                    Version::One => "memory.oom_control",
                    Version::Two => "memory.events",
                };
                group.oom_file = Some(directory.join(file));
            }
        }
        Ok(group)
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        let directories: BTreeSet<&Path> = self
            .places
            .iter()
            .map(|place| place.directory.as_path())
            .collect();
        for directory in directories {
            remove(directory);
        }
    }
}

impl InstanceGroup {
    /// Puts a process into the groups; what it starts from then on belongs to them too.
    pub(super) fn add(&self, process: u32) -> io::Result<()> {
        for directory in &self.directories {
            fs::write(directory.join("cgroup.procs"), process.to_string())?;
        }
        Ok(())
    }

    /// How many processes of the instance the kernel has killed for want of memory.
    pub(super) fn oom_kills(&self) -> u64 {
        let Some(path) = &self.oom_file else { return 0 };
        oom_kills(&fs::read_to_string(path).unwrap_or_default())
    }
}

impl Drop for InstanceGroup {
    fn drop(&mut self) {
        for directory in &self.directories {
            remove(directory);
        }
    }
}

/// The files to write for one controller; the order matters where one bounds the next.
fn settings(
    controller: Controller,
    version: Version,
    limits: &Limits,
) -> Vec<(&'static str, String)> {
    let memory = limits.memory_bytes.to_string();
    let processes = limits.processes.saturating_add(OWN_PROCESSES).to_string();
    let quota_us = (u64::from(limits.cpu_milli) * CPU_PERIOD_US / 1000).max(1000);
    match (controller, version) {
        (Controller::Memory, Version::One) => vec![
            ("memory.limit_in_bytes", memory.clone()),
            ("memory.memsw.limit_in_bytes", memory),
        ],
        (Controller::Memory, Version::Two) => {
            vec![("memory.max", memory), ("memory.swap.max", "0".into())]
        }
        (Controller::Pids, Version::One | Version::Two) => vec![("pids.max", processes)],
        (Controller::Cpu, Version::One) => vec![
            ("cpu.cfs_period_us", CPU_PERIOD_US.to_string()),
            ("cpu.cfs_quota_us", quota_us.to_string()),
        ],
        (Controller::Cpu, Version::Two) => {
            vec![("cpu.max", format!("{quota_us} {CPU_PERIOD_US}"))]
        }
    }
}

/// Both versions have a line `oom_kill N`.
fn oom_kills(text: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    line.and_then(|count| count.trim().parse().ok())
        .unwrap_or(0)
}

/// This server's group in a version 1 hierarchy, so that a limit set on the server holds for
/// the jobs as well.
fn base_v1(own: &str, mounts: &str, controller: Controller) -> Option<PathBuf> {
    let group = own.lines().find_map(|line| {
        let (controllers, group) = line.split_once(':')?.1.split_once(':')?;
        controllers
            .split(',')
            .any(|name| name == controller.name())
            .then_some(group)
    })?;
    directory(mounts, "cgroup", Some(controller.name()), group)
}

/// The nearest group above this server that hands `controller` on to its children and lets
/// this server make one.
///
/// The server's own group cannot serve: a version 2 group with processes in it has no limits
/// for children. A server that is alone in a group delegated to it would have to move itself
/// into a child first; that is left to the service unit.
fn base_v2(own: &str, mounts: &str, controller: Controller) -> Option<PathBuf> {
    let group = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let own_directory = directory(mounts, "cgroup2", None, group)?;
    let root = directory(mounts, "cgroup2", None, "/")?;
    let above = own_directory
        .ancestors()
        .take_while(|dir| dir.starts_with(&root));
    above.map(Path::to_path_buf).find(|dir| {
        let handed_on = fs::read_to_string(dir.join("cgroup.subtree_control"));
        let has =
            handed_on.is_ok_and(|text| text.split_whitespace().any(|c| c == controller.name()));
        has && rustix::fs::access(dir, rustix::fs::Access::WRITE_OK).is_ok()
    })
}

/// Where `group` of a hierarchy is mounted.
fn directory(mounts: &str, kind: &str, option: Option<&str>, group: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut before = before.split(' ').skip(3);
        let (root, mount_point) = (before.next()?, before.next()?);
        let mut after = after.split(' ');
        let (found_kind, options) = (after.next()?, after.nth(1)?);
        let wanted = option.is_none_or(|name| options.split(',').any(|given| given == name));
        if found_kind != kind || !wanted {
            return None;
        }
        // In a container only a part of the hierarchy is mounted.
        let below = if group == "/" {
            Path::new("")
        } else {
            Path::new(group).strip_prefix(root).ok()?
        };
        Some(Path::new(mount_point).join(below.strip_prefix("/").unwrap_or(below)))
    })
}

/// A name that tells later servers whose group this is and whether that server still runs.
fn own_name() -> String {
    format!("{GROUP_PREFIX}{}-{}", namespace(), std::process::id())
}

/// The inode of the PID namespace in which process ids of group names are meant.
fn namespace() -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self/ns/pid").map_or(0, |meta| meta.ino())
}

fn make_own(directory: &Path, version: Version, controller: Controller) -> io::Result<()> {
    match fs::create_dir(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    if version == Version::Two {
        let switch = format!("+{}", controller.name());
        fs::write(directory.join("cgroup.subtree_control"), switch)?;
    }
    Ok(())
}

/// Ends what servers that no longer run have left behind, and removes their groups.
fn remove_stale(base: &Path) {
    let mine = format!("{GROUP_PREFIX}{}-", namespace());
    let Ok(entries) = fs::read_dir(base) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(&mine));
        let Some(owner) = owner.and_then(|id| id.parse::<u32>().ok()) else {
            continue;
        };
        if Path::new(&format!("/proc/{owner}")).exists() {
            continue;
        }
        for instance in fs::read_dir(entry.path()).into_iter().flatten().flatten() {
            if instance.path().is_dir() {
                kill_members(&instance.path());
                remove(&instance.path());
            }
        }
        remove(&entry.path());
    }
}

fn kill_members(group: &Path) {
    let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    for id in text.lines().filter_map(|line| line.parse().ok()) {
        if let Some(process) = rustix::process::Pid::from_raw(id) {
            let ended = rustix::process::kill_process(process, rustix::process::Signal::KILL);
            tracing::warn!(
                process = id,
                ?ended,
                "killed what a former server left running"
            );
        }
    }
}

fn remove(directory: &Path) {
    for _ in 0..REMOVE_TRIES {
        match fs::remove_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                std::thread::sleep(REMOVE_PAUSE);
            }
            Ok(()) | Err(_) => return,
        }
    }
    tracing::warn!(directory = %directory.display(), "control group could not be removed");
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
25 20 0:22 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755
26 25 0:23 / /sys/fs/cgroup/unified rw,nosuid shared:5 - cgroup2 cgroup2 rw
28 25 0:25 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:6 - cgroup cgroup rw,cpu,cpuacct
29 25 0:26 /outer /sys/fs/cgroup/memory rw,nosuid shared:7 - cgroup cgroup rw,memory
";
    const OWN: &str =
        "8:pids:/\n4:memory:/outer/server\n3:cpu,cpuacct:/s\n0::/user.slice/a.scope\n";

    #[test]
    fn groups_are_found_where_they_are_mounted() {
        let v1 = |controller| base_v1(OWN, MOUNTS, controller);
        assert_eq!(
            v1(Controller::Cpu),
            Some("/sys/fs/cgroup/cpu,cpuacct/s".into())
        );
        assert_eq!(
            v1(Controller::Memory),
            Some("/sys/fs/cgroup/memory/server".into())
        );
        assert_eq!(v1(Controller::Pids), None, "its hierarchy is not mounted");
        let v2 = directory(MOUNTS, "cgroup2", None, "/user.slice/a.scope");
        assert_eq!(v2, Some("/sys/fs/cgroup/unified/user.slice/a.scope".into()));
    }

    #[test]
    fn limits_are_written_as_each_version_wants_them() {
        let limits = Limits {
            memory_bytes: 1 << 30,
            cpu_milli: 1500,
            processes: 100,
            open_files: 1,
            file_bytes: 1,
        };
        let of = |controller, version| settings(controller, version, &limits);
        let bytes = (1_u64 << 30).to_string();
        assert_eq!(
            of(Controller::Memory, Version::Two),
            [("memory.max", bytes), ("memory.swap.max", "0".into())]
        );
        assert_eq!(
            of(Controller::Cpu, Version::Two),
            [("cpu.max", "150000 100000".into())]
        );
        assert_eq!(
            of(Controller::Cpu, Version::One)[1],
            ("cpu.cfs_quota_us", "150000".into())
        );
        assert_eq!(
            of(Controller::Pids, Version::One),
            [("pids.max", "101".into())]
        );
    }

    #[test]
    fn out_of_memory_kills_are_read_from_both_versions() {
        assert_eq!(
            oom_kills("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"),
            3
        );
        assert_eq!(
            oom_kills("low 0\nhigh 0\nmax 9\noom 2\noom_kill 1\noom_group_kill 0\n"),
            1
        );
        assert_eq!(oom_kills(""), 0);
    }
}
