//! Who a request claims to come from, in either version of AWS's signatures.

use bytes::Bytes;
use http::request::Parts;
use sightline_types::{Signed, Timestamp};
use sightline_wire::sigv4::{
    self, PayloadHash, PayloadHasher, Place, SecretKey, SessionToken, SigV4Error, Verified, sha256,
};
use sightline_wire::{post, sigv2};

/// A signature that is read but not yet believed.
pub(crate) enum Claim {
    V4(sigv4::Presented),
    /// A presigned URL for S3, which knows no other use of this version.
    V2(sigv2::Presented),
    /// The signed policy of a form that uploads to S3.
    Form(post::Presented),
}

/// A signature that is believed, as far as it says something about the body.
pub(crate) enum Proof {
    V4(Box<Verified>),
    V2(PayloadHash),
}

impl Claim {
    /// Reads the signature of a request. What a version 2 URL says as headers becomes headers.
    pub(crate) fn parse(parts: &mut Parts) -> Result<Option<Self>, SigV4Error> {
        match sigv2::Presented::parse(parts)? {
            Some(presented) => Ok(Some(Self::V2(presented))),
            None => Ok(sigv4::Presented::parse(parts)?.map(Self::V4)),
        }
    }

    /// The service that the request is signed for.
    pub(crate) fn service(&self) -> &str {
        match self {
            Self::V4(presented) => &presented.credential.service,
            Self::V2(_) | Self::Form(_) => "s3",
        }
    }

    pub(crate) fn access_key_id(&self) -> &str {
        match self {
            Self::V4(presented) => &presented.credential.access_key_id,
            Self::V2(presented) => &presented.access_key_id,
            Self::Form(presented) => presented.access_key_id(),
        }
    }

    pub(crate) fn session_token(&self) -> Option<&SessionToken> {
        match self {
            Self::V4(presented) => presented.session_token.as_ref(),
            Self::V2(presented) => presented.session_token.as_ref(),
            Self::Form(presented) => presented.session_token.as_ref(),
        }
    }

    /// How the request is signed, as events of S3 tell.
    pub(crate) fn signed(&self) -> Option<Signed> {
        let (version, method) = match self {
            Self::V4(presented) => match presented.place {
                Place::Header => ("SigV4", "AuthHeader"),
                Place::Query => ("SigV4", "QueryString"),
            },
            Self::V2(_) => ("SigV2", "QueryString"),
            Self::Form(_) => ("SigV4", "HtmlForm"),
        };
        (self.service() == "s3").then_some(Signed { version, method })
    }

    /// Checks the scope, where the version has one.
    pub(crate) fn expect_scope(&self, service: &str, regions: &[&str]) -> Result<(), SigV4Error> {
        match self {
            Self::V4(presented) => presented.expect_scope(service, regions),
            Self::V2(_) => Ok(()),
            Self::Form(presented) => presented.expect_scope(service, regions),
        }
    }

    /// Verifies the signature, and the body if it is already whole.
    pub(crate) fn verify(
        &self,
        parts: &Parts,
        whole: Option<&Bytes>,
        secret: &SecretKey,
        now: Timestamp,
    ) -> Result<Proof, SigV4Error> {
        match self {
            Self::V4(presented) => {
                let hash = whole.map(|bytes| sha256(bytes));
                let verified = presented.verify(parts, hash.as_ref(), secret, now)?;
                Ok(Proof::V4(Box::new(verified)))
            }
            Self::V2(presented) => {
                presented.verify(secret, now)?;
                if let Some(bytes) = whole {
                    let mut hasher = PayloadHasher::new(presented.payload);
                    hasher.update(bytes);
                    hasher.finish()?;
                }
                Ok(Proof::V2(presented.payload))
            }
            Self::Form(presented) => {
                presented.verify(secret)?;
                Ok(Proof::V2(PayloadHash::Unsigned))
            }
        }
    }
}
