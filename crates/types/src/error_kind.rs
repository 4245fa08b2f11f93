//! The closed set of reasons for which a request can fail.

/// Why something failed, in terms every protocol has a code for.
///
/// Each engine error places itself in one kind; each protocol maps kinds to its own codes once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request itself is wrong, and will be wrong again.
    Invalid,
    /// The named resource does not exist.
    NotFound,
    /// The name is taken.
    AlreadyExists,
    /// The resource's state forbids the change.
    Conflict,
    /// A condition that the caller set does not hold.
    PreconditionFailed,
    /// The caller may not do this.
    Denied,
    /// A limit of the server or of the account is reached.
    LimitExceeded,
    /// The caller asks too often.
    Throttled,
    /// The server does not do this.
    Unsupported,
    /// A part that the server needs cannot be reached now.
    Unavailable,
    /// The server is at fault.
    Internal,
}
