//! CloudWatch Logs: groups, streams and lines.

use std::sync::Arc;

use http::StatusCode;
use sightline_api::{Fault, Operations};
use sightline_identity::{Identity, Permit};
use sightline_meta::Meta;
use sightline_model_aws::logs as model;
use sightline_telemetry::{
    Direction, EVENTS_MAX, Error, EventsQuery, LogGroup, LogStream, Start, StreamOrder,
    StreamsQuery, Telemetry,
};
use sightline_types::{Cx, ErrorKind, Timestamp};

use crate::App;

/// Groups or streams on a page when the request does not say.
const PAGE_DEFAULT: u32 = 50;

pub(crate) fn operations(app: &Arc<App>, identity: &Identity, meta: &Meta) -> Operations {
    let mut on = Operations::new(&model::SERVICE, faults, identity.clone(), meta.clone());
    on.serve::<model::DescribeLogGroups, _, _, _>(app, describe_log_groups);
    on.serve::<model::DescribeLogStreams, _, _, _>(app, describe_log_streams);
    on.serve::<model::GetLogEvents, _, _, _>(app, get_log_events);
    on
}

fn faults(kind: ErrorKind) -> (&'static str, StatusCode) {
    match kind {
        ErrorKind::Invalid | ErrorKind::PreconditionFailed | ErrorKind::Unsupported => {
            ("InvalidParameterException", StatusCode::BAD_REQUEST)
        }
        ErrorKind::NotFound => ("ResourceNotFoundException", StatusCode::BAD_REQUEST),
        ErrorKind::AlreadyExists => ("ResourceAlreadyExistsException", StatusCode::BAD_REQUEST),
        ErrorKind::Conflict => ("OperationAbortedException", StatusCode::BAD_REQUEST),
        ErrorKind::LimitExceeded => ("LimitExceededException", StatusCode::BAD_REQUEST),
        ErrorKind::Denied => ("AccessDeniedException", StatusCode::BAD_REQUEST),
        ErrorKind::Throttled => ("ThrottlingException", StatusCode::BAD_REQUEST),
        ErrorKind::Unavailable => (
            "ServiceUnavailableException",
            StatusCode::SERVICE_UNAVAILABLE,
        ),
        ErrorKind::Internal => ("InternalFailure", StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// What is missing is named in the service's own words.
fn fault(error: &Error) -> Fault {
    let missing =
        |text: &str| Fault::new("ResourceNotFoundException", StatusCode::BAD_REQUEST, text);
    match error {
        Error::GroupNotFound(_) => missing("The specified log group does not exist."),
        Error::StreamNotFound { .. } => missing("The specified log stream does not exist."),
        Error::InvalidToken => {
            let text = "The specified nextToken is invalid.";
            Fault::new("InvalidParameterException", StatusCode::BAD_REQUEST, text)
        }
        Error::Meta(_) => Fault::of(faults, error.kind(), error),
    }
}

fn invalid(text: &str) -> Fault {
    Fault::new("InvalidParameterException", StatusCode::BAD_REQUEST, text)
}

async fn describe_log_groups(
    app: Arc<App>,
    permit: Permit,
    input: model::DescribeLogGroupsInput,
) -> Result<model::DescribeLogGroupsOutput, Fault> {
    if input.log_group_name_pattern.is_some() || input.log_group_identifiers.is_some() {
        return Err(invalid(
            "log groups can be listed by logGroupNamePrefix only",
        ));
    }
    let prefix = input.log_group_name_prefix.unwrap_or_default();
    let after = input.next_token.unwrap_or_default();
    let limit = limit(input.limit, PAGE_DEFAULT);
    let listed = app.telemetry.groups(&permit, &prefix, &after, limit).await;
    let page = listed.map_err(|error| fault(&error))?;
    let cx = permit.cx();
    let groups = page
        .items
        .into_iter()
        .map(|group| group_of(group, cx))
        .collect();
    Ok(model::DescribeLogGroupsOutput {
        log_groups: Some(groups),
        next_token: page.next_token,
    })
}

async fn describe_log_streams(
    app: Arc<App>,
    permit: Permit,
    input: model::DescribeLogStreamsInput,
) -> Result<model::DescribeLogStreamsOutput, Fault> {
    let group = group_name(input.log_group_name, input.log_group_identifier)?;
    let order = match input.order_by {
        Some(model::OrderBy::LastEventTime) => StreamOrder::LastEvent,
        Some(model::OrderBy::LogStreamName) | None => StreamOrder::Name,
    };
    let prefix = input.log_stream_name_prefix.unwrap_or_default();
    if order == StreamOrder::LastEvent && !prefix.is_empty() {
        return Err(invalid(
            "Cannot order by LastEventTime with a logStreamNamePrefix.",
        ));
    }
    let query = StreamsQuery {
        group: group.clone(),
        prefix,
        order,
        descending: input.descending.unwrap_or(false),
        limit: limit(input.limit, PAGE_DEFAULT),
        token: input.next_token,
    };
    let listed = app.telemetry.streams(&permit, query).await;
    let page = listed.map_err(|error| fault(&error))?;
    let cx = permit.cx();
    let streams = page
        .items
        .into_iter()
        .map(|stream| stream_of(stream, &group, cx))
        .collect();
    Ok(model::DescribeLogStreamsOutput {
        log_streams: Some(streams),
        next_token: page.next_token,
    })
}

async fn get_log_events(
    app: Arc<App>,
    permit: Permit,
    input: model::GetLogEventsInput,
) -> Result<model::GetLogEventsOutput, Fault> {
    let end = match input.start_from_head {
        Some(true) => Direction::FromHead,
        Some(false) | None => Direction::FromTail,
    };
    let query = EventsQuery {
        group: group_name(input.log_group_name, input.log_group_identifier)?,
        stream: input.log_stream_name,
        start: input.next_token.map_or(Start::End(end), Start::Token),
        from: input.start_time.map(Timestamp::from_millis),
        until: input.end_time.map(Timestamp::from_millis),
        limit: limit(input.limit, EVENTS_MAX),
    };
    let read = app.telemetry.events(&permit, query).await;
    let page = read.map_err(|error| fault(&error))?;
    let event = |event: sightline_telemetry::LogEvent| model::OutputLogEvent {
        timestamp: Some(event.at.millis()),
        ingestion_time: Some(event.ingested_at.millis()),
        message: Some(event.message),
    };
    Ok(model::GetLogEventsOutput {
        events: Some(page.events.into_iter().map(event).collect()),
        next_forward_token: Some(page.forward_token),
        next_backward_token: Some(page.backward_token),
    })
}

/// A group is named by its name, or by its name or ARN as an identifier.
fn group_name(name: Option<String>, identifier: Option<String>) -> Result<String, Fault> {
    match (name, identifier) {
        (Some(name), None) => Ok(name),
        (None, Some(identifier)) => {
            let named = identifier
                .split_once(":log-group:")
                .map(|(_, name)| name.to_owned());
            let named = named.unwrap_or(identifier);
            Ok(named.trim_end_matches(":*").to_owned())
        }
        (Some(_), Some(_)) | (None, None) => Err(invalid(
            "Exactly one of logGroupName and logGroupIdentifier is required.",
        )),
    }
}

fn limit(asked: Option<i32>, default: u32) -> u32 {
    asked.and_then(|n| u32::try_from(n).ok()).unwrap_or(default)
}

fn bytes(count: u64) -> Option<i64> {
    i64::try_from(count).ok()
}

fn group_of(group: LogGroup, cx: &Cx) -> model::LogGroup {
    let arn = Telemetry::group_arn(&cx.region, &cx.account, &group.name);
    model::LogGroup {
        arn: Some(arn.to_string()),
        log_group_arn: Some(arn.as_str().trim_end_matches(":*").to_owned()),
        creation_time: Some(group.created_at.millis()),
        stored_bytes: bytes(group.stored_bytes),
        metric_filter_count: Some(0),
        log_group_class: Some(model::LogGroupClass::Standard),
        log_group_name: Some(group.name),
        ..model::LogGroup::default()
    }
}

fn stream_of(stream: LogStream, group: &str, cx: &Cx) -> model::LogStream {
    let millis = |time: Option<Timestamp>| time.map(Timestamp::millis);
    let group = Telemetry::group_arn(&cx.region, &cx.account, group);
    let group = group.as_str().trim_end_matches('*');
    model::LogStream {
        arn: Some(format!("{group}log-stream:{}", stream.name)),
        creation_time: Some(stream.created_at.millis()),
        first_event_timestamp: millis(stream.first_event_at),
        last_event_timestamp: millis(stream.last_event_at),
        last_ingestion_time: millis(stream.last_ingested_at),
        stored_bytes: bytes(stream.stored_bytes),
        upload_sequence_token: None,
        log_stream_name: Some(stream.name),
    }
}
