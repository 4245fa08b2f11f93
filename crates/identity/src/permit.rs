//! The proof that a decision was made.

use std::sync::Arc;

use sightline_types::{Arn, Cx, Event, EventOutcome};

/// Proof that the caller of `cx` may do one action on one resource.
///
/// Its fields are private to this crate: holding one means that identity decided.
#[derive(Clone, Debug)]
pub struct Permit {
    cx: Arc<Cx>,
    action: &'static str,
    resource: Arn,
}

impl Permit {
    pub(crate) fn mint(cx: Arc<Cx>, action: &'static str, resource: Arn) -> Self {
        Self {
            cx,
            action,
            resource,
        }
    }

    /// The request that this permit was given for.
    #[must_use]
    pub fn cx(&self) -> &Arc<Cx> {
        &self.cx
    }

    /// The action permitted, such as `s3:GetObject`.
    #[must_use]
    pub fn action(&self) -> &'static str {
        self.action
    }

    /// The resource that it is permitted on.
    #[must_use]
    pub fn resource(&self) -> &Arn {
        &self.resource
    }

    /// Marks in debug builds an engine method reached with a permit for something else.
    pub fn expect_action(&self, action: &str) {
        debug_assert_eq!(self.action, action, "the permit is for another action");
    }

    /// The event of the request's success, for the transaction that makes it true.
    ///
    /// From here on the engine answers for recording it; the front door will not.
    #[must_use]
    pub fn event(&self) -> Event {
        self.cx.recorded.set();
        Event::of(&self.cx, EventOutcome::Success)
    }
}
