//! The text of one event: CloudTrail record contents, event version 1.11.

use serde::Serialize;
use serde_json::{Value as Json, json};
use sightline_types::{
    AccountId, Caller, Event, EventOutcome, RequestId, ResourceRef, Timestamp, TlsDetails,
};

use crate::MetaError;

/// How every record begins; the event's identifier follows, where the writer can find it.
const BEFORE_ID: &str = r#"{"eventVersion":"1.11","eventID":""#;

/// The length of an identifier.
const ID_LENGTH: usize = 36;

/// The part of an identifier that the sequence number takes: `xxxxxxxx-xxxx`.
const SEQ_LENGTH: usize = 13;

/// Bytes of a record above which its parameters and response are left out, as CloudTrail does
/// with more than 100 KB of either.
const RECORD_BYTES_MAX: usize = 100 * 1024;

/// Characters of an error message that are kept: CloudTrail's limit for the field.
const MESSAGE_CHARS_MAX: usize = 1024;

/// Operations on what S3 calls objects that are not named after them.
const S3_DATA_OPERATIONS: &[&str] = &[
    "AbortMultipartUpload",
    "CompleteMultipartUpload",
    "CreateMultipartUpload",
    "HeadBucket",
    "ListParts",
    "UploadPart",
    "UploadPartCopy",
];

/// Operations of other services that move data rather than manage resources.
const DATA_OPERATIONS: &[&str] = &[
    "BatchGetMetrics",
    "BatchGetRecord",
    "BatchPutMetrics",
    "DeleteRecord",
    "GetMetricData",
    "GetRecord",
    "InvokeEndpoint",
    "InvokeEndpointAsync",
    "PutLogEvents",
    "PutMetricData",
    "PutRecord",
];

/// An event in its final form but for its place in the order of events.
#[derive(Clone, Debug)]
pub struct Sealed {
    pub(super) at: Timestamp,
    pub(super) record: String,
}

impl Sealed {
    /// Writes down what `event` says.
    pub fn of(event: &Event) -> Result<Self, MetaError> {
        let mut form = Form::of(event);
        let mut record = text(&form)?;
        if RECORD_BYTES_MAX < record.len() {
            let left_out = json!({ "omitted": true, "reason": "the record exceeds 100 KiB" });
            form.request_parameters = form.request_parameters.map(|_| &left_out);
            form.response_elements = form.response_elements.map(|_| &left_out);
            record = text(&form)?;
        }
        debug_assert!(record.starts_with(BEFORE_ID), "the identifier moved");
        Ok(Self {
            at: event.at,
            record,
        })
    }

    /// An event that was recorded in full before.
    pub(super) fn as_stored(at: Timestamp, record: String) -> Self {
        Self { at, record }
    }

    /// Puts the event's number into its identifier, so that the one leads to the other.
    pub(super) fn number(&mut self, seq: i64) {
        if self.record.starts_with(BEFORE_ID) {
            let place = BEFORE_ID.len()..BEFORE_ID.len() + SEQ_LENGTH;
            let number = format!("{:08x}-{:04x}", seq >> 16, seq & 0xffff);
            self.record.replace_range(place, &number);
        }
    }
}

/// The number of the event with this identifier, if it is one that [`Sealed::number`] completed.
pub(super) fn seq_of_id(id: &str) -> Option<i64> {
    let versioned = id.len() == ID_LENGTH && id.get(14..15) == Some("8");
    let (high, low) = versioned.then(|| id.get(..SEQ_LENGTH))??.split_once('-')?;
    i64::from_str_radix(&format!("{high}{low}"), 16).ok()
}

/// The time of the event in `record` as its text has it: `2026-11-28T02:05:07Z`.
#[must_use]
pub fn time_of(record: &str) -> Option<&str> {
    // Quotes within texts are escaped, and no object that has other such members stands before.
    const MEMBER: &str = "\"eventTime\":\"";
    let start = record.find(MEMBER)?.checked_add(MEMBER.len())?;
    record.get(start..)?.split('"').next()
}

/// Whether `record` tells what a service of the platform, such as CloudTrail, did by itself.
#[must_use]
pub fn is_by_service(record: &str, service: &str) -> bool {
    let identity = record
        .get(BEFORE_ID.len() + ID_LENGTH..)
        .unwrap_or_default();
    let by = "\",\"userIdentity\":{\"type\":\"AWSService\",\"invokedBy\":\"";
    let named = identity
        .strip_prefix(by)
        .and_then(|rest| rest.strip_prefix(service));
    named.is_some_and(|rest| rest.starts_with('"'))
}

/// A UUID of version 8 (RFC 9562 §5.8): room for the number, then chance.
fn unnumbered_id() -> String {
    let mut id = RequestId::random().to_string();
    if id.is_char_boundary(15) && 15 <= id.len() {
        id.replace_range(..15, "00000000-0000-8");
    }
    id
}

fn text(form: &Form<'_>) -> Result<String, MetaError> {
    serde_json::to_string(form).map_err(|error| MetaError::Stored {
        what: "event",
        reason: error.to_string(),
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Form<'a> {
    event_version: &'static str,
    #[serde(rename = "eventID")]
    event_id: String,
    user_identity: UserIdentity<'a>,
    event_time: String,
    event_source: &'static str,
    event_name: &'static str,
    aws_region: &'a str,
    #[serde(rename = "sourceIPAddress")]
    source_ip_address: &'a str,
    user_agent: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<&'a str>,
    request_parameters: Option<&'a Json>,
    response_elements: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    additional_event_data: Option<SignedWith>,
    #[serde(rename = "requestID")]
    request_id: &'a str,
    read_only: bool,
    resources: Vec<Resource<'a>>,
    event_type: &'static str,
    management_event: bool,
    recipient_account_id: &'a str,
    event_category: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_details: Option<Tls<'a>>,
}

/// What S3 adds.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SignedWith {
    signature_version: &'static str,
    authentication_method: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tls<'a> {
    tls_version: &'static str,
    cipher_suite: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_provided_host_header: Option<&'a str>,
}

impl<'a> Tls<'a> {
    fn of(details: &'a TlsDetails) -> Self {
        Self {
            tls_version: details.version,
            cipher_suite: &details.cipher_suite,
            client_provided_host_header: details.server_name.as_deref(),
        }
    }
}

impl<'a> Form<'a> {
    fn of(event: &'a Event) -> Self {
        let (cx, account) = (event.cx.as_ref(), event.cx.account.as_str());
        let failure = match &event.outcome {
            EventOutcome::Success => None,
            EventOutcome::Failure { code, message } => Some((code, message)),
        };
        let management = !moves_data(cx.operation.source, cx.operation.name);
        Self {
            event_version: "1.11",
            event_id: unnumbered_id(),
            user_identity: UserIdentity::of(&cx.caller, &cx.account),
            event_time: event.at.format("%Y-%m-%dT%H:%M:%SZ"),
            event_source: cx.operation.source,
            event_name: cx.operation.name,
            aws_region: cx.region.as_str(),
            source_ip_address: &cx.source,
            user_agent: &cx.user_agent,
            error_code: failure.map(|(code, _)| code.as_str()),
            error_message: failure.map(|(_, message)| cut(message, MESSAGE_CHARS_MAX)),
            request_parameters: cx.parameters.as_deref(),
            response_elements: event.response.as_ref(),
            additional_event_data: cx.signed.map(|signed| SignedWith {
                signature_version: signed.version,
                authentication_method: signed.method,
            }),
            request_id: cx.request_id.as_str(),
            read_only: cx.operation.read_only,
            resources: event
                .resources
                .iter()
                .map(|touched| Resource::of(touched, account))
                .collect(),
            event_type: "AwsApiCall",
            management_event: management,
            recipient_account_id: account,
            event_category: if management { "Management" } else { "Data" },
            tls_details: cx.tls.as_ref().map(Tls::of),
        }
    }
}

/// Whether CloudTrail counts an operation among its data events.
fn moves_data(source: &str, name: &str) -> bool {
    match source {
        "s3.amazonaws.com" => {
            let on_objects = name.contains("Object") && !name.contains("ObjectLockConfiguration");
            on_objects || S3_DATA_OPERATIONS.contains(&name)
        }
        _ => DATA_OPERATIONS.contains(&name),
    }
}

fn cut(text: &str, chars_max: usize) -> &str {
    let end = text.char_indices().nth(chars_max);
    end.and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

#[derive(Serialize)]
struct Resource<'a> {
    #[serde(rename = "accountId")]
    account_id: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(rename = "ARN")]
    arn: &'a str,
}

impl<'a> Resource<'a> {
    fn of(touched: &'a ResourceRef, account_id: &'a str) -> Self {
        Self {
            account_id,
            kind: &touched.kind,
            arn: &touched.name,
        }
    }
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct UserIdentity<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    invoked_by: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arn: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_key_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_context: Option<SessionContext<'a>>,
}

impl<'a> UserIdentity<'a> {
    /// What an ARN ends with says what kind of principal it names; services have none, and where
    /// there is no name either, nobody is proven to have asked.
    fn of(caller: &'a Caller, account: &'a AccountId) -> Self {
        if caller.arn.is_empty() && caller.user_name.is_empty() {
            return Self {
                kind: "Unknown",
                ..Self::default()
            };
        }
        if caller.arn.is_empty() {
            return Self {
                kind: "AWSService",
                invoked_by: Some(&caller.user_name),
                ..Self::default()
            };
        }
        let resource = caller.arn.splitn(6, ':').nth(5).unwrap_or_default();
        let mut parts = resource.split('/');
        let (kind, user_name, role) = match (parts.next(), parts.next()) {
            (Some("assumed-role"), Some(role)) => ("AssumedRole", None, Some(role)),
            (Some("root"), None) => ("Root", None, None),
            _ => ("IAMUser", Some(caller.user_name.as_str()), None),
        };
        Self {
            kind,
            invoked_by: None,
            principal_id: Some(&caller.user_id),
            arn: Some(&caller.arn),
            account_id: Some(account.as_str()),
            access_key_id: Some(&caller.access_key_id),
            user_name,
            session_context: (role.is_some() || caller.session_began.is_some())
                .then(|| SessionContext::of(role, caller, account)),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionContext<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    session_issuer: Option<SessionIssuer<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<SessionAttributes>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionAttributes {
    creation_date: String,
    /// There are no such devices here, so no session was begun with one.
    mfa_authenticated: &'static str,
}

impl<'a> SessionContext<'a> {
    fn of(role: Option<&'a str>, caller: &'a Caller, account: &'a AccountId) -> Self {
        let issuer_id = caller.user_id.split(':').next().unwrap_or_default();
        Self {
            session_issuer: role.map(|role| SessionIssuer {
                kind: "Role",
                principal_id: issuer_id,
                arn: format!("arn:aws:iam::{account}:role/{role}"),
                account_id: account.as_str(),
                user_name: role,
            }),
            attributes: caller.session_began.map(|began| SessionAttributes {
                creation_date: began.format("%Y-%m-%dT%H:%M:%SZ"),
                mfa_authenticated: "false",
            }),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionIssuer<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    principal_id: &'a str,
    arn: String,
    account_id: &'a str,
    user_name: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_goes_into_the_identifier_and_comes_out_again() {
        for seq in [1, 0xffff, 0x1_0000, 0xffff_ffff_ffff] {
            let record = format!("{BEFORE_ID}{}\"}}", unnumbered_id());
            let mut sealed = Sealed::as_stored(Timestamp::EPOCH, record);
            sealed.number(seq);
            let form: Json = serde_json::from_str(&sealed.record).unwrap();
            let id = form["eventID"].as_str().unwrap();
            assert_eq!((id.len(), seq_of_id(id)), (36, Some(seq)), "{id}");
        }
    }

    #[test]
    fn identifiers_of_another_version_lead_nowhere() {
        for id in ["", "none", "00000000-0001-4000-8000-000000000000", "é"] {
            assert_eq!(seq_of_id(id), None, "{id}");
        }
    }

    #[test]
    fn data_events_are_those_that_cloudtrail_counts_as_such() {
        let cases = [
            ("s3.amazonaws.com", "GetObject", true),
            ("s3.amazonaws.com", "UploadPart", true),
            ("s3.amazonaws.com", "ListMultipartUploads", false),
            ("s3.amazonaws.com", "PutObjectLockConfiguration", false),
            ("s3.amazonaws.com", "CreateBucket", false),
            ("sagemaker.amazonaws.com", "InvokeEndpoint", true),
            ("sagemaker.amazonaws.com", "CreateTrainingJob", false),
        ];
        for (source, name, data) in cases {
            assert_eq!(moves_data(source, name), data, "{name}");
        }
    }

    #[test]
    fn messages_are_cut_between_characters() {
        assert_eq!(cut("äöü", 2), "äö");
        assert_eq!(cut("äöü", 3), "äöü");
    }
}
