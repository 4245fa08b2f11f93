//! CloudTrail: what happened, and the trail that proves it.

mod trail;

use std::sync::Arc;

use http::StatusCode;
use sightline_api::{Fault, Operations};
use sightline_audit::{Attribute, EventsQuery, Recorded};
use sightline_identity::{Identity, Permit};
use sightline_meta::Meta;
use sightline_model_aws::cloudtrail as model;
use sightline_types::ErrorKind;

use crate::App;

/// Events on a page when the request does not say, which is also the most.
const PAGE_DEFAULT: u32 = 50;

pub(crate) fn operations(app: &Arc<App>, identity: &Identity, meta: &Meta) -> Operations {
    let mut on = Operations::new(&model::SERVICE, faults, identity.clone(), meta.clone());
    on.code_member("maxResults", "InvalidMaxResultsException");
    on.serve::<model::LookupEvents, _, _, _>(app, lookup_events);
    trail::operations(&mut on, app);
    on
}

fn faults(kind: ErrorKind) -> (&'static str, StatusCode) {
    match kind {
        ErrorKind::Invalid
        | ErrorKind::PreconditionFailed
        | ErrorKind::NotFound
        | ErrorKind::AlreadyExists
        | ErrorKind::Conflict
        | ErrorKind::LimitExceeded => ("InvalidParameterException", StatusCode::BAD_REQUEST),
        ErrorKind::Denied => ("AccessDeniedException", StatusCode::BAD_REQUEST),
        ErrorKind::Throttled => ("ThrottlingException", StatusCode::BAD_REQUEST),
        ErrorKind::Unsupported => ("UnsupportedOperationException", StatusCode::BAD_REQUEST),
        ErrorKind::Unavailable => ("ServiceUnavailable", StatusCode::SERVICE_UNAVAILABLE),
        ErrorKind::Internal => ("InternalFailure", StatusCode::INTERNAL_SERVER_ERROR),
    }
}

fn invalid(code: &str, text: &str) -> Fault {
    Fault::new(code, StatusCode::BAD_REQUEST, text)
}

async fn lookup_events(
    app: Arc<App>,
    permit: Permit,
    input: model::LookupEventsInput,
) -> Result<model::LookupEventsOutput, Fault> {
    if input.event_category.is_some() {
        return Err(invalid(
            "InvalidEventCategoryException",
            "there are no insight events",
        ));
    }
    let query = EventsQuery {
        attribute: attribute(input.lookup_attributes.unwrap_or_default())?,
        from: input.start_time,
        until: input.end_time,
        limit: input
            .max_results
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(PAGE_DEFAULT),
        token: input.next_token,
    };
    let page = app
        .audit
        .lookup(&permit, query)
        .await
        .map_err(|error| lookup_fault(&error))?;
    Ok(model::LookupEventsOutput {
        events: Some(page.items.into_iter().map(event).collect()),
        next_token: page.next_token,
    })
}

/// What CloudTrail says of a question that it cannot answer.
fn lookup_fault(error: &sightline_audit::Error) -> Fault {
    if matches!(error, sightline_audit::Error::EmptyRange { .. }) {
        return invalid("InvalidTimeRangeException", &error.to_string());
    }
    if matches!(error, sightline_audit::Error::InvalidToken) {
        return invalid("InvalidNextTokenException", "The next token is invalid.");
    }
    Fault::of(faults, error.kind(), error)
}

/// CloudTrail takes one condition at most.
fn attribute(attributes: Vec<model::LookupAttribute>) -> Result<Option<Attribute>, Fault> {
    if 1 < attributes.len() {
        let text = "You can specify only one lookup attribute.";
        return Err(invalid("InvalidLookupAttributesException", text));
    }
    let Some(wanted) = attributes.into_iter().next() else {
        return Ok(None);
    };
    let value = wanted.attribute_value;
    use model::LookupAttributeKey as Key;
    Ok(Some(match wanted.attribute_key {
        Key::EventId => Attribute::Id(value),
        Key::EventName => Attribute::Name(value),
        Key::ReadOnly => match value.as_str() {
            "true" => Attribute::ReadOnly(true),
            "false" => Attribute::ReadOnly(false),
            _ => {
                let text = "The value of ReadOnly is true or false.";
                return Err(invalid("InvalidLookupAttributesException", text));
            }
        },
        Key::Username => Attribute::UserName(value),
        Key::ResourceType => Attribute::ResourceKind(value),
        Key::ResourceName => Attribute::ResourceName(value),
        Key::EventSource => Attribute::Source(value),
        Key::AccessKeyId => Attribute::AccessKeyId(value),
    }))
}

fn event(recorded: Recorded) -> model::Event {
    let resources = recorded
        .resources
        .into_iter()
        .map(|(kind, name)| model::Resource {
            resource_type: Some(kind),
            resource_name: Some(name),
        });
    model::Event {
        event_id: Some(recorded.id),
        event_name: Some(recorded.name),
        read_only: Some(recorded.read_only.to_string()),
        access_key_id: Some(recorded.access_key_id),
        event_time: Some(recorded.at),
        event_source: Some(recorded.source),
        username: Some(recorded.user_name),
        resources: Some(resources.collect()),
        cloud_trail_event: Some(recorded.text),
    }
}
