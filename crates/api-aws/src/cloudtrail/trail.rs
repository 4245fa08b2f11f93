//! The trail that every server has, and the keys that sign its digests.

use std::sync::Arc;

use http::StatusCode;
use sightline_api::{Fault, Operations};
use sightline_audit::{Error, PublicKey, TRAIL_NAME, Trail};
use sightline_identity::Permit;
use sightline_model_aws::cloudtrail as model;
use sightline_types::Timestamp;

use crate::App;

use super::{faults, invalid};

pub(super) fn operations(on: &mut Operations, app: &Arc<App>) {
    on.serve::<model::DescribeTrails, _, _, _>(app, describe_trails);
    on.serve::<model::GetTrail, _, _, _>(app, get_trail);
    on.serve::<model::GetTrailStatus, _, _, _>(app, get_trail_status);
    on.serve::<model::ListPublicKeys, _, _, _>(app, list_public_keys);
    on.serve::<model::ListTrails, _, _, _>(app, list_trails);
}

async fn describe_trails(
    app: Arc<App>,
    _permit: Permit,
    input: model::DescribeTrailsInput,
) -> Result<model::DescribeTrailsOutput, Fault> {
    let trail = app.audit.trail();
    let wanted = input.trail_name_list.unwrap_or_default();
    let asked_for = wanted.is_empty() || wanted.iter().any(|name| trail.is_called(name));
    Ok(model::DescribeTrailsOutput {
        trail_list: Some(asked_for.then(|| described(trail)).into_iter().collect()),
    })
}

async fn get_trail(
    app: Arc<App>,
    _permit: Permit,
    input: model::GetTrailInput,
) -> Result<model::GetTrailOutput, Fault> {
    Ok(model::GetTrailOutput {
        trail: Some(described(called(&app, &input.name)?)),
    })
}

async fn get_trail_status(
    app: Arc<App>,
    permit: Permit,
    input: model::GetTrailStatusInput,
) -> Result<model::GetTrailStatusOutput, Fault> {
    called(&app, &input.name)?;
    let status = app.audit.trail_status(&permit).await;
    let status = status.map_err(|error| Fault::of(faults, error.kind(), &error))?;
    let text = |at: Timestamp| at.format("%Y-%m-%dT%H:%M:%SZ");
    let delivered_at = status.as_ref().and_then(|status| status.delivered_at);
    let started_at = status.as_ref().map(|status| status.started_at);
    Ok(model::GetTrailStatusOutput {
        is_logging: Some(true),
        latest_delivery_time: delivered_at,
        latest_delivery_attempt_time: delivered_at.map(text),
        latest_delivery_attempt_succeeded: delivered_at.map(text),
        latest_digest_delivery_time: status.as_ref().map(|status| status.digested_until),
        start_logging_time: started_at,
        time_logging_started: started_at.map(text),
        ..empty_status()
    })
}

fn empty_status() -> model::GetTrailStatusOutput {
    model::GetTrailStatusOutput {
        is_logging: None,
        latest_delivery_error: None,
        latest_notification_error: None,
        latest_delivery_time: None,
        latest_notification_time: None,
        start_logging_time: None,
        stop_logging_time: None,
        latest_cloud_watch_logs_delivery_error: None,
        latest_cloud_watch_logs_delivery_time: None,
        latest_digest_delivery_time: None,
        latest_digest_delivery_error: None,
        latest_delivery_attempt_time: None,
        latest_notification_attempt_time: None,
        latest_notification_attempt_succeeded: None,
        latest_delivery_attempt_succeeded: None,
        time_logging_started: None,
        time_logging_stopped: None,
    }
}

async fn list_public_keys(
    app: Arc<App>,
    permit: Permit,
    input: model::ListPublicKeysInput,
) -> Result<model::ListPublicKeysOutput, Fault> {
    no_token(input.next_token)?;
    let keys = app
        .audit
        .public_keys(&permit, input.start_time, input.end_time)
        .await;
    let keys = keys.map_err(|error| {
        if matches!(error, Error::EmptyRange { .. }) {
            return invalid("InvalidTimeRangeException", &error.to_string());
        }
        Fault::of(faults, error.kind(), &error)
    })?;
    Ok(model::ListPublicKeysOutput {
        public_key_list: Some(keys.into_iter().map(listed).collect()),
        next_token: None,
    })
}

async fn list_trails(
    app: Arc<App>,
    _permit: Permit,
    input: model::ListTrailsInput,
) -> Result<model::ListTrailsOutput, Fault> {
    no_token(input.next_token)?;
    let trail = app.audit.trail();
    Ok(model::ListTrailsOutput {
        trails: Some(vec![model::TrailInfo {
            trail_arn: Some(trail.arn.to_string()),
            name: Some(TRAIL_NAME.to_owned()),
            home_region: Some(trail.region().to_string()),
        }]),
        next_token: None,
    })
}

/// Answers are whole, so no token is one of ours.
fn no_token(token: Option<String>) -> Result<(), Fault> {
    match token {
        None => Ok(()),
        Some(_) => Err(invalid(
            "InvalidTokenException",
            "The next token is invalid.",
        )),
    }
}

fn called<'a>(app: &'a App, name: &str) -> Result<&'a Trail, Fault> {
    let trail = app.audit.trail();
    if trail.is_called(name) {
        return Ok(trail);
    }
    let text = format!("Unknown trail: {name} for the user: {}", trail.account());
    Err(Fault::new(
        "TrailNotFoundException",
        StatusCode::BAD_REQUEST,
        text,
    ))
}

fn described(trail: &Trail) -> model::Trail {
    model::Trail {
        name: Some(TRAIL_NAME.to_owned()),
        s3_bucket_name: Some(trail.bucket.to_string()),
        include_global_service_events: Some(true),
        is_multi_region_trail: Some(false),
        home_region: Some(trail.region().to_string()),
        trail_arn: Some(trail.arn.to_string()),
        log_file_validation_enabled: Some(true),
        has_custom_event_selectors: Some(false),
        has_insight_selectors: Some(false),
        is_organization_trail: Some(false),
        s3_key_prefix: None,
        sns_topic_name: None,
        sns_topic_arn: None,
        cloud_watch_logs_log_group_arn: None,
        cloud_watch_logs_role_arn: None,
        kms_key_id: None,
        recursive_logging: None,
    }
}

fn listed(key: PublicKey) -> model::PublicKey {
    model::PublicKey {
        value: Some(key.base64),
        validity_start_time: Some(key.valid_from),
        validity_end_time: key.valid_until,
        fingerprint: Some(key.fingerprint),
    }
}
