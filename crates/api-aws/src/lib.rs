//! The smaller services: STS, IAM, CloudWatch Logs and CloudTrail.
//!
//! Handlers convert, act and convert; all else happens in [`sightline_api::Operations`]. One file
//! for each service while each has few operations.

mod cloudtrail;
mod iam;
mod logs;
mod sts;

use std::sync::Arc;

use sightline_api::Operations;
use sightline_audit::Audit;
use sightline_identity::Identity;
use sightline_meta::Meta;
use sightline_telemetry::Telemetry;

/// The engines behind the handlers.
#[derive(Debug)]
pub struct App {
    /// Keys and roles.
    pub identity: Identity,
    /// Logs.
    pub telemetry: Telemetry,
    /// Activity.
    pub audit: Audit,
}

/// What these services serve.
#[must_use]
pub fn operations(app: &Arc<App>, identity: &Identity, meta: &Meta) -> Vec<Operations> {
    vec![
        sts::operations(app, identity, meta),
        iam::operations(app, identity, meta),
        logs::operations(app, identity, meta),
        cloudtrail::operations(app, identity, meta),
    ]
}
