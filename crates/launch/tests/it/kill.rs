//! Processes that try to outlive their job.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use async_trait::async_trait;
use sightline_ports::{Exit, HostName, InstanceLog, LaunchSpec, Launcher as _, RunningJob, Signal};
use sightline_types::Timestamp;
use tokio::sync::mpsc;

use crate::rig::{Rig, open_directory};

/// Far longer than an end takes, far shorter than for ever.
const PATIENCE: Duration = Duration::from_secs(20);

/// Leaves behind a process that has done all it can to be forgotten and holds a lock. The
/// program itself ignores SIGTERM and waits.
const CLINGING: &str = r#"
import fcntl, os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        held = open("/opt/ml/output/lock", "w")
        fcntl.flock(held, fcntl.LOCK_EX)
        null = os.open("/dev/null", os.O_RDWR)
        print("clinging", flush=True)
        if sys.argv[1] == "silent":
            for descriptor in (0, 1, 2):
                os.dup2(null, descriptor)
        while True:
            time.sleep(1000)
    os._exit(0)
if sys.argv[1] == "silent":
    while not os.path.exists("/opt/ml/output/lock"):
        time.sleep(0.01)
    sys.exit(0)
while True:
    time.sleep(1000)
"#;

/// Tells a test when a line arrives.
struct Told(mpsc::Sender<String>);

#[async_trait]
impl InstanceLog for Told {
    async fn line(&self, _host: &HostName, _at: Timestamp, text: String) {
        self.0.send(text).await.unwrap();
    }
}

fn clinging(rig: &Rig, mode: &str) -> (LaunchSpec, mpsc::Receiver<String>) {
    let (sender, lines) = mpsc::channel(64);
    let (mut spec, _) = rig.spec(&["python3", "-c", CLINGING, mode]);
    spec.log = Arc::new(Told(sender));
    (spec, lines)
}

async fn until(lines: &mut mpsc::Receiver<String>, wanted: &str) {
    while lines.recv().await.expect("the line comes before the end") != wanted {}
}

/// Waits until nobody holds the lock, that is until the clinging process is gone.
fn assert_let_go(lock: &Path) {
    let file = File::options().read(true).open(lock).unwrap();
    let (sender, gone) = sync_channel(1);
    std::thread::spawn(move || sender.send(file.lock().is_ok()));
    assert_eq!(
        gone.recv_timeout(PATIENCE),
        Ok(true),
        "the process has survived"
    );
}

async fn started(rig: &Rig) -> Box<dyn RunningJob> {
    let (spec, mut lines) = clinging(rig, "loud");
    let job = rig.launcher.start(spec).await.unwrap();
    until(&mut lines, "clinging").await;
    let file = File::options()
        .read(true)
        .open(rig.path("job/output/lock"))
        .unwrap();
    assert!(
        file.try_lock().is_err(),
        "it holds the lock, or the test shows nothing"
    );
    // What it prints from now on is of no interest, but must not fail.
    let mut rest = lines;
    std::thread::spawn(move || while rest.blocking_recv().is_some() {});
    job
}

#[tokio::test]
async fn a_kill_reaches_every_process() {
    let rig = Rig::new();
    let mut job = started(&rig).await;
    job.signal(Signal::Kill).await;
    let report = job.next_exit().await.unwrap();
    assert_eq!(report.exit, Exit::Code(137));
    // Not soon after, but when the report is given.
    let file = File::options()
        .read(true)
        .open(rig.path("job/output/lock"))
        .unwrap();
    assert!(file.try_lock().is_ok(), "the process has survived");
}

#[tokio::test]
async fn the_end_of_the_program_is_the_end_of_what_it_left_behind() {
    let rig = Rig::new();
    let (spec, mut lines) = clinging(&rig, "silent");
    let mut job = rig.launcher.start(spec).await.unwrap();
    std::thread::spawn(move || while lines.blocking_recv().is_some() {});
    let report = job.next_exit().await.unwrap();
    assert_eq!(report.exit, Exit::Code(0));
    let file = File::options()
        .read(true)
        .open(rig.path("job/output/lock"))
        .unwrap();
    assert!(file.try_lock().is_ok(), "the process has survived");
}

#[tokio::test]
async fn a_dropped_job_ends() {
    let rig = Rig::new();
    drop(started(&rig).await);
    assert_let_go(&rig.path("job/output/lock"));
}

#[tokio::test]
async fn a_program_that_ignores_the_request_is_still_there_to_be_killed() {
    let rig = Rig::new();
    let mut job = started(&rig).await;
    job.signal(Signal::Terminate).await;
    let file = File::options()
        .read(true)
        .open(rig.path("job/output/lock"))
        .unwrap();
    assert!(file.try_lock().is_err(), "SIGTERM alone must not end it");
    job.signal(Signal::Kill).await;
    assert_eq!(job.next_exit().await.unwrap().exit, Exit::Code(137));
}

/// The file by which the test below tells its child that it is the server.
const MARKER: &str = "this-is-the-server";

#[test]
fn nothing_survives_a_kill_of_the_server() {
    let root = open_directory();
    std::fs::write(root.path().join(MARKER), "").unwrap();
    let mut server = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "kill::a_server_that_will_be_killed",
            "--nocapture",
        ])
        .current_dir(root.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(server.stdout.take().unwrap()).lines();
    let up = output.any(|line| line.unwrap().ends_with("the job runs"));
    assert!(up, "the server starts its job");
    let lock = root.path().join("job/output/lock");
    let file = File::options().read(true).open(&lock).unwrap();
    assert!(
        file.try_lock().is_err(),
        "the job holds the lock, or the test shows nothing"
    );
    server.kill().unwrap();
    server.wait().unwrap();
    assert_let_go(&lock);
}

/// Plays the server for the test above; has nothing to do when run on its own.
#[tokio::test]
async fn a_server_that_will_be_killed() {
    let root = std::env::current_dir().unwrap();
    if !root.join(MARKER).exists() {
        return;
    }
    let rig = Rig::at(&root);
    let job = started(&rig).await;
    println!("the job runs");
    std::future::pending::<()>().await;
    drop(job);
}
