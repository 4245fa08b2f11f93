//! Accepting connections, on the one port and on the sockets of jobs.

use std::any::Any;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown, Watcher};
use sightline_config::Settings;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::{Semaphore, watch};
use tokio::task::{AbortHandle, JoinSet};

use crate::FrontDoor;
use crate::framing;
use crate::limits::Limits;
use crate::patience::{Held, Patient, Turn, patient};
use crate::peer::Peer;
use crate::places::{Place, Places};
use crate::tls::{Opened, Tls};

/// The number of headers up to which the HTTP library needs no memory of its own for them.
const HEADERS_MAX_OF_HYPER: usize = 100;

/// Connections at once of one job.
const JOB_CONNECTIONS_MAX: usize = 64;

/// How long a connection for which there is no place may take to ask the operator's questions.
const RESERVE_TIME: Duration = Duration::from_secs(2);

/// Serves connections until `shutdown` turns true, then lets requests under way end.
pub async fn serve(
    listener: TcpListener,
    door: Arc<FrontDoor>,
    port: PortOptions<'_>,
    mut shutdown: watch::Receiver<bool>,
) {
    let server = Server::new(door, port);
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener) => accepted,
            Some(_) = connections.join_next() => continue,
            _ = shutdown.wait_for(|end| *end) => break,
        };
        if let Some((stream, address)) = accepted {
            let place = server.places.enter(address.ip());
            server.spawn(&mut connections, stream, address, place);
        }
    }
    server.drain(&listener, &mut connections).await;
    connections.shutdown().await;
}

/// What every connection of the port has in common.
struct Server {
    door: Arc<FrontDoor>,
    limits: Limits,
    places: Places,
    graceful: GracefulShutdown,
    tls: Option<Arc<Tls>>,
}

/// How the port is served.
#[derive(Debug)]
pub struct PortOptions<'s> {
    /// What file, variables and flags say.
    pub settings: &'s Settings,
    /// How TLS is spoken, if it is.
    pub tls: Option<Arc<Tls>>,
}

impl Server {
    fn new(door: Arc<FrontDoor>, port: PortOptions<'_>) -> Self {
        let limits = Limits::of(port.settings);
        Self {
            door,
            tls: port.tls,
            places: Places::new(&limits),
            limits,
            graceful: GracefulShutdown::new(),
        }
    }

    fn spawn(
        &self,
        connections: &mut JoinSet<()>,
        stream: TcpStream,
        address: SocketAddr,
        place: Option<Place>,
    ) {
        let metrics = Arc::clone(self.door.metrics());
        let Some(place) = place else {
            return metrics.connection_refused();
        };
        let full = place.in_reserve;
        metrics.connection_opened();
        let (door, limits) = (Arc::clone(&self.door), self.limits.clone());
        let (watcher, tls) = (self.graceful.watcher(), self.tls.clone());
        connections.spawn(async move {
            let peer = Peer::new(address.ip().to_canonical().to_string());
            let served = serve_one(Connected { stream, peer, full }, tls, watcher, door, limits);
            if full {
                metrics.connection_refused();
                // What is cut off has had its time.
                let _: Result<(), _> = tokio::time::timeout(RESERVE_TIME, served).await;
            } else {
                served.await;
            }
            metrics.connection_closed();
            drop(place);
        });
    }

    /// Lets requests under way end; new connections get nothing but the operator's answers.
    async fn drain(self, listener: &TcpListener, connections: &mut JoinSet<()>) {
        self.door.end();
        let drain_time = self.limits.drain_time;
        let late = Self {
            door: Arc::clone(&self.door),
            limits: self.limits,
            places: self.places,
            tls: self.tls,
            graceful: GracefulShutdown::new(),
        };
        let mut late_connections = JoinSet::new();
        let drained = tokio::time::timeout(drain_time, self.graceful.shutdown());
        tokio::pin!(drained);
        loop {
            tokio::select! {
                ended = &mut drained => {
                    if ended.is_err() {
                        tracing::warn!("requests were cut off after {drain_time:?}");
                    }
                    break;
                }
                Some(_) = connections.join_next() => {}
                Some(_) = late_connections.join_next() => {}
                accepted = accept(listener) => {
                    if let Some((stream, address)) = accepted {
                        let place = late.places.enter_reserve(address.ip());
                        late.spawn(&mut late_connections, stream, address, place);
                    }
                }
            }
        }
        late_connections.shutdown().await;
    }
}

async fn accept(listener: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    match listener.accept().await {
        Ok((stream, address)) => {
            // Answers are written whole, so there is nothing to gather.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection keeps Nagle's delay");
            }
            Some((stream, address))
        }
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

/// A connection that is accepted.
struct Connected {
    stream: TcpStream,
    peer: Peer,
    full: bool,
}

/// Serves one connection to its end, in whichever of the port's languages it speaks.
async fn serve_one(
    connected: Connected,
    tls: Option<Arc<Tls>>,
    watcher: Watcher,
    door: Arc<FrontDoor>,
    limits: Limits,
) {
    let Connected {
        stream,
        mut peer,
        full,
    } = connected;
    let opened = match &tls {
        None => Ok(Opened::Plain(stream)),
        // A client that has not said a word yet holds nobody up when the server ends.
        Some(tls) => tokio::select! {
            opened = tls.accept(stream) => opened,
            () = door.ends(), if !full => return,
        },
    };
    let served = match opened {
        Ok(Opened::Plain(stream)) => {
            let connection = connection(stream, door, peer, &limits, full);
            watcher.watch(connection).await
        }
        Ok(Opened::Secure(stream, details)) => {
            peer.tls = Some(details);
            let connection = connection(*stream, door, peer, &limits, full);
            watcher.watch(connection).await
        }
        Err(error) => {
            door.metrics().handshake_failed();
            return tracing::debug!(%error, "a connection did not come about");
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// One connection's requests, one after the other; on a `full` server only the operator's.
fn connection<S>(
    stream: S,
    door: Arc<FrontDoor>,
    peer: Peer,
    limits: &Limits,
    full: bool,
) -> impl GracefulConnection<Error = hyper::Error> + Send + use<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let turn = Turn::default();
    let stream = Patient::new(stream, turn.clone(), limits);
    let (peer, own_limits) = (Arc::new(peer), Arc::new(limits.clone()));
    let service = service_fn(move |request: http::Request<Incoming>| {
        let (door, peer, limits) = (
            Arc::clone(&door),
            Arc::clone(&peer),
            Arc::clone(&own_limits),
        );
        let taken = turn.take();
        async move {
            let request = request.map(|body| patient(body, &limits, door.metrics()));
            let response = if framing::is_ambiguous(request.headers()) {
                framing::refused()
            } else if full {
                door.answer_when_full(request, &peer).await
            } else {
                door.answer(request, &peer).await
            };
            Ok::<_, std::convert::Infallible>(response.map(|body| Held::new(body, taken)))
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(None)
        .keep_alive(!full)
        .max_buf_size(limits.head_bytes);
    if limits.headers != HEADERS_MAX_OF_HYPER {
        http.max_headers(limits.headers);
    }
    http.serve_connection(TokioIo::new(stream), service)
}

/// A job's socket, closed and its connections ended when dropped.
#[derive(Debug)]
struct JobSocket(AbortHandle);

impl Drop for JobSocket {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Listens at `path` for one job.
pub(crate) fn open_job_socket(
    path: &Path,
    door: Arc<FrontDoor>,
    limits: Limits,
) -> io::Result<Box<dyn Any + Send + Sync>> {
    // A socket's own path may have 107 bytes only; by its directory's handle any place will do.
    let directory = std::fs::File::open(path.parent().unwrap_or(Path::new("/")))?;
    let name = Path::new(path.file_name().unwrap_or_default());
    let short = Path::new("/proc/self/fd")
        .join(directory.as_raw_fd().to_string())
        .join(name);
    let listener = UnixListener::bind(short)?;
    let job = path
        .parent()
        .and_then(Path::file_name)
        .unwrap_or_default()
        .to_string_lossy();
    let peer = Peer::new(format!("job {job}"));
    #[expect(
        clippy::disallowed_methods,
        reason = "the handle that is returned ends it"
    )]
    let task = tokio::spawn(async move {
        let slots = Arc::new(Semaphore::new(JOB_CONNECTIONS_MAX));
        let mut connections = JoinSet::new();
        loop {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                break;
            };
            let stream = tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(%error, source = &*peer.source, "a job's connection failed");
                        break;
                    }
                },
                Some(_) = connections.join_next() => continue,
            };
            let connection = connection(stream, Arc::clone(&door), peer.clone(), &limits, false);
            connections.spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a job's connection ended early");
                }
                drop(slot);
            });
        }
    });
    Ok(Box::new(JobSocket(task.abort_handle())))
}
