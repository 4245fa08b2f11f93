//! Identity over a real store.

#![expect(clippy::unwrap_used, reason = "a failed step of a test is its failure")]

mod boundary;
mod cases;
mod laws;
mod people;
mod secrets;

use std::sync::Arc;
use std::time::Duration;

use sightline_identity::{Error, Grant, Grants, Identity, NewSession};
use sightline_types::{Arn, Caller, Cx, OperationName, Recorded, RequestId, Timestamp};

const NOW: i64 = 1_795_460_689_000;

pub(crate) fn now() -> Timestamp {
    Timestamp::from_millis(NOW)
}

pub(crate) async fn open(dir: &tempfile::TempDir) -> Identity {
    let meta = sightline_testkit::store::open(dir.path());
    let region = "us-east-1".parse().unwrap();
    let secret_key = dir.path().join("secret.key");
    Identity::open(meta, region, &secret_key, now())
        .await
        .unwrap()
}

pub(crate) fn cx(identity: &Identity, caller: &Caller) -> Arc<Cx> {
    Arc::new(Cx {
        request_id: RequestId::random(),
        received_at: now(),
        account: identity.account().clone(),
        region: identity.region().clone(),
        caller: caller.clone(),
        source: "127.0.0.1".to_owned(),
        tls: None,
        signed: None,
        user_agent: String::new(),
        operation: OperationName {
            source: "s3.amazonaws.com",
            name: "GetObject",
            read_only: true,
        },
        parameters: None,
        recorded: Recorded::default(),
    })
}

fn session(expires_at: Timestamp) -> NewSession {
    NewSession {
        role_name: "SightlineExecutionRole".to_owned(),
        session_name: "job-1".to_owned(),
        grants: Grants::Only(vec![Grant {
            actions: vec!["s3:GetObject".to_owned()],
            resources: vec!["arn:aws:s3:::b/in/*".to_owned()],
            ..Grant::default()
        }]),
        expires_at,
    }
}

#[tokio::test]
async fn account_and_root_key_outlive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(&dir).await;
    let key = first.root_key().await.unwrap();
    let account = first.account().clone();
    drop(first);
    let second = open(&dir).await;
    assert_eq!(second.account(), &account);
    assert_eq!(second.root_key().await.unwrap(), key);
}

#[tokio::test]
async fn a_session_may_do_what_it_was_granted_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let identity = open(&dir).await;
    let later = now().plus(Duration::from_secs(60));
    let key = identity.begin_session(session(later), now()).await.unwrap();
    let cx = cx(&identity, &key.caller);
    let permit = identity
        .permit(&cx, "s3:GetObject", Arn::s3("b", Some("in/x")))
        .unwrap();
    assert_eq!(
        (permit.action(), permit.resource().as_str()),
        ("s3:GetObject", "arn:aws:s3:::b/in/x")
    );
    let refused = [
        ("s3:GetObject", Arn::s3("b", Some("out/x"))),
        ("s3:PutObject", Arn::s3("b", Some("in/x"))),
    ];
    for (action, resource) in refused {
        let Err(error @ Error::Denied { .. }) = identity.permit(&cx, action, resource) else {
            panic!("{action} must be denied")
        };
        assert!(
            error.to_string().starts_with("User: arn:aws:sts::"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn an_ended_or_expired_session_is_gone_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let identity = open(&dir).await;
    let ended = identity
        .begin_session(session(now().plus(Duration::from_secs(9))), now())
        .await;
    let ended = ended.unwrap();
    identity.end_session(&ended.id).await.unwrap();
    assert!(identity.key(&ended.id).is_none());
    let earlier = Timestamp::from_millis(NOW - 1);
    let expired = identity
        .begin_session(session(earlier), now())
        .await
        .unwrap();
    let kept = identity.begin_session(session(now()), now()).await.unwrap();
    drop(identity);
    let identity = open(&dir).await;
    assert!(identity.key(&ended.id).is_none());
    assert!(identity.key(&expired.id).is_none());
    assert_eq!(identity.key(&kept.id), Some(kept));
}

#[tokio::test]
async fn a_key_that_no_longer_exists_is_denied() {
    let dir = tempfile::tempdir().unwrap();
    let identity = open(&dir).await;
    let key = identity.begin_session(session(now()), now()).await.unwrap();
    identity.end_session(&key.id).await.unwrap();
    let cx = cx(&identity, &key.caller);
    assert!(
        identity
            .permit(&cx, "s3:GetObject", Arn::s3("b", Some("in/x")))
            .is_err()
    );
}
