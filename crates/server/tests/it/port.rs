//! A world that listens at a real port, and a client that speaks to it byte by byte.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sightline_config::Settings;
use sightline_ports::{Clock, SystemClock};
use sightline_server::{PortOptions, Tls};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::world::{Ask, World};

/// Far longer than any limit that these tests set.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Port {
    pub(crate) world: World,
    pub(crate) address: SocketAddr,
    end: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Port {
    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::default();
        change(&mut settings);
        let world = World::with(settings.clone()).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (end, ended) = watch::channel(false);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let tls = Tls::open(&settings, world.directory(), &clock).unwrap();
        let front = world.assembly.front.clone();
        #[expect(clippy::disallowed_methods, reason = "the test ends it")]
        let serving = tokio::spawn(async move {
            let port = PortOptions {
                settings: &settings,
                tls,
            };
            sightline_server::serve(listener, front, port, ended).await;
        });
        Self {
            world,
            address,
            end,
            serving,
        }
    }

    pub(crate) async fn connect(&self) -> Wire {
        Wire(TcpStream::connect(self.address).await.unwrap())
    }

    /// The bytes of a signed request whose body is said to be `length` bytes long.
    pub(crate) fn head(&self, ask: &Ask, length: usize) -> Vec<u8> {
        let parts = self.world.signed(ask, self.world.root());
        let target = parts.uri.path_and_query().unwrap();
        let mut head = format!("{} {target} HTTP/1.1\r\n", parts.method);
        for (name, value) in &parts.headers {
            head.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
        }
        if !parts.headers.contains_key("host") {
            head.push_str(&format!("host: {}\r\n", parts.uri.authority().unwrap()));
        }
        head.push_str(&format!("content-length: {length}\r\n\r\n"));
        head.into_bytes()
    }

    /// The answer to a whole request on a connection of its own.
    pub(crate) async fn ask(&self, ask: &Ask) -> String {
        let mut wire = self.connect().await;
        wire.send(&self.head(ask, ask.body.len())).await;
        wire.send(&ask.body).await;
        wire.answer().await
    }

    /// The answer to an unsigned GET on a connection of its own.
    pub(crate) async fn get(&self, path: &str) -> String {
        let mut wire = self.connect().await;
        wire.send(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes())
            .await;
        wire.answer().await
    }

    /// Waits until the metrics say this.
    pub(crate) async fn metrics_say(&self, line: &str) {
        let said = async {
            while !self.get("/metrics").await.contains(line) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let said = tokio::time::timeout(PATIENCE, said).await;
        assert!(said.is_ok(), "the metrics never said {line}");
    }

    /// Asks the server to end; gives what to wait for.
    pub(crate) fn end(&mut self) -> &mut JoinHandle<()> {
        self.end.send_replace(true);
        &mut self.serving
    }
}

/// A connection.
pub(crate) struct Wire(TcpStream);

impl Wire {
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// Sends what the server may no longer want.
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.ok();
    }

    /// Whether the server has answered or closed.
    pub(crate) fn is_cut_off(&self) -> bool {
        let mut byte = [0];
        !matches!(self.0.try_read(&mut byte), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    }

    /// One answer: head and body, if the server gives one before it closes.
    pub(crate) async fn answer(&mut self) -> String {
        let mut got = Vec::new();
        let read = async {
            while !is_whole(&got) {
                if self.0.read_buf(&mut got).await.unwrap_or(0) == 0 {
                    break;
                }
            }
        };
        let read = tokio::time::timeout(PATIENCE, read).await;
        assert!(read.is_ok(), "the server neither answers nor closes");
        String::from_utf8_lossy(&got).into_owned()
    }

    /// Waits until the server has closed; what came before is thrown away.
    pub(crate) async fn is_closed(&mut self) {
        let mut rest = Vec::new();
        let read = tokio::time::timeout(PATIENCE, self.0.read_to_end(&mut rest)).await;
        assert!(read.is_ok(), "the server keeps the connection");
    }
}

fn is_whole(got: &[u8]) -> bool {
    let text = String::from_utf8_lossy(got);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.parse().unwrap())
    });
    length.unwrap_or(0) <= body.len()
}
