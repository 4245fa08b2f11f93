//! The limits on what a request's document may hold; bodies that stream are limited elsewhere.

/// The longest body that is read as a document. The largest legitimate one is S3's completion of
/// an upload of 10,000 parts, each with its checksums: about 3 MB.
pub const DOCUMENT_BYTES_MAX: usize = 4 << 20;

/// How deep a document may nest. The deepest request of any served model has nine levels.
pub const NESTING_MAX: usize = 64;

/// How many elements an XML document may have: 10,000 parts of ten elements each, doubled.
pub const XML_ELEMENTS_MAX: usize = 200_000;

/// How many parameters a form may have.
pub const FORM_PARAMETERS_MAX: usize = 10_000;

/// How many characters of a refused value are repeated to the caller.
pub const ECHO_CHARS_MAX: usize = 1024;

/// How many violations are collected before the rest of a document is left unread.
pub const VIOLATIONS_MAX: usize = 50;

/// How many bytes of parameters an event keeps, as CloudTrail does.
pub const EVENT_PARAMETERS_BYTES_MAX: usize = 100 << 10;
