//! Reading what a request presents as its signature, before any key is known.

use std::borrow::Cow;
use std::time::Duration;

use http::HeaderMap;
use http::request::Parts;
use percent_encoding::percent_decode_str;
use sightline_types::Timestamp;

use super::error::{Place, ScopeFault, SigV4Error, clip};
use super::{ALGORITHM, Credential, EXPIRES_SECONDS_MAX, PayloadHash, SessionToken};

/// A signature as presented: readable and complete, but not yet believed.
#[derive(Clone, Debug)]
pub struct Presented {
    /// Who claims to have signed, and for what.
    pub credential: Credential,
    /// Where the signature was found.
    pub place: Place,
    /// When the client signed, by its clock.
    pub signed_at: Timestamp,
    /// The life that the signer gave a presigned URL.
    pub expires: Option<Duration>,
    /// The token of temporary keys, which the caller compares with the session's.
    pub session_token: Option<SessionToken>,
    /// What is declared about the body; services other than S3 need not declare it.
    pub payload: Option<PayloadHash>,
    /// `signed_at` in the basic ISO 8601 form that strings to sign hold.
    pub(super) date: String,
    /// Names joined by `;`, known to be in ascending order without repetition.
    pub(super) signed_headers: Box<str>,
    pub(super) signature: Box<str>,
}

impl Presented {
    /// Reads the signature of a request; `None` if it presents none.
    pub fn parse(parts: &Parts) -> Result<Option<Self>, SigV4Error> {
        let in_query = QueryAuth::read(parts.uri.query().unwrap_or_default())?;
        let in_header =
            single(&parts.headers, "authorization").map_err(|name| SigV4Error::Malformed {
                place: Place::Header,
                name,
            })?;
        match (in_header, in_query) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(SigV4Error::TwoMechanisms),
            (Some(text), None) => from_header(text, &parts.headers).map(Some),
            (None, Some(query)) => query.into_presented(&parts.headers).map(Some),
        }
    }

    pub(super) fn signs(&self, header: &str) -> bool {
        self.signed_headers.split(';').any(|name| name == header)
    }
}

fn from_header(text: &[u8], headers: &HeaderMap) -> Result<Presented, SigV4Error> {
    let place = Place::Header;
    let malformed = |name| SigV4Error::Malformed { place, name };
    let text = std::str::from_utf8(text).map_err(|_| malformed("Authorization"))?;
    let (scheme, fields) = text.split_once(' ').unwrap_or((text, ""));
    if scheme != ALGORITHM {
        // Without a space the text may be a bare secret, which no answer or log may repeat.
        let scheme = if fields.is_empty() {
            String::new()
        } else {
            clip(scheme)
        };
        return Err(SigV4Error::UnsupportedScheme { place, scheme });
    }
    let (mut credential, mut signed_headers, mut signature) = (None, None, None);
    for field in fields.split(',') {
        let (name, value) = field
            .trim()
            .split_once('=')
            .ok_or_else(|| malformed("Authorization"))?;
        let slot = match name {
            "Credential" => &mut credential,
            "SignedHeaders" => &mut signed_headers,
            "Signature" => &mut signature,
            _ => return Err(malformed("Authorization")),
        };
        if slot.replace(value).is_some() {
            return Err(malformed("Authorization"));
        }
    }
    let (Some(credential), Some(signed_headers), Some(signature)) =
        (credential, signed_headers, signature)
    else {
        let wanted = [
            ("Credential", credential),
            ("SignedHeaders", signed_headers),
            ("Signature", signature),
        ];
        return Err(incomplete(
            place,
            wanted.map(|(name, value)| (name, value.is_some())),
        ));
    };
    let credential = Credential::parse(credential, place)?;
    let (date, signed_at) = header_date(headers)?;
    check_scope_date(&credential, &date, place)?;
    Ok(Presented {
        credential,
        place,
        signed_at,
        expires: None,
        session_token: header_token(headers)?,
        payload: declared_payload(headers)?,
        date,
        signed_headers: check_signed_headers(signed_headers, place)?.into(),
        signature: signature.into(),
    })
}

/// The signature parameters of a query, decoded.
#[derive(Default)]
struct QueryAuth<'a> {
    algorithm: Option<Cow<'a, str>>,
    credential: Option<Cow<'a, str>>,
    date: Option<Cow<'a, str>>,
    expires: Option<Cow<'a, str>>,
    signed_headers: Option<Cow<'a, str>>,
    signature: Option<Cow<'a, str>>,
    token: Option<Cow<'a, str>>,
    payload: Option<Cow<'a, str>>,
}

impl<'a> QueryAuth<'a> {
    /// Collects the parameters; `None` for a query that is not signed.
    fn read(query: &'a str) -> Result<Option<Self>, SigV4Error> {
        let mut auth = Self::default();
        let mut version_2 = false;
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, slot) = match name {
                "X-Amz-Algorithm" => ("X-Amz-Algorithm", &mut auth.algorithm),
                "X-Amz-Credential" => ("X-Amz-Credential", &mut auth.credential),
                "X-Amz-Date" => ("X-Amz-Date", &mut auth.date),
                "X-Amz-Expires" => ("X-Amz-Expires", &mut auth.expires),
                "X-Amz-SignedHeaders" => ("X-Amz-SignedHeaders", &mut auth.signed_headers),
                "X-Amz-Signature" => ("X-Amz-Signature", &mut auth.signature),
                "X-Amz-Security-Token" => ("X-Amz-Security-Token", &mut auth.token),
                "X-Amz-Content-Sha256" => ("X-Amz-Content-Sha256", &mut auth.payload),
                "AWSAccessKeyId" => {
                    version_2 = true;
                    continue;
                }
                _ => continue,
            };
            let malformed = || SigV4Error::Malformed {
                place: Place::Query,
                name,
            };
            let value = percent_decode_str(value)
                .decode_utf8()
                .map_err(|_| malformed())?;
            if slot.replace(value).is_some() {
                return Err(malformed());
            }
        }
        let signed =
            auth.algorithm.is_some() || auth.credential.is_some() || auth.signature.is_some();
        if version_2 && !signed {
            let scheme = "AWS".to_owned();
            return Err(SigV4Error::UnsupportedScheme {
                place: Place::Query,
                scheme,
            });
        }
        Ok(signed.then_some(auth))
    }

    fn into_presented(self, headers: &HeaderMap) -> Result<Presented, SigV4Error> {
        let place = Place::Query;
        if let Some(scheme) = self.algorithm.as_deref().filter(|text| *text != ALGORITHM) {
            return Err(SigV4Error::UnsupportedScheme {
                place,
                scheme: clip(scheme),
            });
        }
        let (Some(_), Some(credential), Some(date), Some(signed_headers), Some(signature)) = (
            &self.algorithm,
            &self.credential,
            &self.date,
            &self.signed_headers,
            &self.signature,
        ) else {
            return Err(self.incomplete());
        };
        let credential = Credential::parse(credential, place)?;
        // S3 wants an expiry; elsewhere a signature without one lives as long as one in a header.
        if credential.is_s3() && self.expires.is_none() {
            return Err(self.incomplete());
        }
        let signed_at = amz_date(date).ok_or_else(|| SigV4Error::DateMalformed {
            place,
            got: clip(date),
        })?;
        check_scope_date(&credential, date, place)?;
        let payload = match &self.payload {
            Some(text) => Some(PayloadHash::parse(text.as_bytes())?),
            None => declared_payload(headers)?,
        };
        Ok(Presented {
            payload: payload.or_else(|| credential.is_s3().then_some(PayloadHash::Unsigned)),
            credential,
            place,
            signed_at,
            expires: self.expires.as_deref().map(expires).transpose()?,
            session_token: match &self.token {
                Some(token) => Some(SessionToken::new(&**token)),
                None => header_token(headers)?,
            },
            date: date.clone().into_owned(),
            signed_headers: check_signed_headers(signed_headers, place)?.into(),
            signature: signature.as_ref().into(),
        })
    }

    fn incomplete(&self) -> SigV4Error {
        let wanted = [
            ("X-Amz-Algorithm", self.algorithm.is_some()),
            ("X-Amz-Credential", self.credential.is_some()),
            ("X-Amz-Signature", self.signature.is_some()),
            ("X-Amz-Date", self.date.is_some()),
            ("X-Amz-SignedHeaders", self.signed_headers.is_some()),
            ("X-Amz-Expires", self.expires.is_some()),
        ];
        incomplete(Place::Query, wanted)
    }
}

fn incomplete<const N: usize>(place: Place, wanted: [(&'static str, bool); N]) -> SigV4Error {
    let absent = wanted.into_iter().filter(|(_, present)| !present);
    SigV4Error::Incomplete {
        place,
        names: absent.map(|(name, _)| name).collect(),
    }
}

/// The value of a header that may occur once at most.
fn single<'a>(
    headers: &'a HeaderMap,
    name: &'static str,
) -> Result<Option<&'a [u8]>, &'static str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next();
    match values.next() {
        Some(_) => Err(name),
        None => Ok(value.map(|value| value.as_bytes().trim_ascii())),
    }
}

fn header_text<'a>(
    headers: &'a HeaderMap,
    name: &'static str,
) -> Result<Option<&'a str>, SigV4Error> {
    let malformed = |name| SigV4Error::Malformed {
        place: Place::Header,
        name,
    };
    let bytes = single(headers, name).map_err(malformed)?;
    bytes
        .map(|bytes| std::str::from_utf8(bytes).map_err(|_| malformed(name)))
        .transpose()
}

fn header_token(headers: &HeaderMap) -> Result<Option<SessionToken>, SigV4Error> {
    Ok(header_text(headers, "x-amz-security-token")?.map(SessionToken::new))
}

fn declared_payload(headers: &HeaderMap) -> Result<Option<PayloadHash>, SigV4Error> {
    let text = header_text(headers, "x-amz-content-sha256")?;
    text.map(|text| PayloadHash::parse(text.as_bytes()))
        .transpose()
}

/// The date of a request signed in its header: `X-Amz-Date` goes before `Date`, in which the
/// basic ISO form is allowed too. Strings to sign hold the basic form of either.
fn header_date(headers: &HeaderMap) -> Result<(String, Timestamp), SigV4Error> {
    let malformed = |text| SigV4Error::DateMalformed {
        place: Place::Header,
        got: clip(text),
    };
    if let Some(text) = header_text(headers, "x-amz-date")? {
        let signed_at = amz_date(text).ok_or_else(|| malformed(text))?;
        return Ok((text.to_owned(), signed_at));
    }
    let text = header_text(headers, "date")?.ok_or(SigV4Error::DateAbsent)?;
    let signed_at = match amz_date(text) {
        Some(signed_at) => signed_at,
        None => http_date(text).ok_or_else(|| malformed(text))?,
    };
    Ok((signed_at.amz_date(), signed_at))
}

/// Reads `20130524T000000Z`, and no other spelling that a lenient parser would take.
fn amz_date(text: &str) -> Option<Timestamp> {
    let shape_ok = text.len() == 16
        && text.bytes().enumerate().all(|(at, b)| match at {
            8 => b == b'T',
            15 => b == b'Z',
            _ => b.is_ascii_digit(),
        });
    if !shape_ok {
        return None;
    }
    Timestamp::from_amz_date(text).ok()
}

/// Reads an HTTP date; Python's clients end it in `-0000`, which means the same as `GMT`.
fn http_date(text: &str) -> Option<Timestamp> {
    let local = text
        .strip_suffix("-0000")
        .or_else(|| text.strip_suffix("+0000"));
    let text = local.map_or(Cow::Borrowed(text), |local| {
        Cow::Owned(format!("{local}GMT"))
    });
    Timestamp::from_http_date(&text).ok()
}

fn check_scope_date(credential: &Credential, date: &str, place: Place) -> Result<(), SigV4Error> {
    if date.get(..8) == Some(&*credential.date) {
        return Ok(());
    }
    let (scope, request) = (credential.date.to_string(), date.to_owned());
    Err(SigV4Error::Scope {
        place,
        fault: ScopeFault::DateMismatch { scope, request },
    })
}

/// Checks that names ascend, as the specification demands. Since none can then occur twice, a
/// canonical request is never much longer than its request.
fn check_signed_headers(text: &str, place: Place) -> Result<&str, SigV4Error> {
    let mut last = "";
    for name in text.split(';') {
        if name <= last {
            return Err(SigV4Error::Malformed {
                place,
                name: "SignedHeaders",
            });
        }
        last = name;
    }
    Ok(text)
}

fn expires(text: &str) -> Result<Duration, SigV4Error> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let seconds = text
        .parse()
        .ok()
        .filter(|n| digits && (1..=EXPIRES_SECONDS_MAX).contains(n));
    let invalid = || SigV4Error::ExpiresInvalid { got: clip(text) };
    seconds.map(Duration::from_secs).ok_or_else(invalid)
}
