//! SageMaker's codes for each kind of failure, and where it words them in its own way.

use http::StatusCode;
use sightline_api::Fault;
use sightline_jobs::{Error, JobKind};
use sightline_types::ErrorKind;

/// Only the first three have no suffix in SageMaker's model.
pub(crate) fn table(kind: ErrorKind) -> (&'static str, StatusCode) {
    match kind {
        ErrorKind::Invalid | ErrorKind::PreconditionFailed | ErrorKind::Unsupported => {
            ("ValidationException", StatusCode::BAD_REQUEST)
        }
        ErrorKind::NotFound => ("ResourceNotFound", StatusCode::BAD_REQUEST),
        ErrorKind::AlreadyExists => ("ResourceInUse", StatusCode::BAD_REQUEST),
        ErrorKind::LimitExceeded => ("ResourceLimitExceeded", StatusCode::BAD_REQUEST),
        ErrorKind::Conflict => ("ConflictException", StatusCode::CONFLICT),
        ErrorKind::Denied => ("AccessDeniedException", StatusCode::BAD_REQUEST),
        ErrorKind::Throttled => ("ThrottlingException", StatusCode::BAD_REQUEST),
        ErrorKind::Unavailable => ("ServiceUnavailable", StatusCode::SERVICE_UNAVAILABLE),
        ErrorKind::Internal => ("InternalFailure", StatusCode::INTERNAL_SERVER_ERROR),
    }
}

pub(crate) fn validation(message: impl Into<String>) -> Fault {
    Fault::new("ValidationException", StatusCode::BAD_REQUEST, message)
}

/// SageMaker answers for a missing job with the code of a wrong request, and each kind of job
/// with words of its own, which waiters and programs look for.
pub(crate) fn of_job(error: &Error) -> Fault {
    let Error::NotFound(job) = error else {
        return Fault::of(table, error.kind(), error);
    };
    validation(match job.kind {
        JobKind::Processing => format!("Could not find requested job with name: {}", job.name),
        JobKind::Training => "Requested resource not found.".to_owned(),
    })
}

pub(crate) fn of_catalog(error: &sightline_catalog::Error) -> Fault {
    Fault::of(table, error.kind(), error)
}

/// An engine's answer that does not fit the model: the server's mistake.
pub(crate) fn mismatch(error: &serde_json::Error) -> Fault {
    Fault::of(table, ErrorKind::Internal, error)
}
