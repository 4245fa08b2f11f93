//! The verifier against URLs that botocore made, against changes to them, and against nonsense.

use http::{Request, StatusCode};
use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::sigv4;

#[derive(Deserialize)]
struct Oracle {
    now: String,
    access_key_id: String,
    secret: String,
    token: String,
    signed_parameters: Vec<String>,
    operation_words: Vec<String>,
    member_parameters: Vec<String>,
    cases: Vec<Case>,
}

#[derive(Clone, Deserialize)]
struct Case {
    name: String,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    string_to_sign: String,
    expires: i64,
}

/// Cases made by oracles/sigv2.py; `make oracles` regenerates them.
fn oracle() -> Oracle {
    let text = include_str!("../../../../oracles/sigv2.json");
    let oracle: Oracle = serde_json::from_str(text).unwrap();
    assert!(oracle.cases.len() >= 40, "the oracle file must not shrink");
    oracle
}

impl Oracle {
    fn case(&self, wanted: impl Fn(&Case) -> bool) -> Case {
        self.cases.iter().find(|case| wanted(case)).unwrap().clone()
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_amz_date(&self.now).unwrap()
    }

    /// Verifies as a server does, which has one key.
    fn accept(&self, case: &Case) -> Result<Parts, SigV4Error> {
        let mut parts = case.parts().ok_or(SigV4Error::Missing)?;
        let presented = Presented::parse(&mut parts)?.ok_or(SigV4Error::Missing)?;
        let access_key_id = presented.access_key_id.to_string();
        if access_key_id != self.access_key_id {
            return Err(SigV4Error::UnknownAccessKey { access_key_id });
        }
        presented.verify(&SecretKey::new(&*self.secret), self.now())?;
        Ok(parts)
    }
}

impl Case {
    /// `None` for what no HTTP server would read as a request.
    fn parts(&self) -> Option<Parts> {
        let mut request = Request::builder().method(&*self.method).uri(&*self.target);
        for (name, value) in &self.headers {
            request = request.header(name, &**value);
        }
        Some(request.body(()).ok()?.into_parts().0)
    }

    fn presented(&self) -> Result<Option<Presented>, SigV4Error> {
        Presented::parse(&mut self.parts().unwrap())
    }

    fn with_target(&self, change: impl Fn(&str) -> String) -> Self {
        let target = change(&self.target);
        assert_ne!(target, self.target);
        Self {
            target,
            ..self.clone()
        }
    }

    fn with_header(&self, name: &str, value: &str) -> Self {
        let mut changed = self.clone();
        changed.headers.retain(|(have, _)| have != name);
        changed.headers.push((name.into(), value.into()));
        changed
    }
}

fn version_2(error: SigV4Error) -> SigV2Error {
    let SigV4Error::Version2(error) = error else {
        panic!("{error:?}");
    };
    error
}

fn is_mismatch<T>(result: Result<T, SigV4Error>) -> bool {
    result.is_err_and(|error| error.s3().code == "SignatureDoesNotMatch")
}

#[test]
fn every_url_that_botocore_presigns_verifies() {
    let oracle = oracle();
    for case in &oracle.cases {
        let presented = case.presented().unwrap().unwrap();
        assert_eq!(
            presented.string_to_sign, case.string_to_sign,
            "{}",
            case.name
        );
        assert_eq!(
            presented.expires_at.millis(),
            case.expires * 1000,
            "{}",
            case.name
        );
        assert_eq!(presented.payload, PayloadHash::Unsigned, "{}", case.name);
        let has_token = case.target.contains("x-amz-security-token");
        assert_eq!(
            presented.session_token.is_some(),
            has_token,
            "{}",
            case.name
        );
        let token = presented.session_token.as_ref();
        assert!(
            token.is_none_or(|token| token.matches(&oracle.token)),
            "{}",
            case.name
        );
        let debug = format!("{presented:?}");
        assert!(!debug.contains(&oracle.token), "{debug}");
        let accepted = oracle.accept(case);
        accepted.unwrap_or_else(|error| panic!("{}: {error:?}", case.name));
    }
}

/// Whether the byte at `at` belongs to values that version 2 leaves to the holder of the URL.
fn is_unsigned(target: &str, at: usize) -> bool {
    let free = |pair: &str| {
        let name = pair.split_once('=').map(|(name, _)| name);
        name.is_some_and(|name| UNSIGNED_PARAMETERS.contains(&name))
    };
    let Some((path, query)) = target.split_once('?') else {
        return false;
    };
    let mut start = path.len() + 1;
    let mut before = false;
    for pair in query.split('&') {
        let end = start + pair.len();
        // Between two such parameters, the `&` too: without it the former's value is longer.
        if at + 1 == start {
            return before && free(pair);
        }
        if (start..end).contains(&at) {
            let value = start + pair.find('=').map_or(pair.len(), |equals| equals + 1);
            return free(pair) && at >= value;
        }
        before = free(pair);
        start = end + 1;
    }
    false
}

#[test]
fn no_byte_of_what_is_signed_can_be_changed() {
    let oracle = oracle();
    let mut tried = 0;
    for case in &oracle.cases {
        // Where the client sends a header, its copy in the query means nothing.
        let bare = case.headers.is_empty();
        for (at, byte) in case.target.bytes().enumerate() {
            let mut changed = case.clone();
            let other = if byte == b'q' { "w" } else { "q" };
            changed.target.replace_range(at..=at, other);
            if bare && !is_unsigned(&case.target, at) {
                assert!(
                    oracle.accept(&changed).is_err(),
                    "{}: {}",
                    case.name,
                    changed.target
                );
                tried += 1;
            }
        }
        for method in ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH"] {
            let changed = Case {
                method: method.into(),
                ..case.clone()
            };
            let same = method == case.method;
            assert_eq!(
                is_mismatch(oracle.accept(&changed)),
                !same,
                "{method} {}",
                case.name
            );
        }
    }
    assert!(tried > 5_000, "{tried}");
}

#[test]
fn another_secret_does_not_verify() {
    let oracle = oracle();
    for case in &oracle.cases {
        let presented = case.presented().unwrap().unwrap();
        for secret in [
            format!("{}x", oracle.secret),
            oracle.secret.to_lowercase(),
            String::new(),
        ] {
            let result = presented.verify(&SecretKey::new(secret), oracle.now());
            assert!(is_mismatch(result), "{}", case.name);
        }
    }
}

#[test]
fn a_mismatch_shows_what_should_have_been_signed() {
    let oracle = oracle();
    let case = oracle.cases[0].clone();
    let changed = Case {
        method: "PUT".into(),
        ..case
    };
    let error = oracle.accept(&changed).unwrap_err();
    let answer = error.s3();
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let string_to_sign = "PUT\n\n\n1795464289\n/bucket/k";
    let detail = |name| {
        answer
            .details
            .iter()
            .find(|(have, _)| *have == name)
            .unwrap()
            .1
            .clone()
    };
    assert_eq!(detail("AWSAccessKeyId"), oracle.access_key_id);
    assert_eq!(detail("StringToSign"), string_to_sign);
    assert_eq!(detail("SignatureProvided"), "kl7dqNaR0mG0a4hGbtbfZirUtXw=");
    assert!(detail("StringToSignBytes").starts_with("50 55 54 0a 0a 0a 31"));
}

#[test]
fn a_url_ends_when_it_says() {
    let oracle = oracle();
    let secret = SecretKey::new(&*oracle.secret);
    for case in &oracle.cases {
        let presented = case.presented().unwrap().unwrap();
        let end = case.expires * 1000;
        presented
            .verify(&secret, Timestamp::from_millis(end))
            .unwrap();
        let late = Timestamp::from_millis(end + 1);
        let error = presented.verify(&secret, late).unwrap_err();
        let answer = error.s3();
        let told = (answer.code, answer.status, &*answer.message);
        assert_eq!(
            told,
            ("AccessDenied", StatusCode::FORBIDDEN, "Request has expired")
        );
        let expected = [
            ("Expires", Timestamp::from_millis(end).iso8601()),
            ("ServerTime", late.iso8601()),
        ];
        assert_eq!(answer.details, expected);
    }
}

#[test]
fn the_listing_parameters_are_the_holders_choice() {
    let oracle = oracle();
    let case = oracle.case(|case| case.target.contains("list-type=2"));
    let other = case.with_target(|target| target.replace("prefix=a", "prefix=b"));
    oracle.accept(&other).unwrap();
}

#[test]
fn a_parameter_that_could_steer_the_request_is_refused() {
    let oracle = oracle();
    let put = oracle.case(|case| case.method == "PUT");
    for added in [
        "retention",
        "legal-hold=",
        "%72etention",
        "id=1",
        "foo=bar",
        "X-Amz-Acl=x",
    ] {
        let changed = put.with_target(|target| format!("{target}&{added}"));
        let error = version_2(oracle.accept(&changed).unwrap_err());
        assert!(
            matches!(error, SigV2Error::NotSigned { .. }),
            "{added}: {error:?}"
        );
        assert_eq!(error.s3().code, "AccessDenied");
    }
    // A signed word in disguise is the same word to whoever routes the request.
    for added in ["acl", "%61cl", "uploads", "tagging=", "versionId=1"] {
        let changed = put.with_target(|target| format!("{target}&{added}"));
        assert!(is_mismatch(oracle.accept(&changed)), "{added}");
    }
}

#[test]
fn the_lists_cover_what_botocore_signs_and_no_word_that_chooses_an_operation() {
    let oracle = oracle();
    assert_eq!(SIGNED_PARAMETERS, oracle.signed_parameters);
    assert!(UNSIGNED_PARAMETERS.is_sorted());
    let unsigned = |word: &&String| UNSIGNED_PARAMETERS.contains(&word.as_str());
    let words: Vec<_> = oracle.operation_words.iter().filter(unsigned).collect();
    assert_eq!(words, ["list-type"], "two spellings of one right");
    for name in UNSIGNED_PARAMETERS {
        let known = oracle.member_parameters.iter().any(|have| have == name);
        assert!(known || *name == "list-type", "{name}");
        assert!(!SIGNED_PARAMETERS.contains(name), "{name}");
    }
}

#[test]
fn headers_in_the_query_become_headers_of_the_request() {
    let oracle = oracle();
    let bare = oracle.case(|case| case.target.contains("x-amz-acl") && case.headers.is_empty());
    let headers = oracle.accept(&bare).unwrap().headers;
    for (name, value) in [
        ("content-md5", "rL0Y20zC+Fzt72VPzMSk2A=="),
        ("x-amz-acl", "private"),
        ("x-amz-meta-empty", ""),
        ("x-amz-meta-note", "a  b"),
        ("x-amz-meta-zebra", "1"),
        ("x-amz-security-token", &oracle.token),
    ] {
        assert_eq!(headers.get(name).unwrap(), value, "{name}");
    }
}

#[test]
fn a_header_sent_goes_first_and_must_be_the_one_signed() {
    let oracle = oracle();
    let typed = oracle.case(|case| case.target.contains("&content-type="));
    let right = typed.with_header("content-type", "text/csv; charset=utf-8");
    assert_eq!(oracle.accept(&right).unwrap().headers.len(), 1);
    assert!(is_mismatch(
        oracle.accept(&typed.with_header("content-type", "text/html"))
    ));

    let plain = oracle.cases[0].clone();
    for name in ["content-type", "content-md5", "x-amz-acl", "x-amz-date"] {
        assert!(
            is_mismatch(oracle.accept(&plain.with_header(name, "1"))),
            "{name}"
        );
    }
    for name in ["date", "range", "x-amzn-trace-id", "user-agent"] {
        oracle.accept(&plain.with_header(name, "1")).unwrap();
    }

    let temporary = oracle.case(|case| case.target.contains("x-amz-security-token"));
    let changed = temporary.with_header("x-amz-security-token", "other");
    assert!(
        changed
            .presented()
            .unwrap()
            .unwrap()
            .session_token
            .unwrap()
            .matches("other")
    );
    assert!(is_mismatch(oracle.accept(&changed)));
}

#[test]
fn one_signed_line_cannot_pass_for_two() {
    let oracle = oracle();
    let target = "/b/k?AWSAccessKeyId=K&Signature=AAAA&Expires=9999999999&x-amz-a=1";
    let (method, headers) = ("GET".to_owned(), vec![]);
    let case = Case {
        target: target.into(),
        method,
        headers,
        ..oracle.cases[0].clone()
    };
    assert!(is_mismatch(
        case.presented()
            .unwrap()
            .unwrap()
            .verify(&SecretKey::new(&*oracle.secret), oracle.now())
    ));
    for added in ["%0Ax-amz-b:2", "%0D", "%00"] {
        let changed = case.with_target(|target| format!("{target}{added}"));
        let error = version_2(changed.presented().unwrap_err());
        assert_eq!(
            error,
            SigV2Error::Malformed {
                name: "x-amz-a".into()
            },
            "{added}"
        );
    }
}

#[test]
fn a_declared_payload_hash_is_kept_but_framing_is_not_served() {
    let case = oracle().cases[0].clone();
    let hash = sigv4::sha256(b"hello");
    let declared = case.with_header("x-amz-content-sha256", &hash.to_string());
    let payload = declared.presented().unwrap().unwrap().payload;
    assert_eq!(payload, PayloadHash::Sha256(hash));
    for framing in [
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    ] {
        let error = case
            .with_header("x-amz-content-sha256", framing)
            .presented()
            .unwrap_err();
        assert_eq!(
            error,
            SigV4Error::PayloadHashInvalid {
                got: framing.into()
            }
        );
    }
}

#[test]
fn what_is_incomplete_or_unreadable_is_named() {
    let case = oracle().cases[0].clone();
    for (query, code, text) in [
        (
            "AWSAccessKeyId=K",
            "AccessDenied",
            "Query-string authentication requires",
        ),
        (
            "AWSAccessKeyId&Signature=s&Expires=1",
            "AccessDenied",
            "Query-string authentication",
        ),
        (
            "Signature=s&Expires=1",
            "AccessDenied",
            "Query-string authentication requires",
        ),
        (
            "AWSAccessKeyId=K&Signature=s&Expires=",
            "AccessDenied",
            "Invalid date (should be",
        ),
        (
            "AWSAccessKeyId=K&Signature=s&Expires=%2B1",
            "AccessDenied",
            "Invalid date (should be",
        ),
        (
            "AWSAccessKeyId=K&Signature=s&Expires=1e9",
            "AccessDenied",
            "Invalid date (should be",
        ),
        (
            "AWSAccessKeyId=K&Signature=s&Expires=1&Expires=2",
            "InvalidArgument",
            "The parameter",
        ),
        (
            "AWSAccessKeyId=K&Signature=%zz&Expires=1",
            "InvalidArgument",
            "The parameter",
        ),
        (
            "AWSAccessKeyId=K&Signature=s&Expires=1&x-amz-%C3%A9=",
            "InvalidArgument",
            "The parame",
        ),
    ] {
        let changed = case.with_target(|_| format!("/bucket/k?{query}"));
        let answer = changed.presented().unwrap_err().s3();
        assert_eq!(answer.code, code, "{query}");
        assert!(
            answer.message.starts_with(text),
            "{query}: {}",
            answer.message
        );
    }
}

#[test]
fn only_queries_of_this_version_are_claimed() {
    let case = oracle().cases[0].clone();
    for query in [
        "",
        "Expires=1",
        "awsaccesskeyid=K",
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&AWSAccessKeyId=K",
        "Action=GetUser&AWSAccessKeyId=K&Signature=s&SignatureVersion=2",
    ] {
        let changed = case.with_target(|_| format!("/bucket/k?{query}"));
        assert!(changed.presented().unwrap().is_none(), "{query}");
    }
    let both = case.with_header("authorization", "AWS4-HMAC-SHA256 Credential=K");
    assert_eq!(both.presented().unwrap_err(), SigV4Error::TwoMechanisms);
}

#[test]
fn a_version_2_header_is_told_to_move_on() {
    let case = oracle().cases[0].with_target(|_| "/bucket/k".into());
    let signed = case.with_header(
        "authorization",
        "AWS AKIDEXAMPLE:kl7dqNaR0mG0a4hGbtbfZirUtXw=",
    );
    assert!(signed.presented().unwrap().is_none());
    let error = sigv4::Presented::parse(&signed.parts().unwrap()).unwrap_err();
    let answer = error.s3();
    assert_eq!(answer.code, "InvalidRequest");
    assert!(
        answer.message.ends_with("Please use AWS4-HMAC-SHA256."),
        "{}",
        answer.message
    );
}

proptest! {
    #[test]
    fn nonsense_is_never_authentic(
        path in "/[a-z%./]{0,20}",
        query in "([a-zA-Z0-9%+&=_-]|Expires=9999999999&|Signature=|x-amz-){0,40}",
    ) {
        let oracle = oracle();
        let target = format!("{path}?{query}&AWSAccessKeyId={}", oracle.access_key_id);
        let case = Case { target, ..oracle.cases[0].clone() };
        prop_assert!(oracle.accept(&case).is_err());
    }
}
