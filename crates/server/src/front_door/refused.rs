//! Requests that nobody is proven to have made: answered at once, and recorded within bounds.
//!
//! Anybody can send them, so only so many of a minute are events; the others are counted, and the
//! next event of the same reason tells how many there were.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::Response;
use http::request::Parts;
use serde_json::json;
use sightline_api::{Body, Fault, encode_fault};
use sightline_types::{Caller, Cx, Event, EventOutcome, OperationName, RequestId, Timestamp};
use sightline_wire::schema::Protocol;
use sightline_wire::sigv4::SigV4Error;

use super::{FrontDoor, UNKNOWN_OPERATION, answer_of, apparent_protocol, internal};
use crate::claim::Claim;
use crate::payload::fault_of;
use crate::peer::Peer;

/// Refusals of one reason that are recorded in a minute: enough to see what is tried, and at a
/// kilobyte each no more than 15 MB a day.
const RECORDED_PER_MINUTE: u32 = 10;

/// The span of the bound, in milliseconds.
const MINUTE: i64 = 60_000;

/// Characters of a claimed key that are kept; those of AWS have 20 and may have 128.
const CLAIMED_CHARS_MAX: usize = 128;

/// A request whose signature does not hold.
pub(super) struct Refused<'r> {
    pub(super) error: SigV4Error,
    /// What was claimed, if it could be read.
    pub(super) claim: Option<&'r Claim>,
    pub(super) parts: &'r Parts,
    pub(super) protocol: Protocol,
    /// What was asked for, if that is known.
    pub(super) operation: OperationName,
    pub(super) peer: &'r Peer,
    pub(super) id: RequestId,
}

impl<'r> Refused<'r> {
    /// A request whose claim could be read.
    pub(super) fn of(
        error: SigV4Error,
        claim: &'r Claim,
        (parts, protocol, operation): (&'r Parts, Protocol, OperationName),
        peer: &'r Peer,
        id: RequestId,
    ) -> Self {
        Self {
            error,
            claim: Some(claim),
            parts,
            protocol,
            operation,
            peer,
            id,
        }
    }
}

/// What was recorded of late, by the code of the answer, of which there are few.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<HashMap<&'static str, Reason>>);

#[derive(Debug, Default)]
struct Reason {
    minute: i64,
    recorded: u32,
    /// Refusals since the last that was recorded.
    unrecorded: u64,
}

impl Refusals {
    /// Whether one more refusal is recorded, and how many were not since the one before it.
    fn admit(&self, code: &'static str, now: Timestamp) -> Option<u64> {
        let mut reasons = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reason = reasons.entry(code).or_default();
        let minute = now.millis().div_euclid(MINUTE);
        if reason.minute != minute {
            (reason.minute, reason.recorded) = (minute, 0);
        }
        if RECORDED_PER_MINUTE <= reason.recorded {
            reason.unrecorded = reason.unrecorded.saturating_add(1);
            return None;
        }
        reason.recorded += 1;
        Some(std::mem::take(&mut reason.unrecorded))
    }
}

impl FrontDoor {
    /// Answers a request whose signature does not hold.
    pub(super) async fn disbelieved(&self, refused: Refused<'_>) -> Response<Body> {
        let (error, source) = (&refused.error, &refused.peer.source);
        if let Some(key) = refused.claim.map(Claim::access_key_id) {
            // A claimed key is anyone's text, so line ends in it are escaped.
            tracing::warn!(%error, ?key, %source, "a signature was refused");
        }
        let answer = answer_of(error, refused.protocol);
        self.metrics().signature_refused(answer.code);
        let (code, fault) = (answer.code, fault_of(answer));
        let fault = match self.record_refusal(&refused, code, &fault).await {
            Ok(()) => fault,
            Err(error) => Fault::of(internal, error.kind(), &error),
        };
        encode_fault(refused.protocol, None, fault, &refused.id)
    }

    /// Answers a request that is not signed, or not readably so, in the protocol it seems to be.
    pub(super) async fn unsigned(
        &self,
        parts: &Parts,
        error: SigV4Error,
        peer: &Peer,
        id: RequestId,
    ) -> Response<Body> {
        let refused = Refused {
            protocol: apparent_protocol(parts, matches!(error, SigV4Error::Version2(_))),
            error,
            claim: None,
            parts,
            operation: UNKNOWN_OPERATION,
            peer,
            id,
        };
        self.disbelieved(refused).await
    }

    async fn record_refusal(
        &self,
        refused: &Refused<'_>,
        code: &'static str,
        fault: &Fault,
    ) -> Result<(), sightline_meta::MetaError> {
        let Some(unrecorded) = self.refusals.admit(code, self.clock.now()) else {
            return Ok(());
        };
        let nobody = Caller {
            arn: String::new(),
            user_id: String::new(),
            user_name: String::new(),
            access_key_id: String::new(),
            session_began: None,
        };
        let claimed = refused.claim.map(|claim| {
            let key = claim.access_key_id().chars().take(CLAIMED_CHARS_MAX);
            key.collect::<String>()
        });
        let cx = Cx {
            operation: refused.operation,
            parameters: Some(Arc::new(json!({
                "claimedAccessKeyId": claimed,
                "similarRefusalsNotRecorded": unrecorded,
            }))),
            ..self.context(refused.parts, nobody, refused.peer, refused.id.clone())
        };
        let outcome = EventOutcome::Failure {
            code: fault.code.clone(),
            message: fault.message.clone(),
        };
        self.meta.record(&Event::of(&Arc::new(cx), outcome)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_of_a_minute_are_recorded_and_the_next_tells_of_the_others() {
        let refusals = Refusals::default();
        let at = |millis| Timestamp::from_millis(millis);
        let admitted = |code, now| refusals.admit(code, at(now));
        for _ in 0..RECORDED_PER_MINUTE {
            assert_eq!(admitted("AccessDenied", 1), Some(0));
        }
        for _ in 0..7 {
            assert_eq!(admitted("AccessDenied", MINUTE - 1), None);
        }
        assert_eq!(admitted("SignatureDoesNotMatch", 2), Some(0));
        assert_eq!(admitted("AccessDenied", MINUTE), Some(7));
        assert_eq!(admitted("AccessDenied", MINUTE + 1), Some(0));
    }
}
