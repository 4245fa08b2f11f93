//! Uploads by forms: from `multipart/form-data` to the operation that writes an object.
//!
//! The fields before the file are gathered within their limits; the file itself streams. What
//! follows it is not looked at, as on S3.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LOCATION,
};
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode, Uri};
use multer::{Constraints, Multipart, SizeLimit};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sightline_api::{Body, BodyFault, Fault, full, pieces};
use sightline_wire::post::{FIELDS_BYTES_MAX, Form, PostError};
use sightline_wire::protocol::text_document;

/// What a key's path leaves as it is.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// Headers that a form's fields may stand for, beside those that begin with `x-amz-`.
const HEADERS: [&str; 6] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
];

/// A form whose fields are read and whose file is not.
pub(crate) struct Posted {
    pub(crate) form: Form,
    file: Body,
}

/// Whether a request is an upload by a form: it is signed nowhere else.
pub(crate) fn is_one(parts: &Parts) -> bool {
    let kind = parts.headers.get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    parts.method == Method::POST
        && kind.starts_with("multipart/form-data")
        && !parts.headers.contains_key(AUTHORIZATION)
        && parts.uri.query().is_none()
}

/// Reads the fields of a form up to its file, in `time`.
pub(crate) async fn read(parts: &Parts, body: Body, time: Duration) -> Result<Posted, Fault> {
    let read = tokio::time::timeout(time, fields(parts, body)).await;
    let slow = || {
        let text = "Your socket connection to the server was not read from or written to within \
                    the timeout period.";
        Fault::new("RequestTimeout", StatusCode::BAD_REQUEST, text)
    };
    read.map_err(|_| slow())?
}

async fn fields(parts: &Parts, body: Body) -> Result<Posted, Fault> {
    let kind = parts.headers.get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let boundary = multer::parse_boundary(kind).map_err(|_| malformed())?;
    let field_bytes = u64::try_from(FIELDS_BYTES_MAX).unwrap_or(u64::MAX);
    let limits = SizeLimit::new().per_field(u64::MAX);
    let constraints = Constraints::new().size_limit(limits);
    let mut multipart = Multipart::with_constraints(pieces(body), boundary, constraints);
    let mut form = Form::default();
    while let Some(mut field) = multipart.next_field().await.map_err(unreadable)? {
        let name = field.name().unwrap_or_default().to_owned();
        if name.eq_ignore_ascii_case("file") {
            let file_name = field.file_name().unwrap_or_default();
            form.name_file(file_name.rsplit(['/', '\\']).next().unwrap_or_default());
            let bytes = field.map_err(broken);
            return Ok(Posted {
                form,
                file: sightline_api::stream(bytes),
            });
        }
        let mut value = Vec::new();
        while let Some(piece) = field.chunk().await.map_err(unreadable)? {
            let size = u64::try_from(value.len() + piece.len()).unwrap_or(u64::MAX);
            if field_bytes < size {
                return Err(refused(&PostError::TooLarge));
            }
            value.extend_from_slice(&piece);
        }
        let value = String::from_utf8(value).map_err(|_| malformed())?;
        form.add(&name, value).map_err(|error| refused(&error))?;
    }
    let text = "POST requires exactly one file upload per request.";
    Err(argument("file", text))
}

/// The fault of a form that is refused.
pub(crate) fn refused(error: &PostError) -> Fault {
    let (code, status) = error.code();
    Fault::new(code, status, error.to_string())
}

fn malformed() -> Fault {
    let text = "The body of your POST request is not well-formed multipart/form-data.";
    Fault::new("MalformedPOSTRequest", StatusCode::BAD_REQUEST, text)
}

fn argument(name: &str, text: &str) -> Fault {
    let fault = Fault::new("InvalidArgument", StatusCode::BAD_REQUEST, text);
    fault.with("ArgumentName", name)
}

fn unreadable(error: multer::Error) -> Fault {
    let io = broken(error);
    BodyFault::find(&io).cloned().unwrap_or_else(malformed)
}

/// The failure of the file's stream, which keeps a fault that travels in it.
fn broken(error: multer::Error) -> io::Error {
    if let multer::Error::StreamReadFailed(source) = error {
        return match source.downcast::<io::Error>() {
            Ok(source) => *source,
            Err(source) => io::Error::other(source),
        };
    }
    BodyFault::into_io(malformed())
}

impl Posted {
    /// The bucket that a form goes to.
    pub(crate) fn bucket(uri: &Uri) -> Result<&str, Fault> {
        let name = uri.path().trim_matches('/');
        match name.is_empty() || name.contains('/') {
            true => Err(argument("bucket", "A form is posted to a bucket.")),
            false => Ok(name),
        }
    }

    /// The request that writes the object: `parts` with the form's words, and the file.
    pub(crate) fn into_write(
        self,
        mut parts: Parts,
        bucket: &str,
        sizes: std::ops::RangeInclusive<u64>,
    ) -> Result<(Parts, Body), Fault> {
        let key = self.form.get("key").filter(|key| !key.is_empty());
        let key = key.ok_or_else(|| {
            argument("key", "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.")
        })?;
        if self.form.get("tagging").is_some() {
            let text = "A form field you provided implies functionality that is not implemented";
            let fault = Fault::new("NotImplemented", StatusCode::NOT_IMPLEMENTED, text);
            return Err(fault.with("Header", "tagging"));
        }
        let path = format!("/{bucket}/{}", utf8_percent_encode(key, PATH));
        parts.uri = path.parse().map_err(|_| malformed())?;
        for name in [CONTENT_TYPE, CONTENT_LENGTH] {
            parts.headers.remove(name);
        }
        for (name, value) in self.form.said() {
            let name = if name == "acl" { "x-amz-acl" } else { name };
            if HEADERS.contains(&name) || name.starts_with("x-amz-") {
                let wrong = || argument(name, "The field cannot stand for a header.");
                let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
                let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| wrong())?;
                parts.headers.insert(header, value);
            }
        }
        Ok((parts, within(self.file, sizes)))
    }
}

/// The file, which fails unless it has a size that the policy allows.
fn within(file: Body, sizes: std::ops::RangeInclusive<u64>) -> Body {
    let wrong = |code, text: &str, size: u64| {
        let fault = Fault::new(code, StatusCode::BAD_REQUEST, text);
        BodyFault::into_io(fault.with("ProposedSize", size))
    };
    let state = Some((pieces(file), 0_u64));
    let bytes = stream::try_unfold(state, move |state| {
        let sizes = sizes.clone();
        async move {
            let Some((mut incoming, read)) = state else {
                return Ok::<Option<(Bytes, _)>, io::Error>(None);
            };
            let Some(piece) = incoming.next().await.transpose()? else {
                if read < *sizes.start() {
                    let text = "Your proposed upload is smaller than the minimum allowed size";
                    return Err(wrong("EntityTooSmall", text, read));
                }
                return Ok(None);
            };
            let read = read.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            if *sizes.end() < read {
                let text = "Your proposed upload exceeds the maximum allowed size";
                return Err(wrong("EntityTooLarge", text, read));
            }
            Ok(Some((piece, Some((incoming, read)))))
        }
    });
    sightline_api::stream(bytes)
}

/// What a form wants to be answered once its object is written.
pub(crate) struct Wish {
    redirect: Option<Uri>,
    status: StatusCode,
    bucket: String,
    key: String,
    host: String,
}

impl Wish {
    pub(crate) fn of(form: &Form, bucket: &str, headers: &HeaderMap) -> Self {
        let redirect = form
            .get("success_action_redirect")
            .or_else(|| form.get("redirect"));
        let absolute = |uri: &Uri| uri.scheme().is_some() && uri.authority().is_some();
        let host = headers.get(http::header::HOST);
        Self {
            redirect: redirect.and_then(|text| text.parse().ok()).filter(absolute),
            status: match form.get("success_action_status") {
                Some("200") => StatusCode::OK,
                Some("201") => StatusCode::CREATED,
                Some(_) | None => StatusCode::NO_CONTENT,
            },
            bucket: bucket.to_owned(),
            key: form.get("key").unwrap_or_default().to_owned(),
            host: host
                .and_then(|host| host.to_str().ok())
                .unwrap_or_default()
                .to_owned(),
        }
    }

    /// The answer to a written object as the form wants it; a failure stays as it is.
    pub(crate) fn grant(self, answer: Response<Body>) -> Response<Body> {
        if !answer.status().is_success() {
            return answer;
        }
        let (mut parts, _) = answer.into_parts();
        let etag = parts.headers.get(ETAG).and_then(|etag| etag.to_str().ok());
        let etag = etag.unwrap_or_default().to_owned();
        let key = utf8_percent_encode(&self.key, PATH).to_string();
        let place = format!("http://{}/{}/{key}", self.host, self.bucket);
        let mut body = Bytes::new();
        let mut location = place.clone();
        parts.status = self.status;
        if let Some(redirect) = &self.redirect {
            let etag = utf8_percent_encode(&etag, NON_ALPHANUMERIC);
            let joint = if redirect.query().is_some() { '&' } else { '?' };
            location = format!(
                "{redirect}{joint}bucket={}&key={key}&etag={etag}",
                self.bucket
            );
            parts.status = StatusCode::SEE_OTHER;
        } else if self.status == StatusCode::CREATED {
            let told = [
                ("Location", place.as_str()),
                ("Bucket", &self.bucket),
                ("Key", &self.key),
                ("ETag", &etag),
            ];
            body = text_document("PostResponse", &told);
            let kind = HeaderValue::from_static("application/xml");
            parts.headers.insert(CONTENT_TYPE, kind);
        }
        if let Ok(location) = HeaderValue::from_str(&location) {
            parts.headers.insert(LOCATION, location);
        }
        Response::from_parts(parts, full(body))
    }
}
