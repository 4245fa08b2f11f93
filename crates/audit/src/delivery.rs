//! Log files: events on their way into the trail's bucket.
//!
//! A file is begun in one transaction, which fixes its events and its name, and then put into the
//! bucket. A crash in between leaves the row, and the file is put again with the same text under
//! the same name: no event is left out, and none is in two files.

use std::time::Duration;

use sightline_identity::Permit;
use sightline_meta::outbox::{self, Head};
use sightline_meta::{MetaError, Reader, Tx};
use sightline_objects::{Attributes, NewObject, ObjectKey, Payload};
use sightline_types::{Arn, Caller, Cx, OperationName, Recorded, RequestId, Timestamp};
use tokio::sync::watch;

use crate::files::{hash_of, log_text, pack};
use crate::store::{self, FileRow, State};
use crate::{Audit, Error};

/// The service that delivers, as activity names it.
pub(crate) const SERVICE: &str = "cloudtrail.amazonaws.com";

/// What the server holds that delivers and prunes, of several on one store.
pub(crate) const LEASE: &str = "audit/delivery";

/// Events in a log file, however many wait.
const FILE_EVENTS_MAX: i64 = 10_000;

/// Bytes of text in a log file after which it is full; it is held in memory while it is made.
const FILE_BYTES: usize = 16 << 20;

/// Blocks of events that are read at once.
const BLOCKS_AT_ONCE: u32 = 64;

/// How often a look is taken whether something is due. Shorter intervals are looked at as often
/// as they are long. At ten thousand events in a second, so many wait for their index.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Events that are not left to wait for their time: about half a log file.
const WAITING_EVENTS_MAX: i64 = 5_000;

/// Events on their way into one file.
#[derive(Default)]
struct Batch {
    first_seq: i64,
    last_seq: i64,
    /// The chain's hash after the last event.
    chain: String,
    records: Vec<String>,
    oldest: String,
    newest: String,
    /// Whether these only tell that files were delivered.
    is_own: bool,
}

impl Audit {
    /// Delivers whenever something is due, until `shutdown` turns true.
    pub async fn reconcile(&self, mut shutdown: watch::Receiver<bool>) {
        let options = &self.options;
        let intervals = options.delivery_interval.min(options.digest_interval);
        while !*shutdown.borrow() {
            if let Err(error) = self.index().await {
                tracing::error!(%error, "events could not be indexed, which makes lookups slow");
            }
            if let Err(error) = self.deliver_what_is_due().await {
                tracing::error!(%error, source = ?std::error::Error::source(&error),
                    "the trail could not be delivered and is tried again");
            }
            if let Err(error) = self.prune_what_is_due().await {
                tracing::error!(%error, source = ?std::error::Error::source(&error),
                    "old events could not be removed, which is tried again");
            }
            tokio::select! {
                () = options.clock.sleep(intervals.min(LOOK_EVERY)) => {}
                changed = shutdown.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn index(&self) -> Result<(), Error> {
        while outbox::index(&self.options.meta).await? {}
        Ok(())
    }

    async fn deliver_what_is_due(&self) -> Result<(), Error> {
        // Of several servers on the store, one delivers.
        if !self.options.meta.lease(LEASE).await? {
            return Ok(());
        }
        let now = self.options.clock.now();
        let state = self.options.meta.read(store::state).await?;
        let head = self.options.meta.read(outbox::head).await?;
        let Some(state) = state else {
            return self.deliver().await;
        };
        let since = state.delivered_at.unwrap_or(state.created_at);
        let waited = self.options.delivery_interval <= now.since(since);
        let many = WAITING_EVENTS_MAX <= head.seq.saturating_sub(state.delivered.seq);
        let hour_is_over = self.options.digest_interval <= now.since(state.digested_until);
        if waited || many || hour_is_over {
            self.deliver().await?;
        }
        Ok(())
    }

    /// Delivers every event so far, and the digest of each period that is over.
    pub async fn deliver(&self) -> Result<(), Error> {
        let _turn = self.delivering.lock().await;
        let now = self.options.clock.now();
        self.open_trail(now).await?;
        self.finish_files().await?;
        self.finish_digests().await?;
        while self.begin_file(now).await? {
            self.finish_files().await?;
        }
        while self.begin_digest(now).await? {
            self.finish_digests().await?;
        }
        Ok(())
    }

    async fn open_trail(&self, now: Timestamp) -> Result<(), Error> {
        if self.options.meta.read(store::state).await?.is_none() {
            let from = self.period_start(now);
            let open = self
                .options
                .meta
                .write(move |tx| store::open(tx, now, from));
            open.await?;
        }
        let (objects, bucket) = (&self.options.objects, &self.trail.bucket);
        let permit = self.permit("s3:ListBucket", "");
        match objects.head_bucket(&permit, bucket).await {
            Err(sightline_objects::Error::BucketNotFound(_)) => {
                let region = self.trail.region().as_str();
                let location = (region != "us-east-1").then_some(region);
                let permit = self.permit("s3:CreateBucket", "");
                objects.create_bucket(&permit, bucket, location).await?;
            }
            other => _ = other?,
        }
        Ok(())
    }

    /// Fixes the events and the name of the next log file; says no if there is nothing for one.
    async fn begin_file(&self, now: Timestamp) -> Result<bool, Error> {
        let read = |reader: &Reader<'_>| {
            let state = store::state(reader)?;
            state.map(|state| next_batch(reader, state)).transpose()
        };
        let Some((state, batch)) = self.options.meta.read(read).await? else {
            return Ok(false);
        };
        if batch.records.is_empty() || batch.is_own {
            return Ok(false);
        }
        let row = self.off_the_runtime(move |trail| {
            let hash = hash_of(log_text(batch.records.iter().map(String::as_str)));
            Ok(FileRow {
                first_seq: batch.first_seq,
                last_seq: batch.last_seq,
                object_key: trail.log_key(now, &hash),
                hash,
                object_hash: None,
                chain: batch.chain,
                oldest: batch.oldest,
                newest: batch.newest,
            })
        });
        let (row, before) = (row.await?, state.delivered.seq);
        let begin = self
            .options
            .meta
            .write(move |tx| store::begin_file(tx, &row, before, now));
        Ok(begin.await?)
    }

    /// Puts every log file that was begun into the bucket.
    async fn finish_files(&self) -> Result<(), Error> {
        for row in self.options.meta.read(store::unfinished_files).await? {
            let (first, last) = (row.first_seq, row.last_seq);
            let read = move |reader: &Reader<'_>| records(reader, first, last);
            let records = self.options.meta.read(read).await?;
            let expected = row.hash;
            let packed = self.off_the_runtime(move |_| {
                let text = log_text(records.iter().map(String::as_str));
                if hash_of(&text) != expected {
                    return Err(Error::Changed { first, last });
                }
                pack(&text)
            });
            let packed = packed.await?;
            let object_hash = hash_of(&packed);
            self.put(&row.object_key, packed, Attributes::default())
                .await?;
            let end = move |tx: &mut Tx<'_>| store::end_file(tx, first, &object_hash);
            self.options.meta.write(end).await?;
        }
        Ok(())
    }

    /// Puts a file of the trail into its bucket.
    pub(crate) async fn put(
        &self,
        key: &str,
        packed: Vec<u8>,
        mut attributes: Attributes,
    ) -> Result<(), Error> {
        attributes.content_type = Some("application/json".to_owned());
        attributes.content_encoding = Some("gzip".to_owned());
        let new = NewObject {
            bucket: self.trail.bucket.clone(),
            key: key
                .parse::<ObjectKey>()
                .map_err(sightline_objects::Error::from)?,
            attributes,
            condition: None,
        };
        let permit = self.permit("s3:PutObject", key);
        self.options
            .objects
            .put(&permit, new, Payload::whole(packed))
            .await?;
        Ok(())
    }

    /// The permit of the service itself for its own bucket, or the object `key` in it.
    pub(crate) fn permit(&self, action: &'static str, key: &str) -> Permit {
        let key = (!key.is_empty()).then_some(key);
        let resource = Arn::s3(self.trail.bucket.as_str(), key);
        let identity = &self.options.identity;
        identity.platform_permit(&self.own_cx("Deliver"), action, resource)
    }

    /// Something that the service does by itself.
    pub(crate) fn own_cx(&self, name: &'static str) -> Cx {
        let identity = &self.options.identity;
        Cx {
            request_id: RequestId::random(),
            received_at: self.options.clock.now(),
            account: identity.account().clone(),
            region: identity.region().clone(),
            caller: Caller {
                arn: String::new(),
                user_id: String::new(),
                user_name: SERVICE.to_owned(),
                access_key_id: String::new(),
                session_began: None,
            },
            source: SERVICE.to_owned(),
            tls: None,
            signed: None,
            user_agent: SERVICE.to_owned(),
            operation: OperationName {
                source: SERVICE,
                name,
                read_only: false,
            },
            parameters: None,
            recorded: Recorded::default(),
        }
    }

    /// Runs what takes the processor's time where it keeps nobody waiting.
    pub(crate) async fn off_the_runtime<T: Send + 'static>(
        &self,
        work: impl FnOnce(&crate::Trail) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let trail = self.trail.clone();
        let done = tokio::task::spawn_blocking(move || work(&trail)).await;
        done.unwrap_or_else(|error| {
            Err(Error::Io {
                what: "finish a piece of work",
                source: std::io::Error::other(error),
            })
        })
    }
}

/// The events that the next file holds.
fn next_batch(reader: &Reader<'_>, state: State) -> Result<(State, Batch), MetaError> {
    let mut batch = Batch {
        first_seq: state.delivered.seq.saturating_add(1),
        last_seq: state.delivered.seq,
        is_own: true,
        ..Batch::default()
    };
    let (first, mut head, mut bytes) = (batch.first_seq, state.delivered.clone(), 0);
    'full: loop {
        let blocks = outbox::blocks(reader, batch.last_seq.saturating_add(1), BLOCKS_AT_ONCE)?;
        if blocks.is_empty() {
            break;
        }
        for block in blocks {
            for (seq, record) in block.numbered().skip_while(|(seq, _)| *seq < first) {
                let full = FILE_EVENTS_MAX <= seq - first || FILE_BYTES <= bytes;
                if full {
                    break 'full;
                }
                head = batch.take(&head, record);
                bytes += record.len();
            }
        }
    }
    batch.chain = hex::encode(head.hash);
    Ok((state, batch))
}

impl Batch {
    fn take(&mut self, head: &Head, record: &str) -> Head {
        let time = outbox::time_of(record).unwrap_or_default();
        if self.oldest.is_empty() || time < self.oldest.as_str() {
            self.oldest = time.to_owned();
        }
        if self.newest.as_str() < time {
            self.newest = time.to_owned();
        }
        self.is_own &= outbox::is_by_service(record, SERVICE);
        self.records.push(record.to_owned());
        let head = head.after(record);
        self.last_seq = head.seq;
        head
    }
}

/// The records of the events from `first` to `last`.
pub(crate) fn records(
    reader: &Reader<'_>,
    first: i64,
    last: i64,
) -> Result<Vec<String>, MetaError> {
    let (mut found, mut next) = (Vec::new(), first);
    while next <= last {
        let blocks = outbox::blocks(reader, next, BLOCKS_AT_ONCE)?;
        let Some(end) = blocks.last().map(|block| block.last_seq) else {
            break;
        };
        for block in &blocks {
            let wanted = block
                .numbered()
                .filter(|(seq, _)| next <= *seq && *seq <= last);
            found.extend(wanted.map(|(_, record)| record.to_owned()));
        }
        next = end.saturating_add(1);
    }
    Ok(found)
}
