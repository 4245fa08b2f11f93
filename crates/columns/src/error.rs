//! Why events could not become columns.

/// Why a file of events could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A record is not an event in CloudTrail's form.
    #[error("event {seq} is not in CloudTrail's form: it has no {member}")]
    Member {
        /// The event's number.
        seq: i64,
        /// The member that is not there or not of its form.
        member: &'static str,
    },
    /// A record is not a JSON object.
    #[error("event {seq} cannot be read")]
    Record {
        /// The event's number.
        seq: i64,
        /// Where the text goes wrong.
        source: serde_json::Error,
    },
    /// The file could not be written.
    #[error("the file could not be written")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// The schema lacks a column, or has one of another type.
    #[error("the schema and the columns do not agree")]
    Schema,
}

impl Error {
    /// Where this stands among all reasons for failing.
    #[must_use]
    pub fn kind(&self) -> sightline_types::ErrorKind {
        sightline_types::ErrorKind::Internal
    }
}
