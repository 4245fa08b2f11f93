//! The writing side of a stream: lines are queued, and stored in groups as fast as the disk takes
//! them.

use std::sync::Arc;

use sightline_meta::{Meta, MetaError};
use sightline_ports::Clock;
use sightline_types::Timestamp;
use tokio::sync::mpsc;

use crate::store::{self, LogStream};

/// Lines that wait to be stored; whoever prints more waits.
const QUEUE_LENGTH_MAX: usize = 4_096;

/// Lines stored with one commit.
const GROUP_LENGTH_MAX: usize = 2_000;

/// Bytes that one stream keeps; what comes after is counted, said once, and dropped.
const STREAM_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// A line as it was printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When.
    pub at: Timestamp,
    /// Without its line break.
    pub text: String,
}

/// Takes the lines of one stream in order.
#[derive(Debug)]
pub struct LogWriter {
    queue: mpsc::Sender<LogLine>,
    task: tokio::task::JoinHandle<()>,
}

impl LogWriter {
    pub(crate) fn start(meta: Meta, clock: Arc<dyn Clock>, stream: LogStream) -> Self {
        let (queue, lines) = mpsc::channel(QUEUE_LENGTH_MAX);
        #[expect(
            clippy::disallowed_methods,
            reason = "supervised: `close` waits for it"
        )]
        let task = tokio::spawn(store_lines(meta, clock, stream, lines));
        Self { queue, task }
    }

    /// Queues a line, waiting while the queue is full.
    pub async fn line(&self, line: LogLine) {
        // The receiver ends only with the store itself, which has then said why.
        drop(self.queue.send(line).await);
    }

    /// Returns once every queued line is stored.
    pub async fn close(self) {
        drop(self.queue);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "a log stream's writer ended early");
        }
    }
}

async fn store_lines(
    meta: Meta,
    clock: Arc<dyn Clock>,
    stream: LogStream,
    mut lines: mpsc::Receiver<LogLine>,
) {
    let mut group = Vec::new();
    let mut stored_bytes = stream.stored_bytes;
    let mut full = STREAM_BYTES_MAX <= stored_bytes;
    while 0 < lines.recv_many(&mut group, GROUP_LENGTH_MAX).await {
        if full {
            group.clear();
            continue;
        }
        let mut batch = std::mem::take(&mut group);
        stored_bytes += batch.iter().map(|line| line.text.len() as u64).sum::<u64>();
        if STREAM_BYTES_MAX <= stored_bytes {
            full = true;
            let at = batch.last().map_or_else(|| clock.now(), |line| line.at);
            let text = format!(
                "[sightline] this stream has reached {STREAM_BYTES_MAX} bytes; \
                 what is printed from here on is not kept"
            );
            batch.push(LogLine { at, text });
        }
        let (id, now) = (stream.id, clock.now());
        let count = batch.len();
        let stored = meta
            .write(move |tx| store::append(tx, id, &batch, now))
            .await;
        if let Err(error) = stored {
            let error: MetaError = error;
            tracing::error!(stream = %stream.name, count, %error, "log lines could not be stored");
        }
    }
}
