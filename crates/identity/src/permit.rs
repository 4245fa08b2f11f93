//! The proof that a decision was made.

use std::sync::Arc;

use sightline_types::{Arn, Cx, Event, EventOutcome, OperationName};

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

    /// A permit of the platform's own, whose event carries the name of `action`.
    pub(crate) fn of_platform(cx: &Cx, action: &'static str, resource: Arn) -> Self {
        let cx = Arc::new(cx.of_operation(operation_of(action)));
        Self::mint(cx, action, resource)
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

/// What the platform does is named like the permission for it.
fn operation_of(action: &'static str) -> OperationName {
    let (service, name) = action.split_once(':').unwrap_or(("", action));
    OperationName {
        source: match service {
            "s3" => "s3.amazonaws.com",
            "logs" => "logs.amazonaws.com",
            _ => "sagemaker.amazonaws.com",
        },
        name,
        read_only: ["Get", "List", "Describe"]
            .iter()
            .any(|verb| name.starts_with(verb)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_platform_does_is_named_like_its_permission() {
        let cases = [
            ("s3:PutObject", "s3.amazonaws.com", "PutObject", false),
            ("s3:GetObject", "s3.amazonaws.com", "GetObject", true),
            (
                "logs:PutLogEvents",
                "logs.amazonaws.com",
                "PutLogEvents",
                false,
            ),
        ];
        for (action, source, name, read_only) in cases {
            let expected = OperationName {
                source,
                name,
                read_only,
            };
            assert_eq!(operation_of(action), expected);
        }
    }
}
