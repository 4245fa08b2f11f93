//! Disks that are full, read-only or do not flush: a clear refusal, and nothing acknowledged lost.

use sightline_proof::{DiskFault, FailingDisk, SmallDisk};

use crate::rig::{Rig, Running, assert_failed_clearly};

const MIB: usize = 1 << 20;

/// The path of every file below the data directory holds this.
const ALL: &str = "/data/";

/// Only the metadata's.
const METADATA: &str = "meta.sqlite";

fn rig_with_failing_disk() -> (Rig, FailingDisk) {
    let mut rig = Rig::new();
    let disk = FailingDisk::below(&mut rig.launch, rig.folder.path()).unwrap();
    (rig, disk)
}

/// Writes fail clearly while `fault` lasts, and work again afterwards, on the same server.
fn survives(rig: &Rig, disk: &FailingDisk, fault: DiskFault) -> Running {
    let mut running = rig.start();
    assert_eq!(running.put("before", &[1; MIB]).status, 200);
    disk.fail(fault).unwrap();
    for (number, size) in [10, 5_000, 200_000, 2 * MIB].into_iter().enumerate() {
        let answer = running.put(&format!("during-{number}"), &vec![2; size]);
        assert_failed_clearly(&answer);
    }
    let answer = running.put("before", b"another");
    assert_failed_clearly(&answer);
    assert_failed_clearly(&running.delete("before"));
    disk.fail(DiskFault::None).unwrap();
    running.assert_kept();
    for number in 0..4 {
        let absent = running.get(&format!("during-{number}"));
        assert_eq!(absent.status, 404, "what failed was stored all the same");
    }
    assert_eq!(running.put("after", &[3; MIB]).status, 200);
    running.assert_kept();
    running
}

#[test]
fn a_flush_that_fails_is_never_acknowledged() {
    let (rig, disk) = rig_with_failing_disk();
    let running = survives(&rig, &disk, DiskFault::Flush(ALL));
    let mut running = running.again(&rig);
    running.assert_kept();
}

/// The system tells a failure to the flush that meets it and to no later one.
#[test]
fn a_flush_that_fails_while_bytes_arrive_is_never_acknowledged() {
    let (rig, disk) = rig_with_failing_disk();
    let mut running = rig.start();
    let bytes = vec![4; 48 * MIB];
    disk.fail(DiskFault::EarlyFlush("/blobs/tmp/")).unwrap();
    assert_failed_clearly(&running.put("large", &bytes));
    assert_eq!(running.get("large").status, 404);
    disk.fail(DiskFault::None).unwrap();
    assert_eq!(running.put("large", &bytes).status, 200);
    running.assert_kept();
}

#[test]
fn a_flush_of_the_metadata_that_fails_is_never_acknowledged() {
    let (rig, disk) = rig_with_failing_disk();
    let mut running = survives(&rig, &disk, DiskFault::Flush(METADATA));
    // What a failed flush left in the log must not come up when the server dies right after.
    disk.fail(DiskFault::Flush(METADATA)).unwrap();
    assert_failed_clearly(&running.put("last", b"last"));
    disk.fail(DiskFault::None).unwrap();
    let mut running = running.again(&rig);
    running.assert_kept();
    let last = running.get("last");
    assert!(
        last.status == 404 || last.body == b"last",
        "{}",
        last.text()
    );
}

#[test]
fn a_file_system_that_turns_read_only_is_survived() {
    let (rig, disk) = rig_with_failing_disk();
    let running = survives(&rig, &disk, DiskFault::ReadOnly);
    running.again(&rig).assert_kept();
}

#[test]
fn a_device_without_space_is_survived() {
    let (rig, disk) = rig_with_failing_disk();
    let running = survives(&rig, &disk, DiskFault::Full(ALL));
    running.again(&rig).assert_kept();
}

/// A real file system that is really full.
#[test]
fn a_full_disk_answers_clearly_and_recovers_with_everything() {
    let mut rig = Rig::new();
    let folder = rig.folder.path().join("small");
    let disk = match SmallDisk::new(&folder, 40 << 20) {
        Ok(disk) => disk,
        Err(error) => return eprintln!("skipped: {error:#}"),
    };
    rig.launch.wrapper = disk.wrapper();
    rig.launch.data_dir = folder.join("data");
    let mut running = rig.start();
    disk.shell("dd if=/dev/zero of=\"$1/ballast\" bs=1048576 count=8 2>/dev/null")
        .unwrap();
    let mut refused = None;
    for number in 0..60 {
        let answer = running.put(&format!("k{number}"), &vec![7; MIB]);
        if !answer.is_success() {
            refused = Some(answer);
            break;
        }
    }
    assert_failed_clearly(&refused.expect("60 MiB do not fit in 32"));
    // Not a byte is left for anything: whatever is answered is a clear failure or the truth.
    disk.shell("dd if=/dev/zero of=\"$1/filler\" bs=4096 2>/dev/null || true")
        .unwrap();
    for number in 0..40 {
        let answer = running.get("k0");
        match answer.status {
            200 => assert!(answer.body == vec![7; MIB], "read {number}"),
            _ => assert_failed_clearly(&answer),
        }
        assert!(running.server.is_alive().unwrap());
    }
    assert_failed_clearly(&running.put("more", &[8; 100_000]));
    // A deletion has an event, so it needs room that somebody made outside.
    disk.shell("rm \"$1/filler\" \"$1/ballast\"").unwrap();
    running.assert_kept();
    for number in 0..3 {
        let deleted = running.delete(&format!("k{number}"));
        assert!(deleted.is_success(), "{}", deleted.text());
    }
    assert_eq!(running.put("fits", &vec![9; MIB]).status, 200);
    running.assert_kept();
    running.again(&rig).assert_kept();
}

#[test]
fn a_server_does_not_start_on_a_read_only_disk_and_says_so() {
    let mut rig = Rig::new();
    let folder = rig.folder.path().join("small");
    let disk = match SmallDisk::new(&folder, 40 << 20) {
        Ok(disk) => disk,
        Err(error) => return eprintln!("skipped: {error:#}"),
    };
    rig.launch.wrapper = disk.wrapper();
    rig.launch.data_dir = folder.join("data");
    let mut running = rig.start();
    assert_eq!(running.put("kept", b"kept").status, 200);
    let kept = running.kept.clone();
    running.server.kill().unwrap();
    disk.shell("mount -o remount,ro \"$1\"").unwrap();
    let refused = format!("{:#}", rig.launch.start().unwrap_err());
    assert!(
        refused.to_lowercase().contains("read-only file system"),
        "{refused}"
    );
    disk.shell("mount -o remount,rw \"$1\"").unwrap();
    let mut running = Running {
        kept,
        ..rig.start()
    };
    running.assert_kept();
}
