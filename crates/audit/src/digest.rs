//! Digest files: for each period a signed list of the log files of that time, linked to the one
//! before.

use std::collections::BTreeMap;

use sightline_objects::Attributes;
use sightline_types::Timestamp;

use crate::files::{Digest, LogFile, hash_of, pack};
use crate::keys::PrivateKey;
use crate::store::{self, DigestRow, FileRow, State};
use crate::{Audit, Error};

/// The only algorithm that CloudTrail's clients know.
pub(crate) const ALGORITHM: &str = "SHA256withRSA";

/// Periods that each get their own digest although the server was not there; of more, as after a
/// jump of the clock, one digest covers the time that is left.
const MISSED_PERIODS_MAX: u32 = 24 * 31;

impl Audit {
    /// Where the period lies that `at` is in.
    pub(crate) fn period_start(&self, at: Timestamp) -> Timestamp {
        let length = self.digest_millis();
        Timestamp::from_millis(at.millis().saturating_sub(at.millis().rem_euclid(length)))
    }

    fn digest_millis(&self) -> i64 {
        i64::try_from(self.options.digest_interval.as_millis()).map_or(i64::MAX, |n| n.max(1000))
    }

    /// The end of the period that begins at `start`, if it is over.
    fn period_end(&self, start: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let end = self.period_start(start.plus(self.options.digest_interval));
        let missed = self
            .options
            .digest_interval
            .saturating_mul(MISSED_PERIODS_MAX);
        let end = if missed < now.since(start) {
            self.period_start(now)
        } else {
            end
        };
        (start < end && end <= now).then_some(end)
    }

    /// Signs the digest of the next period that is over; says no if none is.
    pub(crate) async fn begin_digest(&self, now: Timestamp) -> Result<bool, Error> {
        let meta = &self.options.meta;
        let Some(state) = meta.read(store::state).await? else {
            return Ok(false);
        };
        let Some(end) = self.period_end(state.digested_until, now) else {
            return Ok(false);
        };
        let files = meta.read(store::undigested_files).await?;
        let previous = meta.read(store::last_digest).await?;
        let key = self.signing_key(now).await?;
        let listed: Vec<i64> = files.iter().map(|file| file.first_seq).collect();
        let bucket = self.trail.bucket.to_string();
        let row = self.off_the_runtime(move |trail| {
            let digest = Digest {
                aws_account_id: trail.account().to_string(),
                digest_s3_object: trail.digest_key(end),
                digest_public_key_fingerprint: key.fingerprint.clone(),
                ..digest_of(&state, end, &bucket, &files, previous.as_ref())
            };
            signed(&digest, &key, state.digested_until, end)
        });
        let row = row.await?;
        let begin = meta.write(move |tx| store::begin_digest(tx, &row, &listed));
        Ok(begin.await?)
    }

    /// Puts every digest that was begun into the bucket.
    pub(crate) async fn finish_digests(&self) -> Result<(), Error> {
        for row in self.options.meta.read(store::unfinished_digests).await? {
            let body = row.body.unwrap_or_default();
            let packed = self.off_the_runtime(move |_| pack(&body)).await?;
            let object_hash = hash_of(&packed);
            let user = [
                ("signature", row.signature.as_str()),
                ("signature-algorithm", ALGORITHM),
            ];
            let attributes = Attributes {
                user: BTreeMap::from(user.map(|(name, text)| (name.to_owned(), text.to_owned()))),
                ..Attributes::default()
            };
            self.put(&row.object_key, packed, attributes).await?;
            let end = row.end_at;
            let finish = self
                .options
                .meta
                .write(move |tx| store::end_digest(tx, end, &object_hash));
            finish.await?;
        }
        Ok(())
    }

    /// The key that signs here, made if there is none.
    async fn signing_key(&self, now: Timestamp) -> Result<PrivateKey, Error> {
        let keys = self.options.meta.read(store::keys).await?;
        let dir = self.options.keys_dir.clone();
        let found = self.off_the_runtime(move |_| {
            for key in keys.iter().filter(|key| key.valid_until.is_none()) {
                if let Some(found) = PrivateKey::load(&dir, &key.fingerprint)? {
                    return Ok(Some(found));
                }
            }
            Ok(None)
        });
        match found.await? {
            Some(key) => Ok(key),
            None => self.make_key(now, None).await,
        }
    }

    async fn make_key(&self, now: Timestamp, before: Option<String>) -> Result<PrivateKey, Error> {
        let dir = self.options.keys_dir.clone();
        let key = self
            .off_the_runtime(move |_| PrivateKey::make(&dir))
            .await?;
        let public = key.public(now)?;
        let add = self
            .options
            .meta
            .write(move |tx| store::add_key(tx, &public, before.as_deref()));
        add.await?;
        Ok(key)
    }

    /// Lets a new key sign from now on. Digests that the old one signed stay valid: its public
    /// half stays listed, its private half is removed.
    pub async fn rotate_key(&self) -> Result<String, Error> {
        let _turn = self.delivering.lock().await;
        let now = self.options.clock.now();
        let old = self.signing_key(now).await?.fingerprint;
        let new = self.make_key(now, Some(old.clone())).await?;
        let dir = self.options.keys_dir.clone();
        self.off_the_runtime(move |_| PrivateKey::forget(&dir, &old))
            .await?;
        Ok(new.fingerprint)
    }
}

/// What a digest says of its period and its files.
fn digest_of(
    state: &State,
    end: Timestamp,
    bucket: &str,
    files: &[FileRow],
    previous: Option<&DigestRow>,
) -> Digest {
    Digest {
        digest_start_time: seconds(state.digested_until),
        digest_end_time: seconds(end),
        digest_s3_bucket: bucket.to_owned(),
        digest_signature_algorithm: ALGORITHM.to_owned(),
        newest_event_time: files.iter().map(|file| file.newest.clone()).max(),
        oldest_event_time: files.iter().map(|file| file.oldest.clone()).min(),
        previous_digest_s3_bucket: previous.map(|_| bucket.to_owned()),
        previous_digest_s3_object: previous.map(|row| row.object_key.clone()),
        previous_digest_hash_value: previous.map(|row| row.hash.clone()),
        previous_digest_hash_algorithm: previous.map(|_| "SHA-256".to_owned()),
        previous_digest_signature: previous.map(|row| row.signature.clone()),
        log_files: files.iter().map(|file| log_file(file, bucket)).collect(),
        aws_account_id: String::new(),
        digest_s3_object: String::new(),
        digest_public_key_fingerprint: String::new(),
    }
}

/// What the digest of a period says of one of its files.
pub(crate) fn log_file(file: &FileRow, bucket: &str) -> LogFile {
    LogFile {
        s3_bucket: bucket.to_owned(),
        s3_object: file.object_key.clone(),
        hash_value: file.hash.clone(),
        hash_algorithm: "SHA-256".to_owned(),
        newest_event_time: file.newest.clone(),
        oldest_event_time: file.oldest.clone(),
        object_hash_value: file.object_hash.clone().unwrap_or_default(),
        first_sequence_number: file.first_seq,
        last_sequence_number: file.last_seq,
        chain_hash_value: file.chain.clone(),
    }
}

fn signed(
    digest: &Digest,
    key: &PrivateKey,
    start_at: Timestamp,
    end_at: Timestamp,
) -> Result<DigestRow, Error> {
    let body = serde_json::to_string(digest).map_err(|error| Error::Io {
        what: "write a digest",
        source: error.into(),
    })?;
    Ok(DigestRow {
        end_at,
        start_at,
        object_key: digest.digest_s3_object.clone(),
        hash: hash_of(&body),
        object_hash: None,
        signature: key.sign(&digest.signed_text(&body))?,
        body: Some(body),
    })
}

pub(crate) fn seconds(at: Timestamp) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ")
}
