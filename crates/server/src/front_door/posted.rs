//! Forms at the front door: believed by their policy, and carried out as a write.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode};
use sightline_api::{Body, Fault, Operations, Request, encode_fault};
use sightline_api_s3::POST_OBJECT;
use sightline_identity::AccessKey;
use sightline_types::{OperationName, RequestId};
use sightline_wire::schema::Protocol;
use sightline_wire::sigv4::{SecretKey, SigV4Error};

use super::FrontDoor;
use super::refused::Refused;
use crate::claim::Claim;
use crate::exchange::Exchange;
use crate::form::{self, Posted, Wish};
use crate::peer::Peer;

/// What a form asks for, as activity names it.
const UPLOAD: OperationName = OperationName {
    source: "s3.amazonaws.com",
    name: POST_OBJECT.name,
    read_only: false,
};

impl FrontDoor {
    /// Writes the object that a form uploads, once its policy is believed and allows it.
    pub(super) async fn take_form(
        &self,
        parts: Parts,
        body: Body,
        peer: &Peer,
        id: RequestId,
        exchange: &mut Exchange,
    ) -> Response<Body> {
        let protocol = Protocol::RestXml;
        let refused_id = id.clone();
        let refuse = |fault| encode_fault(protocol, None, fault, &refused_id);
        exchange.asks_for("s3", POST_OBJECT.name);
        let posted = match form::read(&parts, body, self.limits.document_time).await {
            Ok(posted) => posted,
            Err(fault) => return refuse(fault),
        };
        let presented = match posted.form.presented() {
            Ok(presented) => presented,
            Err(error) => return self.unsigned(&parts, error, peer, id).await,
        };
        let (policy, claim) = (presented.policy(), Claim::Form(presented));
        let key = match self.believe_form(&claim, &parts).await {
            Ok(key) => key,
            Err(error) => {
                let asked = (&parts, protocol, UPLOAD);
                let refused = Refused::of(error, &claim, asked, peer, id);
                return self.disbelieved(refused).await;
            }
        };
        match self.gate.admit(&key.caller.arn, self.clock.now()) {
            Ok(place) => exchange.is_of(&key.caller.arn, place),
            Err(throttled) => {
                self.metrics().throttled(throttled.reason());
                return refuse(throttled.fault(protocol));
            }
        }
        let s3 = |operations: &&Operations| operations.service().signing_name == "s3";
        let Some(operations) = self.services.iter().find(s3) else {
            return refuse(Fault::new(
                "NotImplemented",
                StatusCode::NOT_IMPLEMENTED,
                "no S3",
            ));
        };
        let write = policy
            .map_err(|error| form::refused(&error))
            .and_then(|policy| {
                let bucket = Posted::bucket(&parts.uri)?.to_owned();
                let sizes = policy.check(&posted.form, &bucket, self.clock.now());
                let sizes = sizes.map_err(|error| form::refused(&error))?;
                let wish = Wish::of(&posted.form, &bucket, &parts.headers);
                Ok((posted.into_write(parts, &bucket, sizes)?, wish))
            });
        let ((parts, payload), wish) = match write {
            Ok(write) => write,
            Err(fault) => return refuse(fault),
        };
        let mut cx = self.context(&parts, key.caller.clone(), peer, id);
        cx.signed = claim.signed();
        let request = Request {
            operation: &POST_OBJECT,
            protocol,
            parts,
            document: Bytes::new(),
            payload,
            cx,
        };
        wish.grant(operations.call(request).await)
    }

    /// The key that signed a form's policy.
    async fn believe_form(
        &self,
        claim: &Claim,
        parts: &Parts,
    ) -> Result<Arc<AccessKey>, SigV4Error> {
        let key = self.key_of(claim).await?;
        claim.expect_scope("s3", &[self.identity.region().as_str()])?;
        let secret = SecretKey::new(key.secret.reveal());
        claim.verify(parts, None, &secret, self.clock.now())?;
        Ok(key)
    }
}
