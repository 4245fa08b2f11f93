//! The words every crate shares: time, account, region, ARN, caller, request context, event, page.
//!
//! This crate does no I/O and knows no protocol and no engine. It stays small, because everything
//! rebuilds when it changes; a type that one engine uses lives in that engine. Start at [`Cx`],
//! the context that travels with each request, and [`Event`], the record that each leaves behind.

mod arn;
mod cx;
mod error_kind;
mod event;
mod ids;
mod page;
mod time;

pub use arn::{Arn, InvalidArn};
pub use cx::{Caller, Cx, OperationName, Recorded, Signed, TlsDetails};
pub use error_kind::ErrorKind;
pub use event::{Event, EventOutcome, ResourceRef};
pub use ids::{AccountId, InvalidId, Region, RequestId};
pub use page::{Page, SortOrder};
pub use time::{Timestamp, TimestampError};
