//! The verifier against botocore, against AWS's worked examples, and against nonsense.

use std::time::Duration;

use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, StatusCode};
use proptest::prelude::*;
use serde::Deserialize;
use sightline_types::Timestamp;

use super::*;

#[derive(Deserialize)]
struct Oracle {
    now: String,
    secret: String,
    token: String,
    cases: Vec<Case>,
}

#[derive(Clone, Deserialize)]
struct Case {
    name: String,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    /// Hexadecimal bytes, and how often they follow each other.
    body: Vec<(String, usize)>,
}

impl Case {
    fn parts(&self) -> Parts {
        let mut request = Request::builder().method(&*self.method).uri(&*self.target);
        for (name, value) in &self.headers {
            request = request.header(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        request.body(()).unwrap().into_parts().0
    }

    fn body(&self) -> Vec<u8> {
        self.body
            .iter()
            .flat_map(|(bytes, times)| hex::decode(bytes).unwrap().repeat(*times))
            .collect()
    }

    fn header(&mut self, name: &str) -> &mut String {
        let found = self.headers.iter_mut().find(|(have, _)| have == name);
        &mut found
            .unwrap_or_else(|| panic!("{} has no {name}", self.name))
            .1
    }

    fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(have, _)| have == name)
    }
}

/// Cases made by oracles/sigv4.py; `make oracles` regenerates them.
fn oracle() -> Oracle {
    let oracle: Oracle =
        serde_json::from_str(include_str!("../../../../oracles/sigv4.json")).unwrap();
    assert!(oracle.cases.len() >= 100, "the oracle file must not shrink");
    oracle
}

/// Verifies as a server does: the key is looked up, S3 bodies against their declaration, others by their own hash.
fn accept(
    case: &Case,
    secret: &SecretKey,
    now: Timestamp,
    body: &[u8],
) -> Result<Verified, SigV4Error> {
    let parts = case.parts();
    let presented = Presented::parse(&parts)?.ok_or(SigV4Error::Missing)?;
    let access_key_id = presented.credential.access_key_id.to_string();
    if access_key_id != "AKIDEXAMPLE" {
        return Err(SigV4Error::UnknownAccessKey { access_key_id });
    }
    let digest = sha256(body);
    let s3 = presented.credential.is_s3();
    let verified = presented.verify(&parts, (!s3).then_some(&digest), secret, now)?;
    let mut hasher = PayloadHasher::new(verified.payload);
    hasher.update(body);
    hasher.finish()?;
    Ok(verified)
}

#[test]
fn every_request_that_botocore_signs_verifies() {
    let oracle = oracle();
    let secret = SecretKey::new(&*oracle.secret);
    let now = Timestamp::from_amz_date(&oracle.now).unwrap();
    for case in &oracle.cases {
        accept(case, &secret, now, &case.body())
            .unwrap_or_else(|error| panic!("{}: {error:?}", case.name));
        let token = Presented::parse(&case.parts())
            .unwrap()
            .unwrap()
            .session_token;
        let text = format!("{} {:?}", case.target, case.headers);
        let has_token = text.to_lowercase().contains("x-amz-security-token");
        assert_eq!(token.is_some(), has_token, "{}", case.name);
        assert!(
            token.is_none_or(|token| token.matches(&oracle.token)),
            "{}",
            case.name
        );
    }
}

/// Other texts of the same length that differ in one byte, at a few places spread over `text`.
fn one_byte_changes(text: &str) -> Vec<String> {
    let plain: Vec<usize> = text
        .char_indices()
        .filter(|(_, c)| c.is_ascii_alphanumeric())
        .map(|(at, _)| at)
        .collect();
    let step = (plain.len() / 5).max(1);
    let changed = plain.iter().step_by(step).map(|at| {
        let mut bytes = text.as_bytes().to_vec();
        bytes[*at] = if bytes[*at] == b'q' { b'w' } else { b'q' };
        String::from_utf8(bytes).unwrap()
    });
    changed.collect()
}

/// Every request that differs from `case` in one byte of something that must be signed.
fn tampered(case: &Case) -> Vec<(String, Case)> {
    let mut all = Vec::new();
    let mut push = |what: String, changed: Case| all.push((what, changed));
    let method = if case.method == "PUT" { "POST" } else { "PUT" };
    push(
        "method".into(),
        Case {
            method: method.into(),
            ..case.clone()
        },
    );
    let (path, query) = case.target.split_once('?').unwrap_or((&case.target, ""));
    for path in one_byte_changes(path) {
        // Segments that `..` removes are not part of what a normalised path means.
        if !case.target.contains("..") {
            let target = if query.is_empty() {
                path
            } else {
                format!("{path}?{query}")
            };
            push(
                format!("path {target}"),
                Case {
                    target,
                    ..case.clone()
                },
            );
        }
    }
    for query in one_byte_changes(query) {
        let target = format!("{path}?{query}");
        push(
            format!("query {target}"),
            Case {
                target,
                ..case.clone()
            },
        );
    }
    let added = if query.is_empty() { "?qq=" } else { "&qq=" };
    push(
        "query added".into(),
        Case {
            target: case.target.clone() + added,
            ..case.clone()
        },
    );
    for (at, (name, value)) in case.headers.iter().enumerate() {
        // The clients' own list of headers that no signature covers.
        if ["user-agent", "expect", "accept-encoding", "x-amzn-trace-id"].contains(&&**name)
            || !signed_names(case).contains(&format!(";{name};")) && name != "authorization"
        {
            continue;
        }
        for value in one_byte_changes(value) {
            let mut changed = case.clone();
            changed.headers[at].1 = value.clone();
            push(format!("header {name}: {value}"), changed);
        }
    }
    let mut smuggled = case.clone();
    smuggled.headers.push(("x-amz-smuggled".into(), "1".into()));
    push("header added".into(), smuggled);
    all
}

fn signed_names(case: &Case) -> String {
    let presented = Presented::parse(&case.parts()).unwrap().unwrap();
    format!(";{};", presented.signed_headers)
}

#[test]
fn no_request_verifies_after_a_change_of_one_byte() {
    let oracle = oracle();
    let secret = SecretKey::new(&*oracle.secret);
    let now = Timestamp::from_amz_date(&oracle.now).unwrap();
    let mut changes = 0;
    for case in &oracle.cases {
        let body = case.body();
        for (what, changed) in tampered(case) {
            let result = accept(&changed, &secret, now, &body);
            assert!(result.is_err(), "{}: {what} makes no difference", case.name);
            changes += 1;
        }
        for secret in one_byte_changes(&oracle.secret)
            .into_iter()
            .map(SecretKey::new)
        {
            let error = accept(case, &secret, now, &body).unwrap_err();
            assert!(
                matches!(error, SigV4Error::SignatureMismatch(_)),
                "{}: {error}",
                case.name
            );
        }
        let mut body = body;
        body.push(0);
        let payload = accept(case, &secret, now, &body).map(|verified| verified.payload);
        // Whether S3 bodies without a hash are whole is not for the signature to say.
        let unhashed = case.target.contains("Amz-Signature") && case.name.contains("presigned")
            || case
                .headers
                .iter()
                .any(|(_, v)| v.contains("UNSIGNED-PAYLOAD"));
        let s3 = Presented::parse(&case.parts())
            .unwrap()
            .unwrap()
            .credential
            .is_s3();
        assert_eq!(
            payload.is_ok(),
            s3 && unhashed,
            "{}: {payload:?}",
            case.name
        );
    }
    assert!(changes > 2_000, "only {changes} changes were tried");
}

fn case_named(name: &str) -> (Case, SecretKey, Timestamp) {
    let oracle = oracle();
    let case = oracle
        .cases
        .iter()
        .find(|case| case.name == name)
        .unwrap()
        .clone();
    let now = Timestamp::from_amz_date(&oracle.now).unwrap();
    (case, SecretKey::new(oracle.secret), now)
}

fn refused(case: &Case) -> SigV4Error {
    let (_, secret, now) = case_named("json logs");
    accept(case, &secret, now, &case.body()).unwrap_err()
}

#[test]
fn a_signature_in_a_header_is_good_for_fifteen_minutes_either_way() {
    let (case, secret, now) = case_named("json logs");
    let millis = i64::try_from(SKEW_MAX.as_millis()).unwrap();
    for (offset, good) in [
        (millis, true),
        (-millis, true),
        (millis + 1, false),
        (-millis - 1, false),
    ] {
        let at = Timestamp::from_millis(now.millis() + offset);
        let result = accept(&case, &secret, at, &case.body());
        let skewed = Err(SigV4Error::Skewed {
            signed_at: now,
            now: at,
        });
        assert_eq!(result.map(|_| ()), if good { Ok(()) } else { skewed });
    }
}

#[test]
fn a_presigned_url_is_good_for_as_long_as_its_signer_said() {
    let (case, secret, now) = case_named("presigned 900");
    let expired_at = now.plus(Duration::from_secs(900));
    assert!(accept(&case, &secret, expired_at, b"").is_ok());
    let late = expired_at.plus(Duration::from_millis(1));
    let error = accept(&case, &secret, late, b"").unwrap_err();
    assert_eq!(
        error,
        SigV4Error::Expired {
            expires_seconds: 900,
            expired_at,
            now: late
        }
    );
    let answer = error.s3();
    assert_eq!(
        (answer.code, &*answer.message),
        ("AccessDenied", "Request has expired")
    );
    let early = Timestamp::from_millis(now.millis() - 900_001);
    let error = accept(&case, &secret, early, b"").unwrap_err();
    assert_eq!(
        error,
        SigV4Error::NotYetValid {
            signed_at: now,
            now: early
        }
    );
    for wrong in ["0", "604801", "-1", "+1", "1e3", "", "99999999999999999999"] {
        let target = case
            .target
            .replace("Expires=900", &format!("Expires={wrong}"));
        let error = refused(&Case {
            target,
            ..case.clone()
        });
        let got = wrong.to_owned();
        assert_eq!(error, SigV4Error::ExpiresInvalid { got });
    }
}

#[test]
fn an_unsigned_request_presents_nothing() {
    let parts = Request::get("/bucket/key?prefix=a")
        .body(())
        .unwrap()
        .into_parts()
        .0;
    assert!(Presented::parse(&parts).unwrap().is_none());
}

/// Changes the authorization header of a good request and expects the codes of three protocols.
#[track_caller]
fn check_codes(change: impl Fn(&str) -> String, json: &str, query: &str, s3: &str) {
    let (mut case, ..) = case_named("json logs");
    let header = case.header("authorization");
    *header = change(header);
    let error = refused(&case);
    let codes = [
        error.aws(Family::Json).code,
        error.aws(Family::Query).code,
        error.s3().code,
    ];
    assert_eq!(codes, [json, query, s3], "{error}");
}

#[test]
fn unreadable_headers_get_the_codes_of_their_protocol() {
    let incomplete = ["IncompleteSignatureException", "IncompleteSignature"];
    let malformed = "AuthorizationHeaderMalformed";
    let cases: [(&str, &str, &str); 10] = [
        ("AWS4-HMAC-SHA256", "Bearer", "InvalidArgument"),
        ("AWS4-HMAC-SHA256", "AWS", "InvalidRequest"),
        (
            "AWS4-HMAC-SHA256",
            "AWS4-ECDSA-P256-SHA256",
            "InvalidArgument",
        ),
        ("SignedHeaders=", "Signedheaders=", malformed),
        ("SignedHeaders=", "Signature=", malformed),
        (
            ", SignedHeaders=content-type;host;x-amz-date;x-amz-target",
            "",
            malformed,
        ),
        ("content-type;host;", "host;content-type;", malformed),
        ("content-type;host;", "content-type;host;host;", malformed),
        ("AKIDEXAMPLE/", "AKIDEXAMPLE/x/", malformed),
        ("AKIDEXAMPLE/", "/", malformed),
    ];
    for (from, to, s3) in cases {
        let change = |text: &str| {
            assert!(text.contains(from), "{text}");
            text.replace(from, to)
        };
        check_codes(change, incomplete[0], incomplete[1], s3);
    }
}

#[test]
fn wrong_scopes_get_the_codes_of_their_protocol() {
    for (from, to) in [
        ("/aws4_request", "/aws4"),
        ("/20261123/", "/2026112/"),
        ("/20261123/", "/20261122/"),
    ] {
        check_codes(
            |text| text.replace(from, to),
            "InvalidSignatureException",
            "SignatureDoesNotMatch",
            "AuthorizationHeaderMalformed",
        );
    }
}

#[test]
fn a_scope_must_name_this_server() {
    let (case, ..) = case_named("json logs");
    let presented = Presented::parse(&case.parts()).unwrap().unwrap();
    presented
        .expect_scope("logs", &["us-east-1", "eu-west-1"])
        .unwrap();
    let region = presented.expect_scope("logs", &["us-east-1"]).unwrap_err();
    assert_eq!(
        region.aws(Family::Json).message,
        "Credential should be scoped to a valid region, not 'eu-west-1'. "
    );
    let answer = region.s3();
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        answer.message,
        "The authorization header is malformed; the region 'eu-west-1' is wrong; expecting \
         'us-east-1'"
    );
    assert_eq!(answer.details, [("Region", "us-east-1".to_owned())]);
    let service = presented.expect_scope("sts", &["eu-west-1"]).unwrap_err();
    assert_eq!(
        service.aws(Family::Query).message,
        "Credential should be scoped to correct service: 'sts'. "
    );
}

#[test]
fn dates_are_taken_from_one_well_formed_header() {
    let (case, ..) = case_named("json logs");
    for wrong in [
        "20261123T190449",
        "2026-11-23T19:04:49Z",
        "20261323T190449Z",
        "",
        "+0261123T190449Z",
    ] {
        let mut case = case.clone();
        *case.header("x-amz-date") = wrong.to_owned();
        let got = wrong.to_owned();
        assert_eq!(
            refused(&case),
            SigV4Error::DateMalformed {
                place: Place::Header,
                got
            }
        );
    }
    let mut undated = case.clone();
    undated.headers.retain(|(name, _)| name != "x-amz-date");
    assert_eq!(refused(&undated), SigV4Error::DateAbsent);
    let mut twice = case;
    twice
        .headers
        .push(("x-amz-date".into(), "20261123T190449Z".into()));
    let error = refused(&twice);
    assert_eq!(
        error,
        SigV4Error::Malformed {
            place: Place::Header,
            name: "x-amz-date"
        }
    );
}

#[test]
fn host_and_every_amz_header_must_be_signed() {
    let (mut case, ..) = case_named("json logs");
    let header = case.header("authorization");
    *header = header.replace("content-type;host;", "content-type;");
    assert_eq!(refused(&case), SigV4Error::HostNotSigned);
    let (mut case, ..) = case_named("json logs");
    case.headers
        .push(("x-amz-acl".into(), "public-read".into()));
    let error = refused(&case);
    assert_eq!(
        error,
        SigV4Error::HeadersNotSigned {
            names: vec!["x-amz-acl".into()]
        }
    );
    assert_eq!(
        error.s3().details,
        [("HeadersNotSigned", "x-amz-acl".to_owned())]
    );
}

#[test]
fn a_request_is_signed_in_one_place() {
    let (mut case, ..) = case_named("presigned 900");
    case.headers.push((
        "authorization".into(),
        "AWS4-HMAC-SHA256 Credential=x".into(),
    ));
    assert_eq!(refused(&case), SigV4Error::TwoMechanisms);
    let (mut case, ..) = case_named("presigned 900");
    case.target += "&X-Amz-Signature=0";
    let name = "X-Amz-Signature";
    assert_eq!(
        refused(&case),
        SigV4Error::Malformed {
            place: Place::Query,
            name
        }
    );
    let version_2 = Case {
        target: "/b/k?AWSAccessKeyId=x&Signature=y&Expires=1".into(),
        ..case
    };
    let scheme = "AWS".to_owned();
    assert_eq!(
        refused(&version_2),
        SigV4Error::UnsupportedScheme {
            place: Place::Query,
            scheme
        }
    );
}

#[test]
fn s3_must_declare_its_payload_hash() {
    let (mut case, ..) = case_named("quoted");
    assert!(case.has("x-amz-content-sha256"));
    case.headers
        .retain(|(name, _)| name != "x-amz-content-sha256");
    assert_eq!(refused(&case), SigV4Error::PayloadHashAbsent);
    let (parts, body) = (case.parts(), sha256(&case.body()));
    let (_, secret, now) = case_named("quoted");
    let presented = Presented::parse(&parts).unwrap().unwrap();
    let error = presented
        .verify(&parts, Some(&body), &secret, now)
        .unwrap_err();
    assert_eq!(error, SigV4Error::PayloadHashAbsent);
}

#[test]
fn a_given_body_must_be_the_declared_one() {
    let (case, secret, now) = case_named("quoted");
    let (parts, declared, computed) = (case.parts(), sha256(&case.body()), sha256(b"other"));
    let presented = Presented::parse(&parts).unwrap().unwrap();
    presented
        .verify(&parts, Some(&declared), &secret, now)
        .unwrap();
    let error = presented
        .verify(&parts, Some(&computed), &secret, now)
        .unwrap_err();
    assert_eq!(
        error,
        SigV4Error::PayloadHashMismatch { declared, computed }
    );
}

#[test]
fn only_s3_takes_an_unsigned_payload() {
    let (secret, token) = (SecretKey::new("secret"), SessionToken::new("token"));
    let now = Timestamp::EPOCH;
    let request =
        Request::post("http://localhost/").header("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    let mut parts = request.body(()).unwrap().into_parts().0;
    signer(&secret, &token, "logs")
        .sign_headers(&mut parts, PayloadHash::Unsigned, now)
        .unwrap();
    let presented = Presented::parse(&parts).unwrap().unwrap();
    let error = presented.verify(&parts, None, &secret, now).unwrap_err();
    assert_eq!(error, SigV4Error::PayloadHashAbsent);
    let error = presented
        .verify(&parts, Some(&sha256(b"")), &secret, now)
        .unwrap_err();
    assert!(matches!(error, SigV4Error::SignatureMismatch(_)), "{error}");
}

#[test]
fn a_bare_secret_in_the_authorization_header_is_not_repeated() {
    let (mut case, ..) = case_named("json logs");
    *case.header("authorization") = "topsecret".to_owned();
    let error = refused(&case);
    let told = format!(
        "{error:?} {error} {:?} {:?}",
        error.s3(),
        error.aws(Family::Json)
    );
    assert!(!told.contains("topsecret"), "{told}");
}

#[test]
fn a_mismatch_tells_its_author_both_texts() {
    let (case, _, now) = case_named("json logs");
    let error = accept(&case, &SecretKey::new("wrong"), now, &case.body()).unwrap_err();
    let answer = error.s3();
    assert_eq!(
        (answer.code, answer.status),
        ("SignatureDoesNotMatch", StatusCode::FORBIDDEN)
    );
    let names: Vec<&str> = answer.details.iter().map(|(name, _)| *name).collect();
    let expected = [
        "AWSAccessKeyId",
        "StringToSign",
        "SignatureProvided",
        "StringToSignBytes",
        "CanonicalRequest",
        "CanonicalRequestBytes",
    ];
    assert_eq!(names, expected);
    assert!(
        answer.details[1]
            .1
            .starts_with("AWS4-HMAC-SHA256\n20261123T190449Z\n20261123/eu-west-1/")
    );
    assert!(
        answer.details[4]
            .1
            .starts_with("POST\n/\n\ncontent-type:application/x-amz-json-1.1\n")
    );
    let text = error.aws(Family::Json).message;
    assert!(
        text.contains("The String-to-Sign should have been\n'AWS4-HMAC-SHA256\n"),
        "{text}"
    );
}

#[test]
fn skew_is_told_in_the_words_of_aws() {
    let at = |text| Timestamp::from_amz_date(text).unwrap();
    let error = SigV4Error::Skewed {
        signed_at: at("20261123T190000Z"),
        now: at("20261123T193000Z"),
    };
    assert_eq!(
        error.aws(Family::Json).message,
        "Signature expired: 20261123T190000Z is now earlier than 20261123T191500Z \
         (20261123T193000Z - 15 min.)"
    );
    let error = SigV4Error::Skewed {
        signed_at: at("20261123T193000Z"),
        now: at("20261123T190000Z"),
    };
    assert_eq!(
        error.aws(Family::Json).message,
        "Signature not yet current: 20261123T193000Z is still later than 20261123T191500Z \
         (20261123T190000Z + 15 min.)"
    );
    assert_eq!(error.s3().code, "RequestTimeTooSkewed");
}

#[test]
fn unknown_keys_and_dead_sessions_have_codes_that_waiters_stop_at() {
    let unknown = SigV4Error::UnknownAccessKey {
        access_key_id: "AKID".into(),
    };
    let cases = [
        (
            SigV4Error::Missing,
            "MissingAuthenticationTokenException",
            "MissingAuthenticationToken",
            "AccessDenied",
        ),
        (
            unknown,
            "UnrecognizedClientException",
            "InvalidClientTokenId",
            "InvalidAccessKeyId",
        ),
        (
            SigV4Error::TokenExpired,
            "ExpiredTokenException",
            "ExpiredToken",
            "ExpiredToken",
        ),
        (
            SigV4Error::TokenInvalid,
            "UnrecognizedClientException",
            "InvalidClientTokenId",
            "InvalidToken",
        ),
    ];
    for (error, json, query, s3) in cases {
        assert_eq!(error.aws(Family::Json).code, json);
        assert_eq!(error.aws(Family::Json).status, StatusCode::BAD_REQUEST);
        assert_eq!(error.aws(Family::RestJson).code, json);
        assert_eq!(error.aws(Family::RestJson).status, StatusCode::FORBIDDEN);
        assert_eq!(error.aws(Family::Query).code, query);
        assert_eq!(error.s3().code, s3);
    }
}

fn signer<'a>(secret: &'a SecretKey, token: &'a SessionToken, service: &'a str) -> Signer<'a> {
    Signer {
        access_key_id: "AKID",
        secret,
        session_token: Some(token),
        region: "us-east-1",
        service,
    }
}

proptest! {
    /// What our own client signs, our own server accepts.
    #[test]
    fn what_is_signed_verifies(
        path in "(/[a-zA-Z0-9%!$&'()*+,;=:@._~-]{0,8}){1,4}",
        query in "[a-zA-Z0-9%!$&'()*+,;=:@/?._~-]{0,30}",
        value in "[ -~\u{e9}]{0,20}",
        body in any::<Vec<u8>>(),
        s3 in any::<bool>(),
        presigned in any::<bool>(),
    ) {
        let uri: http::Uri = format!("http://localhost:7070{path}?{query}").parse().unwrap();
        let mut request = Request::put(uri);
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            request = request.header("x-amz-meta-a", value);
        }
        let mut parts = request.body(()).unwrap().into_parts().0;
        let (secret, token) = (SecretKey::new("secret"), SessionToken::new("a+b/=="));
        let signer = signer(&secret, &token, if s3 { "s3" } else { "logs" });
        let now = Timestamp::from_millis(1_795_460_689_123);
        let body = if presigned { Vec::new() } else { body };
        let digest = sha256(&body);
        if presigned {
            signer.presign(&mut parts, Duration::from_secs(60), now).unwrap();
        } else {
            signer.sign_headers(&mut parts, PayloadHash::Sha256(digest), now).unwrap();
        }
        let presented = Presented::parse(&parts).unwrap().unwrap();
        prop_assert!(presented.session_token.as_ref().unwrap().matches("a+b/=="));
        presented.expect_scope(signer.service, &["us-east-1"]).unwrap();
        presented.verify(&parts, Some(&digest), &secret, now).unwrap();
        let wrong = presented.verify(&parts, Some(&digest), &SecretKey::new("other"), now);
        prop_assert!(matches!(wrong, Err(SigV4Error::SignatureMismatch(_))));
    }

    /// Anyone may send anything.
    #[test]
    fn nonsense_is_refused_without_a_panic(
        target in prop_oneof![
            any::<Vec<u8>>(),
            "/[ -~]{0,60}".prop_map(String::into_bytes),
            "/\\?(X-Amz-(Algorithm|Credential|Date|Expires|SignedHeaders|Signature)=[!-~]{0,20}&){0,7}"
                .prop_map(String::into_bytes),
        ],
        headers in prop::collection::vec((
            prop_oneof![
                Just("authorization"), Just("x-amz-date"), Just("date"), Just("host"),
                Just("x-amz-content-sha256"), Just("x-amz-security-token"), Just("x-amz-target"),
            ],
            prop_oneof![
                any::<Vec<u8>>(),
                "AWS4-HMAC-SHA256 (Credential=([!-~]{0,4}/){0,4}aws4_request|SignedHeaders=[a-z;]{0,9}|Signature=[0-9a-f]{0,9}|, ){0,5}"
                    .prop_map(String::into_bytes),
                Just(b"20261123T190449Z".to_vec()),
            ],
        ), 0..6),
    ) {
        let Ok(uri) = http::Uri::from_maybe_shared(bytes::Bytes::from(target)) else {
            return Ok(());
        };
        let mut parts = Request::get(uri).body(()).unwrap().into_parts().0;
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                parts.headers.append(HeaderName::from_static(name), value);
            }
        }
        let now = Timestamp::from_amz_date("20261123T190449Z").unwrap();
        match Presented::parse(&parts) {
            Ok(None) => prop_assert!(!parts.headers.contains_key("authorization")),
            Ok(Some(presented)) => {
                let secret = SecretKey::new("secret");
                let error = presented.verify(&parts, Some(&sha256(b"")), &secret, now).unwrap_err();
                prop_assert!(!error.s3().message.is_empty());
            }
            Err(error) => prop_assert!(!error.aws(Family::Query).message.is_empty()),
        }
    }
}

#[test]
fn the_worked_examples_of_the_s3_documentation_verify() {
    // Amazon S3 API Reference, "Signature Calculations for the Authorization Header" and
    // "Authenticating Requests: Using Query Parameters".
    let secret = SecretKey::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
    let now = Timestamp::from_amz_date("20130524T000000Z").unwrap();
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let request = Request::get("/test.txt")
        .header("host", "examplebucket.s3.amazonaws.com")
        .header("range", "bytes=0-9")
        .header("x-amz-content-sha256", empty)
        .header("x-amz-date", "20130524T000000Z")
        .header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
             SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,\
             Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        );
    let presigned = Request::get(
        "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE\
         %2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z\
         &X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=\
         aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
    )
    .header("host", "examplebucket.s3.amazonaws.com");
    for request in [request, presigned] {
        let parts = request.body(()).unwrap().into_parts().0;
        let presented = Presented::parse(&parts).unwrap().unwrap();
        presented.verify(&parts, None, &secret, now).unwrap();
    }
}
