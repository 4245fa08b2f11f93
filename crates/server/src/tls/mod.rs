//! TLS on the same port as plain HTTP: the first byte of a connection tells which it is.
//!
//! The certificate is the operator's or the server's own, and is read anew when its files change
//! or the process gets SIGHUP. A certificate that cannot be used leaves the one before in force.

mod own;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sightline_config::Settings;
use sightline_ports::Clock;
use sightline_types::TlsDetails;
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What the first byte of a TLS connection is: the content type of a handshake.
const HANDSHAKE: u8 = 0x16;

/// How often the files of a certificate are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How often the server's own certificate is looked at for its end.
const RENEW_EVERY: Duration = Duration::from_secs(24 * 3_600);

/// Why TLS cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("could not {action} {}", path.display())]
    File {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file holds no usable certificate or key.
    #[error("{} holds no usable {what}: {reason}", path.display())]
    Unusable {
        /// `certificate` or `key`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Only one of two keys of the configuration is set.
    #[error("tls.certificate_file and tls.key_file must be given together")]
    Half,
    /// A certificate could not be made.
    #[error("could not make a certificate: {0}")]
    Make(String),
}

/// The files of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// Accepts TLS connections.
#[derive(Debug)]
pub struct Tls {
    config: RwLock<Arc<rustls::ServerConfig>>,
    files: Files,
    own: Option<own::Authority>,
    handshake_time: Duration,
    required: bool,
    clock: Arc<dyn Clock>,
}

/// A connection whose first byte has been looked at.
pub(crate) enum Opened {
    Plain(TcpStream),
    Secure(Box<TlsStream<TcpStream>>, TlsDetails),
}

impl Tls {
    /// What the configuration asks for; `None` if TLS is off.
    pub fn open(
        settings: &Settings,
        data_dir: &Path,
        clock: &Arc<dyn Clock>,
    ) -> Result<Option<Arc<Self>>, TlsError> {
        let tls = &settings.tls;
        if !tls.enabled && !tls.required {
            return Ok(None);
        }
        let (own, files) = match (&tls.certificate_file, &tls.key_file) {
            (Some(certificate), Some(key)) => {
                let (certificate, key) = (certificate.clone(), key.clone());
                (None, Files { certificate, key })
            }
            (None, None) => {
                let names = own::names(&tls.names, settings.server.listen.ip());
                let own = own::Authority::new(&data_dir.join("tls"), names);
                let files = own.ensure(clock.now())?;
                (Some(own), files)
            }
            (Some(_), None) | (None, Some(_)) => return Err(TlsError::Half),
        };
        Ok(Some(Arc::new(Self {
            config: RwLock::new(read(&files)?),
            files,
            own,
            handshake_time: Duration::from_millis(tls.handshake_timeout_ms),
            required: tls.required,
            clock: Arc::clone(clock),
        })))
    }

    /// The certificate that clients must trust, if the server made it.
    pub(crate) fn own_authority(&self) -> Option<PathBuf> {
        self.own.as_ref().map(own::Authority::certificate)
    }

    /// Finds out what a connection speaks and shakes hands if that is TLS.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<Opened> {
        let opened = tokio::time::timeout(self.handshake_time, self.shake_hands(stream)).await;
        opened.unwrap_or_else(|_| {
            let text = "the client was too slow to shake hands";
            Err(io::Error::new(io::ErrorKind::TimedOut, text))
        })
    }

    async fn shake_hands(&self, mut stream: TcpStream) -> io::Result<Opened> {
        let mut first = [0];
        stream.peek(&mut first).await?;
        if first != [HANDSHAKE] {
            if self.required {
                refuse_plain(&mut stream).await?;
                return Err(io::Error::other("the client does not speak TLS"));
            }
            return Ok(Opened::Plain(stream));
        }
        let stream = self.acceptor().accept(stream).await?;
        let details = details(stream.get_ref().1);
        Ok(Opened::Secure(Box::new(stream), details))
    }

    fn acceptor(&self) -> TlsAcceptor {
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&config))
    }

    /// Reads the certificate anew whenever there is reason to, for ever.
    pub(crate) async fn keep_fresh(&self) {
        let mut hangup = signal(SignalKind::hangup()).ok();
        let mut seen = self.stamps();
        let mut since_renewal = Duration::ZERO;
        loop {
            let asked = tokio::select! {
                () = hung_up(&mut hangup) => true,
                () = self.clock.sleep(LOOK_EVERY) => false,
            };
            since_renewal = since_renewal.saturating_add(LOOK_EVERY);
            if RENEW_EVERY <= since_renewal
                && let Some(own) = &self.own
            {
                since_renewal = Duration::ZERO;
                if let Err(error) = own.ensure(self.clock.now()) {
                    tracing::error!(%error, "the certificate could not be renewed");
                }
            }
            let stamps = self.stamps();
            if asked || stamps != seen {
                seen = stamps;
                self.reload();
            }
        }
    }

    fn reload(&self) {
        match read(&self.files) {
            Ok(config) => {
                *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
                tracing::info!("the certificate was read anew");
            }
            Err(error) => tracing::error!(%error, "the certificate before stays in force"),
        }
    }

    fn stamps(&self) -> [Option<(SystemTime, u64)>; 2] {
        [&self.files.certificate, &self.files.key].map(|path| {
            let file = std::fs::metadata(path).ok()?;
            Some((file.modified().ok()?, file.len()))
        })
    }
}

async fn hung_up(hangup: &mut Option<tokio::signal::unix::Signal>) {
    match hangup {
        Some(hangup) => {
            hangup.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Tells a client of plain HTTP, in its own language, what it must speak.
async fn refuse_plain(stream: &mut TcpStream) -> io::Result<()> {
    use tokio::io::AsyncWriteExt as _;
    let text = "this server demands TLS: use https\n";
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{text}",
        text.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// Version and cipher in the words of CloudTrail's `tlsDetails`.
fn details(connection: &rustls::ServerConnection) -> TlsDetails {
    let version = match connection.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "unknown",
    };
    let suite = connection.negotiated_cipher_suite();
    let suite = suite.map_or("unknown".to_owned(), |suite| format!("{:?}", suite.suite()));
    TlsDetails {
        version,
        cipher_suite: suite.replacen("TLS13_", "TLS_", 1),
        server_name: connection.server_name().map(str::to_owned),
    }
}

fn read(files: &Files) -> Result<Arc<rustls::ServerConfig>, TlsError> {
    let unusable = |what, path: &Path, reason: String| TlsError::Unusable {
        what,
        path: path.to_owned(),
        reason,
    };
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unusable("certificate", &files.certificate, error.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| unusable("key", &files.key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let wrong =
        |error: rustls::Error| unusable("certificate", &files.certificate, error.to_string());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(wrong)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(wrong)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests;
