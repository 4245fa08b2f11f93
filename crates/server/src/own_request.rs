//! What the server does of itself, as the request of the account's owner that activity shows.

use std::sync::Arc;

use sightline_identity::{Error, Identity};
use sightline_ports::Clock;
use sightline_types::{Cx, OperationName, Recorded, RequestId};

/// Where such a request comes from, and with which client.
const SELF: &str = "sightline";

/// A request to S3 that nobody sent.
pub(crate) async fn own_request(
    identity: &Identity,
    clock: &dyn Clock,
    operation: &'static str,
) -> Result<Arc<Cx>, Error> {
    let root = identity.root_key().await?;
    Ok(Arc::new(Cx {
        request_id: RequestId::random(),
        received_at: clock.now(),
        account: identity.account().clone(),
        region: identity.region().clone(),
        caller: root.caller.clone(),
        source: SELF.to_owned(),
        tls: None,
        signed: None,
        user_agent: SELF.to_owned(),
        operation: OperationName {
            source: "s3.amazonaws.com",
            name: operation,
            read_only: false,
        },
        parameters: None,
        recorded: Recorded::default(),
    }))
}
