//! What recording costs, how quickly a million events answer, and how quickly they are verified.

#![expect(clippy::unwrap_used, reason = "a failed step of a bench is its end")]

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use divan::counter::ItemsCount;
use sightline_audit::{Attribute, Audit, AuditOptions, EventsQuery, Retention};
use sightline_blob::DirBlobStore;
use sightline_identity::Identity;
use sightline_meta::{Meta, MetaError, MetaOptions, settings};
use sightline_objects::Objects;
use sightline_testkit::clock::VirtualClock;
use sightline_types::{
    AccountId, Arn, Caller, Cx, Event, EventOutcome, OperationName, Recorded, RequestId,
    ResourceRef, Timestamp,
};
use tokio::runtime::Runtime;

/// Changes of one iteration, all of which wait at once, as those of many clients do.
const CHANGES: usize = 5_000;

const LOOKED_UP: usize = 1_000_000;

const VERIFIED: usize = 200_000;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// A store of a million events, which is looked up.
static MILLION: LazyLock<World> = LazyLock::new(|| World::of(LOOKED_UP));

fn main() {
    divan::main();
}

struct World {
    _directory: tempfile::TempDir,
    meta: Meta,
    identity: Identity,
    audit: Audit,
}

impl World {
    fn empty() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("meta.sqlite");
        let meta = Meta::open(&MetaOptions { path }).unwrap();
        let (identity, audit) = RUNTIME.block_on(engines(&meta, directory.path()));
        Self {
            _directory: directory,
            meta,
            identity,
            audit,
        }
    }

    fn of(count: usize) -> Self {
        let world = Self::empty();
        for first in (0..count).step_by(10_000) {
            let fill = world.meta.write(move |tx| {
                for number in first..count.min(first + 10_000) {
                    tx.record(&event(number))?;
                }
                Ok::<_, MetaError>(())
            });
            RUNTIME.block_on(fill).unwrap();
        }
        while RUNTIME
            .block_on(sightline_meta::outbox::index(&world.meta))
            .unwrap()
        {}
        world
    }
}

async fn engines(meta: &Meta, directory: &Path) -> (Identity, Audit) {
    let region = "us-east-1".parse().unwrap();
    let sealed_by = directory.join("secret.key");
    let identity = Identity::open(meta.clone(), region, &sealed_by, Timestamp::EPOCH);
    let identity = identity.await.unwrap();
    let clock = Arc::new(VirtualClock::at(Timestamp::from_millis(1_700_000_000_000)));
    let blobs = Arc::new(DirBlobStore::open(&directory.join("blobs")).unwrap());
    let audit = Audit::new(AuditOptions {
        meta: meta.clone(),
        identity: identity.clone(),
        objects: Objects::new(meta.clone(), blobs, clock.clone()),
        clock,
        keys_dir: directory.join("audit"),
        delivery_interval: Duration::from_secs(300),
        digest_interval: Duration::from_secs(3600),
        retention: Retention::FOR_EVER,
    });
    (identity, audit.unwrap())
}

/// An event as large as one of the API: about 900 bytes.
fn event(number: usize) -> Event {
    let account: AccountId = "123456789012".parse().unwrap();
    let cx = Cx {
        request_id: RequestId::random(),
        received_at: Timestamp::from_millis(i64::try_from(number).unwrap() * 1000),
        region: "us-east-1".parse().unwrap(),
        caller: Caller {
            arn: format!(
                "arn:aws:sts::{account}:assumed-role/R/person-{}",
                number % 7
            ),
            user_id: format!("AROAAAAAAAAAAAAAAAAAA:person-{}", number % 7),
            user_name: format!("person-{}", number % 7),
            access_key_id: "ASIAIOSFODNN7EXAMPLE".to_owned(),
            session_began: Some(Timestamp::EPOCH),
        },
        account,
        source: "127.0.0.1".to_owned(),
        tls: None,
        signed: None,
        user_agent: "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux lang/python#3.13".to_owned(),
        operation: OperationName {
            source: "s3.amazonaws.com",
            name: if number.is_multiple_of(3) {
                "PutObject"
            } else {
                "GetObject"
            },
            read_only: !number.is_multiple_of(3),
        },
        parameters: Some(Arc::new(serde_json::json!({
            "bucketName": "bucket", "key": format!("a/key/{number}"), "Host": "localhost",
        }))),
        recorded: Recorded::default(),
    };
    let mut event = Event::of(&Arc::new(cx), EventOutcome::Success);
    let name = format!("arn:aws:s3:::bucket/a/key/{number}");
    event.resources.push(ResourceRef {
        kind: "AWS::S3::Object".to_owned(),
        name,
    });
    event
}

async fn change(meta: &Meta, events: bool) {
    let event = event(1);
    let change = meta.write(move |tx| {
        settings::put(tx, "name", "value")?;
        if events { tx.record(&event) } else { Ok(()) }
    });
    change.await.unwrap();
}

/// Changes that many clients make at once, each of one small row, without and with an event.
/// Bar: 10,000 a second with events.
#[divan::bench(args = [false, true], sample_count = 20, sample_size = 1)]
fn changes(bencher: divan::Bencher<'_, '_>, events: bool) {
    let world = World::empty();
    bencher.counter(ItemsCount::new(CHANGES)).bench(|| {
        let all = (0..CHANGES).map(|_| change(&world.meta, events));
        RUNTIME.block_on(futures_util::future::join_all(all))
    });
}

/// The first page of each attribute, and one between two times long ago, of a million events.
/// Bar: 10 ms each.
#[divan::bench(args = ["name", "read", "user", "key", "source", "kind", "resource", "none", "nobody"])]
fn lookups(bencher: divan::Bencher<'_, '_>, by: &str) {
    let attribute = match by {
        "name" => Some(Attribute::Name("PutObject".to_owned())),
        "read" => Some(Attribute::ReadOnly(true)),
        "user" => Some(Attribute::UserName("person-3".to_owned())),
        "key" => Some(Attribute::AccessKeyId("ASIAIOSFODNN7EXAMPLE".to_owned())),
        "source" => Some(Attribute::Source("s3.amazonaws.com".to_owned())),
        "kind" => Some(Attribute::ResourceKind("AWS::S3::Object".to_owned())),
        "resource" => Some(Attribute::ResourceName(
            "arn:aws:s3:::bucket/a/key/77".to_owned(),
        )),
        "nobody" => Some(Attribute::UserName("nobody".to_owned())),
        _ => None,
    };
    let at = |seconds: i64| Some(Timestamp::from_millis(seconds * 1000));
    let (from, until) = match by {
        "none" | "user" => (at(300_000), at(301_000)),
        _ => (None, None),
    };
    let world = &*MILLION;
    let cx = Arc::new(Cx {
        parameters: None,
        ..Arc::into_inner(event(1).cx).unwrap()
    });
    let resource = Arn::s3("*", None);
    let permit = world
        .identity
        .platform_permit(&cx, "cloudtrail:LookupEvents", resource);
    bencher.bench(|| {
        let wanted = EventsQuery {
            attribute: attribute.clone(),
            from,
            until,
            limit: 50,
            token: None,
        };
        RUNTIME
            .block_on(world.audit.lookup(&permit, wanted))
            .unwrap()
    });
}

/// The chain in the store and the files in the bucket. Bar: 333,000 events a second, which is ten
/// million in half a minute.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn verification(bencher: divan::Bencher<'_, '_>) {
    let world = World::of(VERIFIED);
    RUNTIME.block_on(world.audit.deliver()).unwrap();
    bencher.counter(ItemsCount::new(VERIFIED)).bench(|| {
        let report = RUNTIME.block_on(world.audit.verify()).unwrap();
        assert!(report.findings.is_empty() && 0 < report.log_files);
    });
}
