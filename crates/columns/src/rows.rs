//! The columns of one row group, filled record by record in the order of the schema.

use std::io::Write;

use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::file::writer::SerializedRowGroupWriter;
use serde_json::Value;
use sightline_types::Timestamp;

use crate::Error;

/// Texts that every event has: where in the record, in the order of their columns.
const TEXTS: [&str; 4] = ["/eventID", "/eventSource", "/eventName", "/awsRegion"];

/// Texts that an event may have.
const OPTIONAL_TEXTS: [&str; 12] = [
    "/sourceIPAddress",
    "/userAgent",
    "/userIdentity/type",
    "/userIdentity/userName",
    "/userIdentity/arn",
    "/userIdentity/principalId",
    "/userIdentity/accountId",
    "/userIdentity/accessKeyId",
    "/userIdentity/invokedBy",
    "/errorCode",
    "/errorMessage",
    "/requestID",
];

const FLAGS: [&str; 2] = ["/readOnly", "/managementEvent"];

const TLS_VERSION: &str = "/tlsDetails/tlsVersion";

/// Documents, which become their JSON text.
const DOCUMENTS: [&str; 2] = ["/requestParameters", "/responseElements"];

/// Members of each resource, which become lists.
const OF_RESOURCES: [&str; 2] = ["type", "ARN"];

/// A column whose values may be absent: a level for each row, a value for each that is there.
#[derive(Debug)]
struct Optional<T> {
    levels: Vec<i16>,
    values: Vec<T>,
}

impl<T> Default for Optional<T> {
    fn default() -> Self {
        Self {
            levels: Vec::new(),
            values: Vec::new(),
        }
    }
}

impl<T> Optional<T> {
    fn push(&mut self, value: Option<T>) {
        self.levels.push(i16::from(value.is_some()));
        self.values.extend(value);
    }
}

/// A column of lists of texts.
#[derive(Debug, Default)]
struct Lists {
    /// 0 where a list is empty.
    levels: Vec<i16>,
    /// 0 where a row begins.
    repetitions: Vec<i16>,
    values: Vec<ByteArray>,
}

impl Lists {
    fn push<'v>(&mut self, values: impl Iterator<Item = &'v str>) {
        let before = self.values.len();
        for value in values {
            self.levels.push(1);
            self.repetitions.push(i16::from(before < self.values.len()));
            self.values.push(ByteArray::from(value));
        }
        if before == self.values.len() {
            self.levels.push(0);
            self.repetitions.push(0);
        }
    }
}

/// The rows of a row group.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    seqs: Vec<i64>,
    times: Vec<i64>,
    texts: [Vec<ByteArray>; TEXTS.len()],
    optional_texts: [Optional<ByteArray>; OPTIONAL_TEXTS.len()],
    flags: [Optional<bool>; FLAGS.len()],
    tls_versions: Optional<ByteArray>,
    documents: [Optional<ByteArray>; DOCUMENTS.len()],
    of_resources: [Lists; OF_RESOURCES.len()],
    records: Vec<ByteArray>,
    record_bytes: usize,
}

impl Rows {
    pub(crate) fn len(&self) -> usize {
        self.seqs.len()
    }

    pub(crate) fn record_bytes(&self) -> usize {
        self.record_bytes
    }

    pub(crate) fn push(&mut self, seq: i64, record: &str) -> Result<(), Error> {
        let form: Value =
            serde_json::from_str(record).map_err(|source| Error::Record { seq, source })?;
        let text = |place: &str| form.pointer(place).and_then(Value::as_str);
        let lacks = |member| Error::Member { seq, member };
        let at = text("/eventTime").and_then(|text| text.parse::<Timestamp>().ok());
        self.times
            .push(at.ok_or_else(|| lacks("/eventTime"))?.millis());
        self.seqs.push(seq);
        for (column, place) in self.texts.iter_mut().zip(TEXTS) {
            column.push(ByteArray::from(text(place).ok_or_else(|| lacks(place))?));
        }
        for (column, place) in self.optional_texts.iter_mut().zip(OPTIONAL_TEXTS) {
            column.push(text(place).map(ByteArray::from));
        }
        for (column, place) in self.flags.iter_mut().zip(FLAGS) {
            column.push(form.pointer(place).and_then(Value::as_bool));
        }
        self.tls_versions
            .push(text(TLS_VERSION).map(ByteArray::from));
        for (column, place) in self.documents.iter_mut().zip(DOCUMENTS) {
            let document = form.pointer(place).filter(|document| !document.is_null());
            column
                .push(document.map(|document| ByteArray::from(document.to_string().into_bytes())));
        }
        let touched = form.pointer("/resources").and_then(Value::as_array);
        let touched = touched.map_or(&[][..], Vec::as_slice);
        for (column, member) in self.of_resources.iter_mut().zip(OF_RESOURCES) {
            // A resource without one of the two keeps its place in both lists.
            let value = |resource| Value::get(resource, member).and_then(Value::as_str);
            column.push(touched.iter().map(|one| value(one).unwrap_or_default()));
        }
        self.records.push(ByteArray::from(record));
        self.record_bytes = self.record_bytes.saturating_add(record.len());
        Ok(())
    }

    /// Writes the columns in the order of the schema.
    pub(crate) fn write<W: Write + Send>(
        self,
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<(), Error> {
        column::<Int64Type, W>(group, &self.seqs, None, None)?;
        column::<Int64Type, W>(group, &self.times, None, None)?;
        for values in &self.texts {
            column::<ByteArrayType, W>(group, values, None, None)?;
        }
        for texts in &self.optional_texts {
            column::<ByteArrayType, W>(group, &texts.values, Some(&texts.levels), None)?;
        }
        for flags in &self.flags {
            column::<BoolType, W>(group, &flags.values, Some(&flags.levels), None)?;
        }
        for texts in std::iter::once(&self.tls_versions).chain(&self.documents) {
            column::<ByteArrayType, W>(group, &texts.values, Some(&texts.levels), None)?;
        }
        for lists in &self.of_resources {
            let (levels, repetitions) = (Some(&*lists.levels), Some(&*lists.repetitions));
            column::<ByteArrayType, W>(group, &lists.values, levels, repetitions)?;
        }
        column::<ByteArrayType, W>(group, &self.records, None, None)
    }
}

/// Writes the next column of the group.
fn column<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[T::T],
    levels: Option<&[i16]>,
    repetitions: Option<&[i16]>,
) -> Result<(), Error> {
    let mut column = group.next_column()?.ok_or(Error::Schema)?;
    column
        .typed::<T>()
        .write_batch(values, levels, repetitions)?;
    column.close()?;
    Ok(())
}
