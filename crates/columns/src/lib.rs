//! Events as columns: a Parquet file that any engine of SQL reads.
//!
//! Owns the file's schema ([`SCHEMA`]) and how a record in CloudTrail's form fills it. It must
//! never know where records come from. Start at [`EventsFile`].

mod error;
mod rows;

use std::io::Write;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

pub use error::Error;
use rows::Rows;

/// The columns. `record` is the whole event, byte for byte; the others are what is asked for most.
pub const SCHEMA: &str = "message event {
    required int64 sequence_number;
    required int64 event_time (TIMESTAMP(MILLIS, true));
    required binary event_id (STRING);
    required binary event_source (STRING);
    required binary event_name (STRING);
    required binary aws_region (STRING);
    optional binary source_ip_address (STRING);
    optional binary user_agent (STRING);
    optional binary user_type (STRING);
    optional binary user_name (STRING);
    optional binary user_arn (STRING);
    optional binary principal_id (STRING);
    optional binary account_id (STRING);
    optional binary access_key_id (STRING);
    optional binary invoked_by (STRING);
    optional binary error_code (STRING);
    optional binary error_message (STRING);
    optional binary request_id (STRING);
    optional boolean read_only;
    optional boolean management_event;
    optional binary tls_version (STRING);
    optional binary request_parameters (STRING);
    optional binary response_elements (STRING);
    required group resource_types (LIST) { repeated group list { required binary element (STRING); } }
    required group resource_arns (LIST) { repeated group list { required binary element (STRING); } }
    required binary record (STRING);
}";

/// Events in a row group, whose columns are held in memory while it fills.
const GROUP_EVENTS_MAX: usize = 50_000;

/// Bytes of records in a row group, for the same reason.
const GROUP_BYTES_MAX: usize = 32 << 20;

/// A Parquet file of events that is being written.
pub struct EventsFile<W: Write + Send> {
    file: SerializedFileWriter<W>,
    rows: Rows,
}

impl<W: Write + Send> std::fmt::Debug for EventsFile<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventsFile").finish_non_exhaustive()
    }
}

impl<W: Write + Send> EventsFile<W> {
    /// Begins a file on `output`.
    pub fn begin(output: W) -> Result<Self, Error> {
        let schema = Arc::new(parse_message_type(SCHEMA)?);
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .build();
        Ok(Self {
            file: SerializedFileWriter::new(output, schema, Arc::new(properties))?,
            rows: Rows::default(),
        })
    }

    /// Adds the event with this number.
    pub fn push(&mut self, seq: i64, record: &str) -> Result<(), Error> {
        self.rows.push(seq, record)?;
        if GROUP_EVENTS_MAX <= self.rows.len() || GROUP_BYTES_MAX <= self.rows.record_bytes() {
            self.end_group()?;
        }
        Ok(())
    }

    /// Completes the file and gives the output back.
    pub fn finish(mut self) -> Result<W, Error> {
        if 0 < self.rows.len() {
            self.end_group()?;
        }
        Ok(self.file.into_inner()?)
    }

    fn end_group(&mut self) -> Result<(), Error> {
        let mut group = self.file.next_row_group()?;
        std::mem::take(&mut self.rows).write(&mut group)?;
        group.close()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
