//! The promises of [`Launcher`], each as a function to be called from a test.
//!
//! Every program of the suite is Python, the only thing that any environment has.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use sightline_ports::{
    Command, Environment, Exit, HostName, InstanceLog, InstanceReport, LaunchSpec, Launcher,
    Limits, Mount, Network, RunningJob, Signal,
};
use sightline_types::Timestamp;
use tokio::sync::Notify;

/// What an implementation is tested with.
#[derive(Clone, Debug)]
pub struct Site {
    /// An environment with `bin/python3`.
    pub environment: Environment,
    /// An empty directory that jobs can reach.
    pub root: PathBuf,
}

/// Keeps what the instances print and tells when a line arrives.
#[derive(Default)]
struct Lines {
    kept: Mutex<Vec<(HostName, String)>>,
    arrived: Notify,
}

#[async_trait]
impl InstanceLog for Lines {
    async fn line(&self, host: &HostName, _at: Timestamp, text: String) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push((host.clone(), text));
        self.arrived.notify_one();
    }
}

impl Lines {
    /// What one instance printed, without the launcher's own lines.
    fn of(&self, number: u32) -> Vec<String> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let own = kept
            .iter()
            .filter(|(host, text)| host.number() == number && !text.starts_with("[sightline]"));
        own.map(|(_, text)| text.clone()).collect()
    }

    async fn until(&self, number: u32, wanted: &str) {
        while !self.of(number).iter().any(|line| line == wanted) {
            self.arrived.notified().await;
        }
    }
}

impl Site {
    fn spec(&self, script: &str, instances: u32) -> (LaunchSpec, Arc<Lines>) {
        let lines = Arc::new(Lines::default());
        let hosts = (1..=instances).map(|number| {
            let own = self.root.join(format!("tree-{number}"));
            fs::create_dir_all(own.join("output")).expect("the site is writable");
            let mount = Mount {
                host: own,
                inside: "/opt/ml".into(),
                writable: true,
            };
            (HostName::numbered(number), vec![mount])
        });
        let spec = LaunchSpec {
            id: "contract".into(),
            environment: self.environment.clone(),
            command: Command::Program(vec!["python3".into(), "-c".into(), script.into()]),
            instances: hosts.collect(),
            variables: vec![("PYTHONUNBUFFERED".into(), "1".into())],
            working_directory: "/opt/ml".into(),
            limits: Limits {
                memory_bytes: 256 << 20,
                cpu_milli: 1000,
                processes: 64,
                open_files: 256,
                file_bytes: 64 << 20,
            },
            network: Network::None,
            log: Arc::clone(&lines) as Arc<dyn InstanceLog>,
        };
        (spec, lines)
    }
}

async fn start(launcher: &dyn Launcher, spec: LaunchSpec) -> Box<dyn RunningJob> {
    launcher.start(spec).await.expect("the job starts")
}

/// Every report, in the order of the instances.
async fn reports(mut job: Box<dyn RunningJob>) -> Vec<InstanceReport> {
    let mut reports = Vec::new();
    while let Some(report) = job.next_exit().await {
        reports.push(report);
    }
    reports.sort_by_key(|report| report.host.number());
    reports
}

async fn exits(job: Box<dyn RunningJob>) -> Vec<Exit> {
    reports(job)
        .await
        .into_iter()
        .map(|report| report.exit)
        .collect()
}

/// An instance sees its mounts, later ones inside earlier ones, and writes where it may.
pub async fn mounts_are_seen_as_given(launcher: &dyn Launcher, site: &Site) {
    let shared = site.root.join("shared");
    fs::create_dir_all(&shared).expect("the site is writable");
    fs::write(shared.join("a.csv"), "1").expect("the site is writable");
    let script = "
print(open('/opt/ml/input/data/train/a.csv').read())
open('/opt/ml/output/result', 'w').write('written')
try:
    open('/opt/ml/input/data/train/a.csv', 'w')
except OSError as error:
    print(type(error).__name__, error.errno)
";
    let (mut spec, lines) = site.spec(script, 2);
    for (_, mounts) in &mut spec.instances {
        let inside = "/opt/ml/input/data/train".into();
        mounts.push(Mount {
            host: shared.clone(),
            inside,
            writable: false,
        });
    }
    assert_eq!(
        exits(start(launcher, spec).await).await,
        [Exit::Code(0), Exit::Code(0)]
    );
    for number in [1, 2] {
        assert_eq!(lines.of(number), ["1", "OSError 30"]);
        let result = site.root.join(format!("tree-{number}/output/result"));
        assert_eq!(
            fs::read_to_string(result).expect("it was written"),
            "written"
        );
    }
    assert_eq!(
        fs::read_to_string(shared.join("a.csv")).expect("it is still there"),
        "1"
    );
}

/// Each instance has its own name and the variables and directory that were given.
pub async fn instances_differ_by_name(launcher: &dyn Launcher, site: &Site) {
    let script = "
import os, socket
print(socket.gethostname(), os.getcwd(), os.environ['GIVEN'])
";
    let (mut spec, lines) = site.spec(script, 3);
    spec.variables.push(("GIVEN".into(), "two\twords".into()));
    spec.working_directory = "/opt/ml/output".into();
    exits(start(launcher, spec).await).await;
    for number in 1..=3 {
        assert_eq!(
            lines.of(number),
            [format!("algo-{number} /opt/ml/output two\twords")]
        );
    }
}

/// Every line arrives once, in order, from either stream, the last one without its break too.
pub async fn lines_arrive_in_order(launcher: &dyn Launcher, site: &Site) {
    let script = "
import sys
for number in range(5000):
    print(number, file=sys.stderr if number % 2 else sys.stdout, flush=True)
sys.stdout.buffer.write(b'caf\\xe9\\r100%\\nlast')
";
    let (spec, lines) = site.spec(script, 1);
    exits(start(launcher, spec).await).await;
    let mut expected: Vec<String> = (0..5000).map(|number: u32| number.to_string()).collect();
    expected.extend(["caf\u{fffd}\r100%".to_owned(), "last".to_owned()]);
    assert_eq!(lines.of(1), expected);
}

/// A line arrives while the program goes on.
pub async fn lines_arrive_at_once(launcher: &dyn Launcher, site: &Site) {
    let script = "
import time
print('first')
time.sleep(1000)
";
    let (spec, lines) = site.spec(script, 1);
    let mut job = start(launcher, spec).await;
    lines.until(1, "first").await;
    job.signal(Signal::Kill).await;
    exits(job).await;
}

/// Codes pass through, and death by a signal shows as 128 and its number.
pub async fn exits_are_reported_each_once(launcher: &dyn Launcher, site: &Site) {
    let script = "
import os, signal, socket, sys
number = int(socket.gethostname().split('-')[1])
if number == 3:
    os.kill(os.getpid(), signal.SIGSEGV)
sys.exit([0, 7, 255][number - 1] if number < 3 else 0)
";
    let (spec, _) = site.spec(script, 4);
    let expected = [Exit::Code(0), Exit::Code(7), Exit::Code(139), Exit::Code(0)];
    assert_eq!(exits(start(launcher, spec).await).await, expected);
}

/// A program that is not there gives the code that a shell would give.
pub async fn a_missing_program_is_127(launcher: &dyn Launcher, site: &Site) {
    let (mut spec, _) = site.spec("", 1);
    spec.command = Command::Program(vec!["no-such-program".into()]);
    let reports = reports(start(launcher, spec).await).await;
    assert_eq!(reports[0].exit, Exit::Code(127));
    assert!(!reports[0].notes.is_empty(), "it is said why");
}

/// SIGTERM reaches the program of every instance, which may end as it likes.
pub async fn a_request_to_end_reaches_the_program(launcher: &dyn Launcher, site: &Site) {
    let script = "
import signal, subprocess, sys
child = subprocess.Popen(['sleep', '1000'])
def end(*_):
    print('asked to end')
    sys.exit(3)
signal.signal(signal.SIGTERM, end)
print('ready')
signal.pause()
";
    let (spec, lines) = site.spec(script, 2);
    let mut job = start(launcher, spec).await;
    for number in [1, 2] {
        lines.until(number, "ready").await;
    }
    job.signal(Signal::Terminate).await;
    assert_eq!(exits(job).await, [Exit::Code(3), Exit::Code(3)]);
    assert_eq!(lines.of(1), ["ready", "asked to end"]);
}

/// A request to end is not lost when the program has only just been started.
pub async fn an_early_request_to_end_is_not_lost(launcher: &dyn Launcher, site: &Site) {
    let (spec, _) = site.spec("import time; time.sleep(1000)", 2);
    let mut job = start(launcher, spec).await;
    job.signal(Signal::Terminate).await;
    assert_eq!(exits(job).await, [Exit::Code(143), Exit::Code(143)]);
}

/// After the report of a kill no process is left.
pub async fn a_kill_leaves_no_process(launcher: &dyn Launcher, site: &Site) {
    let script = "
import fcntl, os, time
if os.fork() == 0:
    os.setsid()
    held = open('/opt/ml/output/lock', 'w')
    fcntl.flock(held, fcntl.LOCK_EX)
    print('held')
    time.sleep(1000)
time.sleep(1000)
";
    let (spec, lines) = site.spec(script, 1);
    let mut job = start(launcher, spec).await;
    lines.until(1, "held").await;
    let lock = site.root.join("tree-1/output/lock");
    assert!(!is_free(&lock), "the process lives, or this shows nothing");
    job.signal(Signal::Kill).await;
    assert_eq!(exits(job).await, [Exit::Code(137)]);
    assert!(is_free(&lock), "a process is left");
}

/// More memory than granted ends the instance, and the report says why.
pub async fn memory_is_bounded(launcher: &dyn Launcher, site: &Site) {
    let script = "
held = []
while True:
    held.append(bytearray(b'x' * (4 << 20)))
";
    let (mut spec, _) = site.spec(script, 1);
    spec.limits.memory_bytes = 96 << 20;
    assert_eq!(
        exits(start(launcher, spec).await).await,
        [Exit::OutOfMemory]
    );
}

/// Without a network there is the instance's own loopback interface and nothing else.
pub async fn no_network_is_reached(launcher: &dyn Launcher, site: &Site) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let script = format!(
        "
import socket
own = socket.create_server(('127.0.0.1', 0))
socket.create_connection(own.getsockname()).close()
for address in [('127.0.0.1', {port}), ('169.254.169.254', 80), ('192.0.2.1', 80)]:
    try:
        socket.create_connection(address, timeout=5)
        print('reached', address)
    except OSError as error:
        print(error.strerror)
"
    );
    let (spec, lines) = site.spec(&script, 1);
    assert_eq!(exits(start(launcher, spec).await).await, [Exit::Code(0)]);
    let refused = [
        "Connection refused",
        "Network is unreachable",
        "Network is unreachable",
    ];
    assert_eq!(lines.of(1), refused);
}

/// Two jobs at once do not get in each other's way.
pub async fn jobs_run_side_by_side(launcher: &dyn Launcher, site: &Site) {
    let (mut first, one) = site.spec("print('first')", 1);
    let (mut second, two) = site.spec("print('second')", 1);
    first.id = "first".into();
    second.id = "second".into();
    let (first, second) = (start(launcher, first).await, start(launcher, second).await);
    assert_eq!(exits(second).await, [Exit::Code(0)]);
    assert_eq!(exits(first).await, [Exit::Code(0)]);
    assert_eq!(
        (one.of(1), two.of(1)),
        (vec!["first".to_owned()], vec!["second".to_owned()])
    );
}

fn is_free(lock: &Path) -> bool {
    File::open(lock)
        .expect("the lock exists")
        .try_lock()
        .is_ok()
}
