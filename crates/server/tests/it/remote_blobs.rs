//! Blobs kept in a bucket of a second server of our own, over a connection that fails in every
//! way that connections and backends do.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt as _;
use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sightline_api::{Body, empty, read_to_limit, stream};
use sightline_blob::{S3BlobConfig, S3BlobStore};
use sightline_ports::{
    BlobError, BlobId, BlobStore, BlobStream, ByteRange, Clock as _, SystemClock,
};
use sightline_server::{FrontDoor, Peer};
use sightline_testkit::blob::{
    Failure, WHOLE, id, keeps_every_promise, pattern, read_all, source, tells_the_truth_under,
};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::world::{Ask, World};

/// Longer than any request of these tests takes on a busy machine.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Larger than any answer of the backend in these tests.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// How the backend answers.
#[derive(Clone, Copy, Debug)]
enum Mode {
    Well,
    /// With this status, without doing anything.
    Status(u16),
    /// So for a number of requests, and then well.
    FailsAtFirst(u32),
    /// By closing the connection.
    Cuts,
    /// It acts, and closes the connection instead of answering.
    LosesAnswers,
    /// It closes the connection in the middle of each body.
    HalfBodies,
    /// Never.
    Silent,
}

/// A server of our own behind a real socket.
struct Backend {
    world: World,
    mode: Arc<Mutex<Mode>>,
    config: S3BlobConfig,
    _accepting: JoinSet<()>,
}

impl Backend {
    async fn start() -> Self {
        let world = World::new().await;
        // The client of the store signs with the real time.
        let gap = SystemClock.now().since(world.clock.now());
        world.clock.advance(gap);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let key = world.root();
        let config = S3BlobConfig {
            endpoint: format!("http://{}", listener.local_addr().unwrap()),
            region: "us-east-1".to_owned(),
            bucket: world.assembly.default_bucket.clone(),
            prefix: "team a".to_owned(),
            access_key_id: key.id.clone(),
            secret_access_key: key.secret.reveal().to_owned(),
            session_token: None,
            request_timeout: REQUEST_TIMEOUT,
        };
        let mode = Arc::new(Mutex::new(Mode::Well));
        let mut accepting = JoinSet::new();
        let front = Arc::clone(&world.assembly.front);
        accepting.spawn(accept(listener, front, Arc::clone(&mode)));
        Self {
            world,
            mode,
            config,
            _accepting: accepting,
        }
    }

    async fn store(&self) -> S3BlobStore {
        S3BlobStore::open(&self.config).await.unwrap()
    }

    fn answer(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    /// What the bucket says of itself.
    async fn look(&self, query: &str) -> String {
        let target = format!("/{}?{query}", self.config.bucket);
        let answer = self.world.ask(Ask::s3(Method::GET, &target, "")).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.text
    }

    /// Asserts that the bucket holds no object, and that uploads whose caller went away end.
    async fn assert_empty(&self) {
        let objects = self.look("list-type=2").await;
        assert!(!objects.contains("<Contents>"), "{objects}");
        let ended = async {
            while self.look("uploads=").await.contains("<Upload>") {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let patience = Duration::from_secs(20);
        let ended = tokio::time::timeout(patience, ended).await;
        assert!(ended.is_ok(), "{}", self.look("uploads=").await);
    }
}

async fn accept(listener: TcpListener, front: Arc<FrontDoor>, mode: Arc<Mutex<Mode>>) {
    let mut connections = JoinSet::new();
    loop {
        let (connection, _) = listener.accept().await.unwrap();
        let (front, mode) = (Arc::clone(&front), Arc::clone(&mode));
        let service = service_fn(move |request| {
            let (front, mode) = (Arc::clone(&front), Arc::clone(&mode));
            async move { answer(&front, &mode, request).await }
        });
        connections.spawn(async move {
            let io = TokioIo::new(connection);
            drop(http1::Builder::new().serve_connection(io, service).await);
        });
    }
}

async fn answer(
    front: &FrontDoor,
    mode: &Mutex<Mode>,
    request: Request<Incoming>,
) -> io::Result<Response<Body>> {
    let now = {
        let mut mode = mode.lock().unwrap();
        let now = *mode;
        if let Mode::FailsAtFirst(left) = now {
            *mode = left.checked_sub(1).map_or(Mode::Well, Mode::FailsAtFirst);
        }
        now
    };
    let peer = Peer::new("192.0.2.7");
    let cut = || io::Error::from(io::ErrorKind::ConnectionReset);
    let act = async || {
        let body = |body: Incoming| body.map_err(io::Error::other).boxed_unsync();
        front.answer(request.map(body), &peer).await
    };
    match now {
        Mode::Well | Mode::FailsAtFirst(0) => Ok(act().await),
        Mode::FailsAtFirst(_) => Ok(refusal(503)),
        Mode::Status(status) => Ok(refusal(status)),
        Mode::Cuts => Err(cut()),
        Mode::LosesAnswers => {
            drop(read_to_limit(act().await.into_body(), ANSWER_BYTES_MAX).await);
            Err(cut())
        }
        Mode::HalfBodies => {
            let (parts, body) = act().await.into_parts();
            let whole = read_to_limit(body, ANSWER_BYTES_MAX).await.unwrap();
            let half = whole.slice(..whole.len() / 2);
            let pieces = futures_util::stream::iter([Ok(half), Err(cut())]);
            Ok(Response::from_parts(parts, stream(pieces)))
        }
        Mode::Silent => std::future::pending().await,
    }
}

fn refusal(status: u16) -> Response<Body> {
    let response = Response::builder().status(status);
    response.body(empty()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_in_a_bucket_keeps_every_promise() {
    let backend = Backend::start().await;
    keeps_every_promise(Arc::new(backend.store().await)).await;
    backend.assert_empty().await;
}

/// A store that gives up on a silent backend at once, and is patient with a well one.
#[derive(Debug)]
struct Switched<'b> {
    impatient: S3BlobStore,
    patient: S3BlobStore,
    mode: &'b Mutex<Mode>,
}

impl Switched<'_> {
    fn store(&self) -> &S3BlobStore {
        if matches!(*self.mode.lock().unwrap(), Mode::Silent) {
            &self.impatient
        } else {
            &self.patient
        }
    }
}

#[async_trait::async_trait]
impl BlobStore for Switched<'_> {
    async fn put(&self, id: &BlobId, bytes: BlobStream) -> Result<u64, BlobError> {
        self.store().put(id, bytes).await
    }

    async fn get(&self, id: &BlobId, range: ByteRange) -> Result<BlobStream, BlobError> {
        self.store().get(id, range).await
    }

    async fn delete(&self, id: &BlobId) -> Result<(), BlobError> {
        self.store().delete(id).await
    }

    async fn list(&self, after: Option<&BlobId>, max: usize) -> Result<Vec<BlobId>, BlobError> {
        self.store().list(after, max).await
    }
}

/// Makes the backend fail in one way and asserts that the store is honest about it.
async fn check(name: &'static str, mode: Mode, loses_answers: bool) {
    let backend = Backend::start().await;
    let impatient = S3BlobConfig {
        request_timeout: Duration::from_secs(1),
        ..backend.config.clone()
    };
    let store = Switched {
        impatient: S3BlobStore::open(&impatient).await.unwrap(),
        patient: backend.store().await,
        mode: &backend.mode,
    };
    let failure = Failure {
        name,
        loses_answers,
        begin: &|| backend.answer(mode),
        end: &|| backend.answer(Mode::Well),
    };
    tells_the_truth_under(&failure, &store, &id('a'), &id('b')).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_with_internal_errors_is_never_believed() {
    check("500", Mode::Status(500), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_that_asks_to_slow_down_for_ever_is_given_up() {
    check("503", Mode::Status(503), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_that_cuts_connections_is_never_believed() {
    check("cuts", Mode::Cuts, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_answers_leave_whole_blobs_or_none() {
    check("lost answers", Mode::LosesAnswers, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_body_is_never_taken_for_the_whole() {
    check("half bodies", Mode::HalfBodies, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_backend_is_given_up() {
    check("silence", Mode::Silent, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_that_stumbles_is_tried_again() {
    let backend = Backend::start().await;
    let store = backend.store().await;
    let bytes = pattern(6_000_000);
    let stumble = || backend.answer(Mode::FailsAtFirst(2));
    for length in [10, 6_000_000] {
        stumble();
        let put = store.put(&id('a'), source(bytes[..length].to_vec())).await;
        assert_eq!(put.unwrap(), length as u64);
        stumble();
        let read = read_all(store.get(&id('a'), WHOLE).await.unwrap()).await;
        assert!(read == bytes[..length], "{length} bytes differ");
        stumble();
        assert_eq!(store.list(None, 10).await.unwrap(), [id('a')]);
        stumble();
        store.delete(&id('a')).await.unwrap();
    }
    backend.assert_empty().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_or_dropped_upload_is_aborted() {
    let backend = Backend::start().await;
    let store = backend.store().await;
    let part = bytes::Bytes::from(pattern(6_000_000));
    let name = id('a');
    let sent = futures_util::stream::iter([Ok(part)]);
    let mut put = Box::pin(store.put(&name, sent.chain(futures_util::stream::pending()).boxed()));
    while !backend.look("uploads=").await.contains("<Upload>") {
        let step = Duration::from_millis(10);
        assert!(tokio::time::timeout(step, &mut put).await.is_err());
    }
    drop(put);
    backend.assert_empty().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_with_other_prefixes_do_not_see_each_other() {
    let backend = Backend::start().await;
    let one = backend.store().await;
    let other = S3BlobConfig {
        prefix: String::new(),
        ..backend.config.clone()
    };
    let other = S3BlobStore::open(&other).await.unwrap();
    one.put(&id('a'), source("one's")).await.unwrap();
    assert_eq!(other.list(None, 10).await.unwrap(), [] as [BlobId; 0]);
    let read = other.get(&id('a'), WHOLE).await.map(|_| ());
    assert!(matches!(read, Err(BlobError::NotFound(_))), "{read:?}");
    let keys = backend.look("list-type=2").await;
    assert!(keys.contains("<Key>team a/blobs/aaaa"), "{keys}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_without_its_bucket_does_not_open_and_tells_no_secret() {
    let backend = Backend::start().await;
    let secret = backend.config.secret_access_key.clone();
    for (bucket, secret_access_key) in [
        ("no-such-bucket", secret.as_str()),
        (&backend.config.bucket, "wrong-secret-of-the-operator"),
    ] {
        let config = S3BlobConfig {
            bucket: bucket.to_owned(),
            secret_access_key: secret_access_key.to_owned(),
            ..backend.config.clone()
        };
        let error = S3BlobStore::open(&config).await.unwrap_err();
        let told = format!("{config:?} {error} {error:?}");
        assert!(!told.contains(secret_access_key), "{told}");
    }
    let told = format!("{:?}", backend.store().await);
    assert!(!told.contains(&secret), "{told}");
}
