//! Uploads by forms, and buckets named by the host.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use sightline_ports::Clock;
use sightline_wire::sigv4::{Credential, SecretKey, SigningKey};

use crate::world::{Answer, Ask, World};

/// A form for the default bucket whose policy has these conditions beside the bucket's.
struct Form<'w> {
    world: &'w World,
    fields: Vec<(String, String)>,
    conditions: Vec<serde_json::Value>,
    secret: String,
    expires: String,
}

impl<'w> Form<'w> {
    fn new(world: &'w World, key: &str) -> Self {
        let date = world.clock.now().amz_date();
        let credential = format!(
            "{}/{}/us-east-1/s3/aws4_request",
            world.root().id,
            &date[..8]
        );
        let form = Self {
            world,
            fields: Vec::new(),
            conditions: vec![serde_json::json!({"bucket": world.assembly.default_bucket})],
            secret: world.root().secret.reveal().to_owned(),
            expires: world.clock.now().plus(Duration::from_secs(60)).iso8601(),
        };
        form.with("key", key)
            .with("x-amz-algorithm", "AWS4-HMAC-SHA256")
            .with("x-amz-credential", &credential)
            .with("x-amz-date", &date)
    }

    /// A field that the policy allows.
    fn with(mut self, name: &str, value: &str) -> Self {
        self.conditions
            .push(serde_json::json!({ name: value.replace("${filename}", "f.txt") }));
        self.field(name, value)
    }

    /// A field that it does not.
    fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    fn allowing(mut self, condition: serde_json::Value) -> Self {
        self.conditions.push(condition);
        self
    }

    async fn send(self, file: &str) -> Answer {
        use base64::Engine as _;
        let clock = &self.world.clock;
        let policy = serde_json::json!({
            "expiration": self.expires,
            "conditions": self.conditions,
        });
        let policy = base64::engine::general_purpose::STANDARD.encode(policy.to_string());
        let date = clock.now().amz_date();
        let credential = Credential {
            access_key_id: self.world.root().id.as_str().into(),
            date: date[..8].into(),
            region: "us-east-1".into(),
            service: "s3".into(),
        };
        let key = SigningKey::of(&SecretKey::new(self.secret), &credential);
        let signature = key.sign(policy.as_bytes()).as_str().to_owned();
        let mut body = String::new();
        let signed = [
            ("policy".to_owned(), policy),
            ("x-amz-signature".to_owned(), signature),
        ];
        for (name, value) in self.fields.into_iter().chain(signed) {
            body.push_str(&format!(
                "--XX\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            ));
        }
        body.push_str(&format!(
            "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"C:\\x\\f.txt\"\r\n\
             Content-Type: text/x-ignored\r\n\r\n{file}\r\n--XX\r\nContent-Disposition: form-data; \
             name=\"after\"\r\n\r\nignored\r\n--XX--\r\n"
        ));
        let request = http::Request::post(format!("/{}", self.world.assembly.default_bucket))
            .header("host", "127.0.0.1:7070")
            .header("content-type", "multipart/form-data; boundary=XX");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        self.world.send(parts, Bytes::from(body)).await
    }
}

async fn get(world: &World, key: &str) -> Answer {
    let target = format!("/{}/{key}", world.assembly.default_bucket);
    world.ask(Ask::s3(Method::GET, &target, "")).await
}

#[tokio::test]
async fn a_form_writes_the_object_that_its_policy_allows() {
    let world = World::new().await;
    let sent = Form::new(&world, "in/${filename}")
        .with("Content-Type", "text/csv")
        .with("x-amz-meta-team", "fraud")
        .field("x-ignore-me", "x")
        .send("hello\r\n--X world")
        .await;
    assert_eq!((sent.status, sent.text.as_str()), (204, ""));
    let got = get(&world, "in/f.txt").await;
    assert_eq!((got.status, got.text.as_str()), (200, "hello\r\n--X world"));
    assert_eq!(got.headers["content-type"], "text/csv");
    assert_eq!(got.headers["x-amz-meta-team"], "fraud");
    assert_eq!(sent.headers["etag"], got.headers["etag"]);
    assert_eq!(world.events("PostObject").await.len(), 1);
}

#[tokio::test]
async fn a_form_is_answered_as_it_wants() {
    let world = World::new().await;
    let created = Form::new(&world, "a b")
        .with("success_action_status", "201")
        .send("x")
        .await;
    assert_eq!(created.status, 201);
    assert!(created.text.contains("<Key>a b</Key>"), "{}", created.text);
    let to = "https://example.org/done?x=1";
    let sent = Form::new(&world, "k")
        .with("success_action_redirect", to)
        .send("x")
        .await;
    assert_eq!(sent.status, 303);
    let location = sent.headers["location"].to_str().unwrap();
    assert!(
        location.starts_with("https://example.org/done?x=1&bucket="),
        "{location}"
    );
    assert!(location.contains("&key=k&etag=%22"), "{location}");
}

#[tokio::test]
async fn what_the_policy_does_not_allow_writes_nothing() {
    let world = World::new().await;
    let range = || serde_json::json!(["content-length-range", 2, 4]);
    let mut forged = Form::new(&world, "k");
    forged.secret = "another".to_owned();
    let refused = [
        (
            Form::new(&world, "k")
                .field("acl", "private")
                .send("x")
                .await,
            403,
            "AccessDenied",
        ),
        (
            Form::new(&world, "k").allowing(range()).send("x").await,
            400,
            "EntityTooSmall",
        ),
        (
            Form::new(&world, "k").allowing(range()).send("xxxxx").await,
            400,
            "EntityTooLarge",
        ),
        (
            Form::new(&world, "k")
                .allowing(serde_json::json!(["starts-with", "$key", "in/"]))
                .send("x")
                .await,
            403,
            "AccessDenied",
        ),
        (forged.send("x").await, 403, "SignatureDoesNotMatch"),
        (
            Form::new(&world, "").send("x").await,
            400,
            "InvalidArgument",
        ),
    ];
    for (answer, status, code) in refused {
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{}",
            answer.text
        );
    }
    assert_eq!(get(&world, "k").await.status, 404);
}

#[tokio::test]
async fn a_policy_ends() {
    let world = World::new().await;
    let form = Form::new(&world, "k");
    world.clock.advance(Duration::from_secs(61));
    let sent = form.send("x").await;
    assert_eq!((sent.status, sent.code().as_str()), (403, "AccessDenied"));
    assert!(sent.text.contains("Policy expired"), "{}", sent.text);
}

#[tokio::test]
async fn a_bucket_may_stand_in_the_host() {
    let world = World::new().await;
    let bucket = world.assembly.default_bucket.clone();
    let at = |method, target: &str, body: &'static str| {
        let host = format!("{bucket}.localhost:7070");
        Ask::s3(method, target, body).with("host", host)
    };
    let put = world.ask(at(Method::PUT, "/a//b%2Fc", "hello")).await;
    assert_eq!(put.status, 200, "{}", put.text);
    assert_eq!(get(&world, "a//b%2Fc").await.text, "hello");
    let listed = world.ask(at(Method::GET, "/?list-type=2", "")).await;
    assert!(listed.text.contains("<Key>a//b/c</Key>"), "{}", listed.text);
    let mut parts = world.signed(&at(Method::GET, "/a//b%2Fc", ""), world.root());
    let elsewhere = http::HeaderValue::from_static("other.localhost:7070");
    parts.headers.insert("host", elsewhere);
    let forged = world.send(parts, Bytes::new()).await;
    assert_eq!(forged.code(), "SignatureDoesNotMatch");
}
