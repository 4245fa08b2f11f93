//! Who is at the other end of a connection, as far as the connection itself tells.

use std::net::IpAddr;
use std::sync::Arc;

/// The other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// An address, or the name of a job's own socket.
    pub source: Arc<str>,
}

impl Peer {
    /// The peer of a plain connection.
    #[must_use]
    pub fn new(source: impl Into<Arc<str>>) -> Self {
        Self {
            source: source.into(),
        }
    }

    /// Whether it is a process of this host that is no job.
    pub(crate) fn is_local(&self) -> bool {
        let address: Result<IpAddr, _> = self.source.parse();
        address.is_ok_and(|address| address.to_canonical().is_loopback())
    }
}
