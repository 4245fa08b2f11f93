//! Accepting connections, on the one port and on the sockets of jobs.

use std::any::Any;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use futures_util::stream::try_unfold;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use sightline_api::{Body, pieces, stream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{AbortHandle, JoinSet};

use crate::FrontDoor;
use crate::limits::Limits;

/// Connections at once of one job.
const JOB_CONNECTIONS_MAX: usize = 64;

/// Serves connections until `shutdown` turns true, then lets requests under way end.
pub(crate) async fn serve(
    listener: TcpListener,
    door: Arc<FrontDoor>,
    limits: Limits,
    mut shutdown: watch::Receiver<bool>,
) {
    let slots = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &slots) => accepted,
            Some(_) = connections.join_next() => continue,
            _ = shutdown.wait_for(|end| *end) => break,
        };
        let Some((stream, source, slot)) = accepted else {
            continue;
        };
        let connection = connection(stream, Arc::clone(&door), source, &limits);
        let watched = graceful.watch(connection);
        connections.spawn(async move {
            if let Err(error) = watched.await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(slot);
        });
    }
    if tokio::time::timeout(limits.drain_time, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("requests were cut off after {:?}", limits.drain_time);
    }
    connections.shutdown().await;
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(tokio::net::TcpStream, String, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            // Answers are written whole, so there is nothing to gather.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection keeps Nagle's delay");
            }
            Some((stream, peer.ip().to_string(), slot))
        }
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

/// One connection's requests, one after the other.
fn connection<S>(
    stream: S,
    door: Arc<FrontDoor>,
    source: String,
    limits: &Limits,
) -> impl GracefulConnection<Error = hyper::Error> + Send + use<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let source: Arc<str> = source.into();
    let body_pause = limits.body_pause;
    let service = service_fn(move |request: http::Request<Incoming>| {
        let (door, source) = (Arc::clone(&door), Arc::clone(&source));
        async move {
            let request = request.map(|body| impatient(body, body_pause));
            Ok::<_, std::convert::Infallible>(door.answer(request, &source).await)
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_buf_size(limits.head_bytes)
        .serve_connection(TokioIo::new(stream), service)
}

/// A body that fails when nothing of it comes for too long.
fn impatient(body: Incoming, pause: Duration) -> Body {
    let incoming = pieces(body.map_err(io::Error::other).boxed_unsync());
    stream(try_unfold(incoming, move |mut incoming| async move {
        match tokio::time::timeout(pause, incoming.try_next()).await {
            Ok(next) => Ok(next?.map(|piece| (piece, incoming))),
            Err(_) => {
                let text = format!("no byte of the body came for {pause:?}");
                Err(io::Error::new(io::ErrorKind::TimedOut, text))
            }
        }
    }))
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
    let source = format!("job {job}");
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
                        tracing::warn!(%error, %source, "a job's connection failed");
                        break;
                    }
                },
                Some(_) = connections.join_next() => continue,
            };
            let connection = connection(stream, Arc::clone(&door), source.clone(), &limits);
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
