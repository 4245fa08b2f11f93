//! The credential: an access key id and the scope that its signature is good for.

use super::error::{Place, ScopeFault, SigV4Error, clip};
use super::{Presented, TERMINATOR};

/// The longest access key id AWS allows (its own are 20 characters).
const ACCESS_KEY_ID_BYTES_MAX: usize = 128;

/// Who claims to have signed, and for which day, region and service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The public half of the key pair.
    pub access_key_id: Box<str>,
    /// The day, as eight digits.
    pub date: Box<str>,
    /// The region signed for; global services such as IAM sign for `us-east-1`.
    pub region: Box<str>,
    /// The service signed for, by which a front door routes.
    pub service: Box<str>,
}

impl Credential {
    /// Reads `<access key id>/<date>/<region>/<service>/aws4_request`.
    pub(crate) fn parse(text: &str, place: Place) -> Result<Self, SigV4Error> {
        let malformed = || SigV4Error::MalformedCredential {
            place,
            got: clip(text),
        };
        let mut parts = text.split('/');
        let mut part = || {
            parts
                .next()
                .filter(|part| !part.is_empty())
                .ok_or_else(malformed)
        };
        let (access_key_id, date, region, service) = (part()?, part()?, part()?, part()?);
        let terminator = part()?;
        if parts.next().is_some() || access_key_id.len() > ACCESS_KEY_ID_BYTES_MAX {
            return Err(malformed());
        }
        let fault = |fault| SigV4Error::Scope { place, fault };
        if terminator != TERMINATOR {
            return Err(fault(ScopeFault::Terminator {
                got: clip(terminator),
            }));
        }
        if date.len() != 8 || !date.bytes().all(|b| b.is_ascii_digit()) {
            return Err(fault(ScopeFault::DateFormat { got: clip(date) }));
        }
        Ok(Self {
            access_key_id: access_key_id.into(),
            date: date.into(),
            region: region.into(),
            service: service.into(),
        })
    }

    /// Whether S3's rules for paths and payloads apply.
    #[must_use]
    pub fn is_s3(&self) -> bool {
        &*self.service == "s3"
    }

    /// The scope as strings to sign name it: the credential without its access key id.
    pub(crate) fn scope(&self) -> String {
        let Self {
            date,
            region,
            service,
            ..
        } = self;
        format!("{date}/{region}/{service}/{TERMINATOR}")
    }
}

impl Presented {
    /// Checks that the signature is meant for `service` in one of `regions`.
    ///
    /// Global services take two regions: their clients sign for `us-east-1` wherever they are.
    pub fn expect_scope(&self, service: &str, regions: &[&str]) -> Result<(), SigV4Error> {
        self.credential.expect(self.place, service, regions)
    }
}

impl Credential {
    /// The same of a credential that was found in `place`.
    pub(crate) fn expect(
        &self,
        place: Place,
        service: &str,
        regions: &[&str],
    ) -> Result<(), SigV4Error> {
        let Self {
            region,
            service: got,
            ..
        } = self;
        let fault = |fault| SigV4Error::Scope { place, fault };
        if &**got != service {
            let expected = service.to_owned();
            return Err(fault(ScopeFault::Service {
                got: clip(got),
                expected,
            }));
        }
        if !regions.contains(&&**region) {
            let expected = regions.first().copied().unwrap_or_default().to_owned();
            return Err(fault(ScopeFault::Region {
                got: clip(region),
                expected,
            }));
        }
        Ok(())
    }
}
