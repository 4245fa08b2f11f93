//! Files that a power cut tore: the server comes up with what came before the tear, or not at all.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::Method;
use sightline_proof::{Ask, Dice};

use crate::rig::Rig;

/// How many ways the end of the log is torn.
const TEARS: u64 = 12;

/// Objects that are acknowledged one after the other.
const OBJECTS: usize = 30;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), &to).unwrap();
        }
    }
}

/// Cuts the end of the file off, or writes something else over it.
fn tear(file: &Path, dice: &mut Dice) -> String {
    let mut bytes = fs::read(file).unwrap();
    let length = u64::try_from(bytes.len()).unwrap();
    let at = usize::try_from(length - dice.below(length.min(200_000)).max(1)).unwrap();
    let how = if dice.falls(1, 2) {
        bytes.truncate(at);
        "cut"
    } else {
        bytes[at..].iter_mut().for_each(|byte| *byte ^= 0x5A);
        "garbled"
    };
    fs::write(file, bytes).unwrap();
    format!("{how} at {at} of {length}")
}

/// Object `number` exists, whole, exactly for the numbers below some point.
#[test]
fn a_torn_end_of_the_log_costs_only_the_end() {
    let mut rig = Rig::new();
    let mut running = rig.start();
    for number in 0..OBJECTS {
        let body = vec![u8::try_from(number).unwrap(); 10 + 300 * number];
        assert_eq!(running.put(&format!("k{number:02}"), &body).status, 200);
    }
    let kept = running.kept.clone();
    running.server.kill().unwrap();
    let whole = rig.launch.data_dir.clone();
    let mut lost_something = false;
    for number in 0..TEARS {
        let folder = rig.folder.path().join(format!("torn-{number}"));
        copy(&whole, &folder);
        let how = tear(&folder.join("meta.sqlite-wal"), &mut Dice::seeded(number));
        rig.launch.data_dir = folder;
        let mut running = rig.start();
        let there: Vec<bool> = kept
            .iter()
            .map(|(key, bytes)| {
                let answer = running.get(key);
                let whole = answer.status == 200 && answer.body == *bytes;
                let absent = answer.status == 404;
                assert!(
                    whole || absent,
                    "{how}: {key} {} {}",
                    answer.status,
                    answer.text()
                );
                whole
            })
            .collect();
        let first_absent = there.iter().position(|there| !there).unwrap_or(OBJECTS);
        assert!(
            there[first_absent..].iter().all(|there| !there),
            "{how}: {there:?}"
        );
        lost_something |= first_absent < OBJECTS;
        assert_eq!(running.put("again", b"again").status, 200, "{how}");
        running.assert_kept();
    }
    assert!(lost_something, "the tears must reach what they tear");
}

fn blobs_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            blobs_below(&entry.path(), found);
        } else if !entry
            .file_name()
            .to_string_lossy()
            .starts_with("meta.sqlite")
        {
            found.push(entry.path());
        }
    }
}

/// A client that asks for the checksum, as boto3 does by itself, notices bytes that rotted.
#[test]
fn the_checksum_of_a_garbled_object_is_still_that_of_the_whole_one() {
    let rig = Rig::new();
    let mut running = rig.start();
    let mark = b"rotten-to-the-core";
    let body = mark.repeat(20_000);
    let sum = BASE64.encode(sightline_wire::sigv4::sha256(&body).0);
    let at = format!("/{}/rotten", running.server.default_bucket);
    let put = Ask::s3(Method::PUT, at.as_str()).with("x-amz-checksum-sha256", &sum);
    assert_eq!(running.send(&put.body(body.clone())).status, 200);
    let mut files = Vec::new();
    blobs_below(&rig.launch.data_dir, &mut files);
    let mut garbled = 0;
    for file in files {
        let mut bytes = fs::read(&file).unwrap();
        let found = bytes.windows(mark.len()).position(|window| window == mark);
        if let Some(at) = found {
            bytes[at + 1_000] ^= 1;
            fs::write(&file, bytes).unwrap();
            garbled += 1;
        }
    }
    assert_eq!(garbled, 1, "the object's bytes lie in one file");
    let get = Ask::s3(Method::GET, at).with("x-amz-checksum-mode", "ENABLED");
    // A store that compares what it reads may refuse, or break the answer off.
    let Ok(answer) = running.client.send(&get) else {
        return;
    };
    if answer.status == 200 {
        assert!(answer.body != body, "the garbled byte is read");
        assert_eq!(answer.header("x-amz-checksum-sha256"), sum);
    }
}
