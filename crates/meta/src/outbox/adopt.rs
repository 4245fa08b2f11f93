//! Takes over the events of stores that kept one row, and several index entries, for each.

use sightline_types::Timestamp;

use super::{Sealed, append};
use crate::{MetaError, Tx, params};

/// Events that are taken over at once, so that memory stays small.
const BATCH: i64 = 1000;

const OLD: &str = "SELECT seq, at, record FROM events WHERE seq > $1 ORDER BY seq LIMIT $2";

/// Puts every event of the table `events` on the chain, in its order, and drops the tables.
pub(crate) fn adopt(tx: &mut Tx<'_>) -> Result<(), MetaError> {
    let mut after = 0;
    loop {
        let rows: Vec<(i64, Timestamp, String)> = tx.query(OLD, params![after, BATCH], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
        let Some((last, ..)) = rows.last() else {
            break;
        };
        after = *last;
        let old = rows
            .into_iter()
            .map(|(_, at, record)| Sealed::as_stored(at, record));
        append(tx, old.collect())?;
    }
    tx.execute("DROP TABLE event_resources", params![])?;
    tx.execute("DROP TABLE events", params![])?;
    Ok(())
}
