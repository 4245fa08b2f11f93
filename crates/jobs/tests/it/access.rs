//! What a running job may do, and how far it reaches.

use sightline_identity::policy::Context;
use sightline_identity::{Grant, Grants};
use sightline_ports::Network;

use crate::scripts::{holding, id, input, output, processing};
use crate::world::World;

#[tokio::test]
async fn a_job_has_a_key_for_its_own_needs_while_it_runs() {
    let (launcher, mut held) = holding();
    let world = World::new(launcher).await;
    world.put("s3://bkt/in/a.csv", "x").await;
    let mut spec = processing("job");
    spec.inputs = vec![input("raw", "s3://bkt/in/", "processing/input")];
    spec.outputs = vec![output()];
    world.create(spec.clone()).await;
    let instance = held.next().await;
    let key_id = instance.variable("AWS_ACCESS_KEY_ID").unwrap().to_owned();
    let key = world.key(&key_id).unwrap();
    let given = |name: &str| instance.variable(name).unwrap().to_owned();
    assert_eq!(given("AWS_SECRET_ACCESS_KEY"), key.secret.reveal());
    let token = key.session_token.as_ref().unwrap();
    assert_eq!(given("AWS_SESSION_TOKEN"), token.reveal());
    assert_eq!(key.caller.user_name, "job");
    let account = world.identity.account();
    let job = |name: &str| format!("arn:aws:sagemaker:us-east-1:{account}:processing-job/{name}");
    let cases = [
        ("s3:GetObject", "arn:aws:s3:::bkt/in/a.csv", true),
        ("s3:GetObject", "arn:aws:s3:::bkt/other", false),
        ("s3:PutObject", "arn:aws:s3:::bkt/in/a.csv", false),
        ("s3:PutObject", "arn:aws:s3:::bkt/out/b.csv", true),
        ("s3:GetObject", "arn:aws:s3:::bkt/out/b.csv", true),
        ("s3:PutObject", "arn:aws:s3:::bkt/outer/b.csv", false),
        ("s3:ListBucket", "arn:aws:s3:::bkt", false),
        ("s3:DeleteBucket", "arn:aws:s3:::bkt", false),
        ("s3:GetBucketLocation", "arn:aws:s3:::bkt", true),
        ("sts:GetCallerIdentity", "*", true),
        ("sagemaker:DescribeProcessingJob", &job("job"), true),
        ("sagemaker:DescribeProcessingJob", &job("other"), false),
        ("sagemaker:StopProcessingJob", &job("job"), false),
        ("sagemaker:CreateProcessingJob", &job("next"), false),
    ];
    let Grants::Only(grants) = &key.grants else {
        panic!("a job has grants of its own");
    };
    let allow = |action: &str, resource: &str, facts: &Context| {
        let allows = |grant: &Grant| grant.allows(action, resource, facts);
        grants.iter().any(allows)
    };
    let prefixes = [
        ("in/", true),
        ("in/deep/", true),
        ("out/", true),
        ("", false),
        ("outer/", false),
    ];
    for (prefix, expected) in prefixes {
        let mut facts = Context::default();
        facts.put("s3:prefix", prefix);
        let allowed = allow("s3:ListBucket", "arn:aws:s3:::bkt", &facts);
        assert_eq!(allowed, expected, "listing {prefix:?}");
        assert!(!allow("s3:ListBucket", "arn:aws:s3:::other", &facts));
    }
    for (action, resource, expected) in cases {
        let allowed = allow(action, resource, &Context::default());
        assert_eq!(allowed, expected, "{action} on {resource}");
    }
    held.release();
    world.ended(&id(&spec)).await;
    assert!(world.key(&key_id).is_none());
    assert_eq!(world.temporary_keys().await, 0);
}

#[tokio::test]
async fn a_job_reaches_the_server_through_a_socket_of_its_own() {
    let (launcher, mut held) = holding();
    let world = World::new(launcher).await;
    world.create(processing("job")).await;
    let instance = held.next().await;
    let Network::Api { socket, port } = &instance.spec().network else {
        panic!("the job reaches nothing");
    };
    assert!(socket.exists());
    assert_eq!(
        instance.variable("AWS_ENDPOINT_URL").unwrap(),
        format!("http://127.0.0.1:{port}")
    );
}

#[tokio::test]
async fn an_isolated_job_has_neither_key_nor_socket() {
    let (launcher, mut held) = holding();
    let world = World::new(launcher).await;
    let mut spec = processing("job");
    spec.network_isolation = true;
    world.create(spec).await;
    let instance = held.next().await;
    assert_eq!(instance.spec().network, Network::None);
    assert_eq!(instance.variable("AWS_ACCESS_KEY_ID"), None);
    assert_eq!(instance.variable("AWS_ENDPOINT_URL"), None);
    assert_eq!(world.temporary_keys().await, 0);
}
