//! Who is at the other end of a connection, as far as the connection itself tells.

use std::net::IpAddr;
use std::sync::Arc;

use sightline_types::TlsDetails;

/// The other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// An address, or the name of a job's own socket.
    pub source: Arc<str>,
    /// How the connection is protected; `None` if it is not.
    pub tls: Option<TlsDetails>,
}

impl Peer {
    /// The peer of a plain connection.
    #[must_use]
    pub fn new(source: impl Into<Arc<str>>) -> Self {
        Self {
            source: source.into(),
            tls: None,
        }
    }

    /// Whether it is a process of this host that is no job.
    pub(crate) fn is_local(&self) -> bool {
        let address: Result<IpAddr, _> = self.source.parse();
        address.is_ok_and(|address| address.to_canonical().is_loopback())
    }
}
