//! Every way of changing what is recorded shows.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use sightline_meta::outbox::Head;
use sightline_meta::{MetaError, Tx, params};
use sightline_objects::Attributes;

use crate::world::{HOUR, World};

type Files = BTreeMap<String, (Vec<u8>, Attributes)>;

/// Tables that a tampering may touch.
const TABLES: [&str; 6] = [
    "event_blocks",
    "event_head",
    "trail",
    "trail_files",
    "trail_digests",
    "trail_keys",
];

const KINDS: u64 = 20;
const TAMPERINGS: u64 = 1000;

/// Numbers by chance, the same on every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit).unwrap()).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_random_tamperings_are_all_detected() {
    let world = World::new().await;
    for count in [9, 7, 5] {
        world.look(count).await;
        world.clock.advance(HOUR);
        world.audit.deliver().await.unwrap();
    }
    let files = world.files().await;
    for table in TABLES {
        let keep = format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}");
        world
            .meta
            .write(move |tx| tx.execute(&keep, params![]))
            .await
            .unwrap();
    }
    assert_eq!(world.findings().await, Vec::<String>::new());
    let mut chance = Chance(0x5eed_1234_5678_9abc);
    for number in 0..TAMPERINGS {
        let kind = number % KINDS;
        let touched = if kind < 11 {
            tamper_with_table(&world, kind, &mut chance).await;
            Vec::new()
        } else {
            tamper_with_bucket(&world, kind, &files, &mut chance).await
        };
        let findings = world.findings().await;
        assert!(
            !findings.is_empty(),
            "tampering {number} of kind {kind} was not seen"
        );
        restore(&world, &files, touched).await;
    }
    assert_eq!(world.findings().await, Vec::<String>::new());
}

async fn restore(world: &World, files: &Files, touched: Vec<String>) {
    for key in touched {
        let (bytes, attributes) = files[&key].clone();
        world.put(&key, bytes, attributes).await;
    }
    world
        .meta
        .write(|tx| {
            for table in TABLES {
                tx.execute(&format!("DELETE FROM {table}"), params![])?;
                tx.execute(
                    &format!("INSERT INTO {table} SELECT * FROM kept_{table}"),
                    params![],
                )?;
            }
            Ok::<_, MetaError>(())
        })
        .await
        .unwrap();
}

/// A block as the table has it.
#[derive(Clone)]
struct Row {
    last: i64,
    first: i64,
    records: String,
}

fn rows(tx: &mut Tx<'_>) -> Result<Vec<Row>, MetaError> {
    let delivered = "SELECT last_seq, first_seq, records FROM event_blocks
        WHERE last_seq <= (SELECT delivered_seq FROM trail) ORDER BY last_seq";
    tx.query(delivered, params![], |row| {
        Ok(Row {
            last: row.get(0)?,
            first: row.get(1)?,
            records: row.get(2)?,
        })
    })
}

async fn tamper_with_table(world: &World, kind: u64, chance: &mut Chance) {
    let picks: Vec<usize> = (0..4).map(|_| chance.below(1 << 20)).collect();
    world
        .meta
        .write(move |tx| {
            let rows = rows(tx)?;
            let row = rows[picks[0] % rows.len()].clone();
            let other = rows[(picks[0] + 1 + picks[1] % (rows.len() - 1)) % rows.len()].clone();
            let done = match kind {
                0 => set_records(tx, row.last, &flip_text(&row.records, picks[2]))?,
                1 => set_records(tx, row.last, "")?,
                2 => {
                    set_records(tx, row.last, &other.records)?;
                    set_records(tx, other.last, &row.records)?
                }
                3 => tx.execute(
                    "DELETE FROM event_blocks WHERE last_seq = $1",
                    params![row.last],
                )?,
                4 => tx.execute(
                    "UPDATE event_blocks SET chain = $2 WHERE last_seq = $1",
                    params![row.last, hex::encode([7; 32])],
                )?,
                5 => tx.execute(
                    "UPDATE event_blocks SET at_min = at_min - 1000 WHERE last_seq = $1",
                    params![row.last],
                )?,
                6 => tx.execute(
                    "UPDATE event_blocks SET first_seq = $2 WHERE last_seq = $1",
                    params![row.last, row.first + 1],
                )?,
                7 => rewrite(tx, &row, picks[2])?,
                8 => tx.execute("UPDATE event_head SET seq = seq + 1", params![])?,
                9 => tx.execute(
                    "DELETE FROM trail_digests
                     WHERE end_at = (SELECT max(end_at) FROM trail_digests)",
                    params![],
                )?,
                _ => tx.execute(
                    "UPDATE trail_files SET hash = $1
                     WHERE first_seq = (SELECT max(first_seq) FROM trail_files)",
                    params![hex::encode([7; 32])],
                )?,
            };
            assert!(done > 0, "tampering of kind {kind} did nothing");
            Ok::<_, MetaError>(())
        })
        .await
        .unwrap();
}

fn set_records(tx: &mut Tx<'_>, last: i64, records: &str) -> Result<usize, MetaError> {
    tx.execute(
        "UPDATE event_blocks SET records = $2 WHERE last_seq = $1",
        params![last, records],
    )
}

/// Changes one record and computes the whole chain anew, as somebody would who can write all.
fn rewrite(tx: &mut Tx<'_>, changed: &Row, pick: usize) -> Result<usize, MetaError> {
    set_records(tx, changed.last, &flip_text(&changed.records, pick))?;
    let all: Vec<(i64, String)> = tx.query(
        "SELECT last_seq, records FROM event_blocks ORDER BY last_seq",
        params![],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let mut head = Head::GENESIS;
    for (last, records) in all {
        head = records
            .split('\n')
            .fold(head, |head, record| head.after(record));
        let chain = hex::encode(head.hash);
        tx.execute(
            "UPDATE event_blocks SET chain = $2 WHERE last_seq = $1",
            params![last, chain],
        )?;
    }
    tx.execute(
        "UPDATE event_head SET chain = $1",
        params![hex::encode(head.hash)],
    )
}

/// The same text with another letter or digit somewhere.
fn flip_text(text: &str, pick: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let length = bytes.len();
    let place = (0..length)
        .map(|step| (pick + step) % length)
        .find(|place| bytes[*place].is_ascii_alphanumeric())
        .unwrap();
    bytes[place] = if bytes[place] == b'x' { b'y' } else { b'x' };
    String::from_utf8(bytes).unwrap()
}

async fn tamper_with_bucket(
    world: &World,
    kind: u64,
    files: &Files,
    chance: &mut Chance,
) -> Vec<String> {
    let of = |part: &str| -> Vec<String> {
        files
            .keys()
            .filter(|key| key.contains(part))
            .cloned()
            .collect()
    };
    let (logs, digests) = (of("/CloudTrail/"), of("CloudTrail-Digest"));
    let log = logs[chance.below(logs.len())].clone();
    let digest = digests[chance.below(digests.len())].clone();
    let key = if kind.is_multiple_of(2) {
        log.clone()
    } else {
        digest.clone()
    };
    let (bytes, attributes) = files[&key].clone();
    match kind {
        11 | 12 => {
            let mut bytes = bytes;
            let place = chance.below(bytes.len());
            bytes[place] ^= 1 << chance.below(8);
            world.put(&key, bytes, attributes).await;
        }
        13 | 14 => world.remove(&key).await,
        15 => {
            let next =
                digests[(digests.iter().position(|d| *d == digest).unwrap() + 1) % 3].clone();
            let (other, attributes) = files[&next].clone();
            world.put(&digest, other, attributes).await;
        }
        16 => {
            let text = inflate(&bytes);
            let swapped = text.replacen("DescribeTrainingJob", "DescribeTrainingJab", 1);
            world.put(&log, deflate(&swapped), attributes).await;
        }
        17 => {
            let text = flip_text(&inflate(&bytes), chance.below(1 << 20));
            world.put(&digest, deflate(&text), attributes).await;
        }
        18 => {
            let text = inflate(&bytes);
            let inner = text
                .strip_prefix("{\"Records\":[")
                .unwrap()
                .strip_suffix("]}")
                .unwrap();
            let mut records: Vec<&str> = inner.split(",{\"eventVersion\"").collect();
            records.truncate(records.len() - 1);
            let shorter = format!("{{\"Records\":[{}]}}", records.join(",{\"eventVersion\""));
            world.put(&log, deflate(&shorter), attributes).await;
        }
        _ => {
            let mut attributes = attributes;
            let signature = attributes.user.get_mut("signature").unwrap();
            *signature = flip_hex(signature, chance.below(signature.len()));
            world.put(&digest, bytes, attributes).await;
        }
    }
    vec![key]
}

fn flip_hex(text: &str, place: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[place] = if bytes[place] == b'0' { b'1' } else { b'0' };
    String::from_utf8(bytes).unwrap()
}

fn inflate(bytes: &[u8]) -> String {
    let mut text = String::new();
    GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
    text
}

fn deflate(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}
