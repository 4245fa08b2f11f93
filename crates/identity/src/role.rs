//! Roles: what jobs and people act as.

use serde_json::Value;
use sightline_meta::resource::Kind;
use sightline_types::{Arn, Timestamp};

/// The name of the role that first start makes, and which `get_execution_role` gives.
pub(crate) const DEFAULT_NAME: &str = "SightlineExecutionRole";

/// Roles in the resource table.
pub(crate) const KIND: Kind = Kind("role");

/// A role.
#[derive(Clone, Debug)]
pub struct Role {
    /// Its name, without a path.
    pub name: String,
    /// Its unique identifier, `AROA…`.
    pub id: String,
    /// Its ARN.
    pub arn: Arn,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who may take it on, as an IAM policy document.
    pub trust: Value,
}
