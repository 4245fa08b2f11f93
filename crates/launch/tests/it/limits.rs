//! Programs that take more than they were granted.

use sightline_ports::Exit;

use crate::rig::Rig;

#[tokio::test]
async fn a_memory_bomb_is_killed_and_reported_as_such() {
    let rig = Rig::new();
    let bomb = "held = []\nwhile True: held.append(bytearray(b'x' * (8 << 20)))";
    let (mut spec, _) = rig.spec(&["python3", "-c", bomb]);
    spec.limits.memory_bytes = 96 << 20;
    assert_eq!(rig.run_spec(spec).await.exit, Exit::OutOfMemory);

    let modest = "held = b'x' * (48 << 20); print(len(held))";
    let (mut spec, _) = rig.spec(&["python3", "-c", modest]);
    spec.limits.memory_bytes = 96 << 20;
    assert_eq!(rig.run_spec(spec).await.exit, Exit::Code(0));
}

#[tokio::test]
async fn a_fork_bomb_stops_at_the_limit() {
    let rig = Rig::new();
    let bomb = r"
import os, time
count = 0
try:
    while count < 500:
        if os.fork() == 0:
            time.sleep(1000)
        count += 1
except OSError as error:
    print(error.strerror)
print(count)
";
    let (mut spec, lines) = rig.spec(&["python3", "-c", bomb]);
    spec.limits.processes = 40;
    assert_eq!(rig.run_spec(spec).await.exit, Exit::Code(0));
    let printed = lines.printed();
    assert_eq!(
        printed[0], "Resource temporarily unavailable",
        "{printed:?}"
    );
    let count: u32 = printed[1].parse().unwrap();
    assert!((30..=40).contains(&count), "{count} forks");
}

#[tokio::test]
async fn descriptors_and_files_are_bounded() {
    let rig = Rig::new();
    let bomb = r"
import os
held = []
try:
    while len(held) < 5000:
        held.append(os.open('/dev/null', os.O_RDONLY))
except OSError as error:
    print(error.strerror)
print(len(held))
for descriptor in held:
    os.close(descriptor)
try:
    with open('/opt/ml/output/big', 'wb') as file:
        for _ in range(64):
            file.write(b'x' * (1 << 20))
except OSError as error:
    print(error.strerror)
";
    let (mut spec, lines) = rig.spec(&["python3", "-c", bomb]);
    spec.limits.open_files = 100;
    spec.limits.file_bytes = 8 << 20;
    assert_eq!(rig.run_spec(spec).await.exit, Exit::Code(0));
    let printed = lines.printed();
    assert_eq!(printed[0], "Too many open files", "{printed:?}");
    assert!(
        (90..100).contains(&printed[1].parse::<u32>().unwrap()),
        "{printed:?}"
    );
    assert_eq!(printed[2], "File too large", "{printed:?}");
    assert_eq!(
        rig.path("job/output/big").metadata().unwrap().len(),
        8 << 20
    );
}

#[tokio::test]
async fn shared_memory_and_threads_still_work() {
    let rig = Rig::new();
    let script = r"
import multiprocessing, threading, subprocess, socket
def square(x):
    return x * x
if __name__ == '__main__':
    with multiprocessing.Pool(3) as pool:
        print(pool.map(square, [1, 2, 3]))
    thread = threading.Thread(target=lambda: print('thread'))
    thread.start(); thread.join()
    print(subprocess.run(['/bin/echo', 'child'], capture_output=True).stdout)
    print(socket.gethostname(), socket.gethostbyname('algo-1'), socket.getaddrinfo('localhost', 80)[0][4])
";
    let (spec, lines) = rig.spec(&["python3", "-c", script]);
    let report = rig.run_spec(spec).await;
    assert_eq!(report.exit, Exit::Code(0), "{:?}", lines.printed());
    let printed = lines.printed();
    assert_eq!(printed[..3], ["[1, 4, 9]", "thread", "b'child\\n'"]);
    assert!(printed[3].starts_with("algo-1 127.0.0.1 "), "{printed:?}");
}
