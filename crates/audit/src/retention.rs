//! How much of the past stays in the store. What goes is in the bucket, under a signed digest.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sightline_meta::outbox::{self, Prunable, Pruned};
use sightline_meta::{MetaError, Reader, Tx};
use sightline_types::{Event, EventOutcome, Timestamp};

use crate::delivery::LEASE;
use crate::{Audit, Error, store};

/// How long events may outlive their time, so that one removal takes an hour's away and not one
/// event each.
const SLACK: Duration = Duration::from_secs(3600);

/// Of the bytes allowed, the part that is freed at once, for the same reason.
const ROOM: i64 = 10;

/// How often it is said that there are more bytes than allowed.
const WARN_EVERY: Duration = Duration::from_secs(3600);

/// How much of what is delivered stays in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// For how long; `None` is for ever.
    pub time: Option<Duration>,
    /// Bytes of records; `None` is any number.
    pub bytes_max: Option<i64>,
}

impl Retention {
    /// Everything stays.
    pub const FOR_EVER: Self = Self {
        time: None,
        bytes_max: None,
    };

    /// So many days and bytes, where 0 sets no bound.
    #[must_use]
    pub fn of(days: u64, bytes_max: u64) -> Self {
        let time = Duration::from_secs(days.saturating_mul(24 * 3600));
        let bytes_max = i64::try_from(bytes_max).unwrap_or(i64::MAX);
        Self {
            time: (!time.is_zero()).then_some(time),
            bytes_max: (0 < bytes_max).then_some(bytes_max),
        }
    }
}

/// What is known of the size of all records, so that only those that came since are counted.
#[derive(Debug, Default)]
pub(crate) struct Size {
    pruned_seq: i64,
    counted_seq: i64,
    bytes: i64,
    warned_at: Option<Timestamp>,
}

impl Audit {
    /// Removes what is due, if this server is the one that does.
    pub(crate) async fn prune_what_is_due(&self) -> Result<(), Error> {
        if self.options.retention == Retention::FOR_EVER || !self.options.meta.lease(LEASE).await? {
            return Ok(());
        }
        self.prune().await?;
        Ok(())
    }

    /// Removes the oldest events that the retention does not keep, once they are in the bucket
    /// and a signed digest lists their log file; says how many.
    ///
    /// Each step is one transaction with an event of its own, so a crash leaves a whole chain.
    pub async fn prune(&self) -> Result<i64, Error> {
        let mut size = self.size.lock().await;
        let now = self.options.clock.now();
        let mut events = 0_i64;
        loop {
            self.count(&mut size).await?;
            let wanted = self.prunable(&size, now).await?;
            let Some(wanted) = wanted else { break };
            let Some(step) = self.prune_step(wanted).await? else {
                self.warn_of(&mut size, now);
                break;
            };
            events = events.saturating_add(step.events);
            size.pruned_seq = step.anchor.seq;
            size.bytes = size.bytes.saturating_sub(step.bytes);
        }
        Ok(events)
    }

    /// Brings the size up to date; another server may have removed events meanwhile.
    async fn count(&self, size: &mut Size) -> Result<(), Error> {
        let counted = (size.pruned_seq, size.counted_seq);
        let read = move |reader: &Reader<'_>| {
            let pruned = outbox::pruned(reader)?.seq;
            let anew = pruned != counted.0;
            let (bytes, last) = outbox::bytes_after(reader, if anew { pruned } else { counted.1 })?;
            Ok::<_, MetaError>((pruned, anew, bytes, last))
        };
        let (pruned, anew, bytes, last) = self.options.meta.read(read).await?;
        let before = if anew { 0 } else { size.bytes };
        size.bytes = before.saturating_add(bytes);
        (size.pruned_seq, size.counted_seq) = (pruned, last);
        Ok(())
    }

    /// What may go, if anything is due.
    async fn prunable(&self, size: &Size, now: Timestamp) -> Result<Option<Prunable>, Error> {
        let Retention { time, bytes_max } = self.options.retention;
        let over = bytes_max.map_or(0, |max| {
            let excess = size.bytes.saturating_sub(max);
            if 0 < excess {
                excess.saturating_add(max / ROOM)
            } else {
                0
            }
        });
        let oldest = self.options.meta.read(outbox::oldest).await?;
        let age = oldest.map(|oldest| now.since(oldest.at_max));
        let aged = time.filter(|time| age.is_some_and(|age| time.saturating_add(SLACK) <= age));
        if over == 0 && aged.is_none() {
            return Ok(None);
        }
        Ok(Some(Prunable {
            after_seq: size.pruned_seq,
            until_seq: self.options.meta.read(store::proved_seq).await?,
            before: aged.map(|time| minus(now, time)),
            bytes: over,
        }))
    }

    async fn prune_step(&self, wanted: Prunable) -> Result<Option<Pruned>, Error> {
        let mut cx = self.own_cx("RemoveDeliveredEvents");
        let prune = move |tx: &mut Tx<'_>| {
            let Some(step) = outbox::prune(tx, wanted)? else {
                return Ok(None);
            };
            cx.parameters = Some(Arc::new(json!({
                "lastSequenceNumber": step.anchor.seq,
                "chainHashValue": hex::encode(step.anchor.hash),
                "events": step.events,
                "bytes": step.bytes,
            })));
            tx.record(&Event::of(&Arc::new(cx), EventOutcome::Success))?;
            Ok::<_, MetaError>(Some(step))
        };
        Ok(self.options.meta.write(prune).await?)
    }

    /// Says that the bound does not hold, because what exceeds it is not yet proved elsewhere.
    fn warn_of(&self, size: &mut Size, now: Timestamp) {
        let Some(bytes_max) = self.options.retention.bytes_max else {
            return;
        };
        let said = size.warned_at.is_some_and(|at| now.since(at) < WARN_EVERY);
        if bytes_max < size.bytes && !said {
            size.warned_at = Some(now);
            tracing::warn!(
                bytes = size.bytes,
                bytes_max,
                "there are more events than allowed, and they stay until a signed digest covers them"
            );
        }
    }
}

fn minus(at: Timestamp, time: Duration) -> Timestamp {
    let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(at.millis().saturating_sub(millis))
}
