//! Leases: what one of several servers on a database does alone, until it is lost.
//!
//! Every server holds a lease of its own name for as long as it lives, and work belongs to a
//! server. All times are the database's, so servers' clocks may differ.

use sightline_types::Timestamp;

use crate::{Meta, MetaError, Reader, Tx, params};

/// How long a lease lasts after it was renewed last: many times the pause between renewals, so
/// that a slow commit loses nothing.
pub const LEASE_MS: i64 = 15_000;

const GET: &str = "SELECT holder, since, until, generation FROM leases WHERE name = $1";
const PUT: &str = "INSERT INTO leases (name, holder, since, until, generation)
    VALUES ($1, $2, $3, $4, $5) ON CONFLICT (name) DO UPDATE SET holder = excluded.holder,
    since = excluded.since, until = excluded.until, generation = excluded.generation";

/// A lease as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The server that has it, or had it last.
    pub holder: String,
    /// Since when that server has it without a break.
    pub since: Timestamp,
    /// Until when, unless it is renewed.
    pub until: Timestamp,
    /// Grows with each change of the holder.
    pub generation: i64,
}

impl Meta {
    /// Takes or renews the lease `name` for this server, and says whether it has it.
    ///
    /// A store that no other server shares grants every lease.
    pub async fn lease(&self, name: &'static str) -> Result<bool, MetaError> {
        let Some(server) = self.server().map(str::to_owned) else {
            return Ok(true);
        };
        self.write(move |tx| {
            let now = tx.database_time()?;
            Ok(take(tx, name, &server, now)?.is_some())
        })
        .await
    }
}

/// Takes or renews a lease at the time `now`; `None` while another server has it.
pub fn take(
    tx: &mut Tx<'_>,
    name: &str,
    server: &str,
    now: Timestamp,
) -> Result<Option<Lease>, MetaError> {
    let found = get(tx, name)?;
    let valid = found.as_ref().filter(|lease| now < lease.until);
    let (since, generation) = match (valid, &found) {
        (Some(held), _) if held.holder != server => return Ok(None),
        (Some(held), _) => (held.since, held.generation),
        (None, Some(lost)) => (now, lost.generation + 1),
        (None, None) => (now, 1),
    };
    let lease = Lease {
        holder: server.to_owned(),
        since,
        until: Timestamp::from_millis(now.millis() + LEASE_MS),
        generation,
    };
    tx.execute(
        PUT,
        params![name, server, lease.since, lease.until, lease.generation],
    )?;
    Ok(Some(lease))
}

/// Renews the lease that says that a server lives. `true` once it has held it for so long that
/// every other living server has renewed its own since: before, after an outage of the database,
/// nobody can tell the lost from the late.
pub fn stay_alive(tx: &mut Tx<'_>, server: &str, now: Timestamp) -> Result<bool, MetaError> {
    let lease = take(tx, &name_of(server), server, now)?;
    Ok(lease.is_some_and(|lease| lease.since.millis() + LEASE_MS <= now.millis()))
}

/// Whether a server is known to live.
pub fn is_alive(reader: &Reader<'_>, server: &str, now: Timestamp) -> Result<bool, MetaError> {
    let lease = get(reader, &name_of(server))?;
    Ok(lease.is_some_and(|lease| now < lease.until))
}

fn name_of(server: &str) -> String {
    format!("server/{server}")
}

fn get(reader: &Reader<'_>, name: &str) -> Result<Option<Lease>, MetaError> {
    reader.query_one(GET, params![name], |row| {
        Ok(Lease {
            holder: row.get(0)?,
            since: row.get(1)?,
            until: row.get(2)?,
            generation: row.get(3)?,
        })
    })
}
