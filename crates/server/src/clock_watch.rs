//! Watching the time of day against the steady clock, so that a jump is told when it happens.
//!
//! Nothing stands on the time of day but what clients see: signatures are judged by it as it is,
//! and the order of events is by number. A person who wonders about times finds the reason here.

use std::sync::Arc;
use std::time::Duration;

use sightline_ports::Clock;
use tokio::time::Instant;

/// How often the clocks are compared.
const EVERY: Duration = Duration::from_secs(1);

/// Less is the slow correction of a clock, or a machine that was busy between two readings.
const JUMP_MIN: Duration = Duration::from_secs(5);

/// Compares for ever.
pub(crate) async fn watch(clock: Arc<dyn Clock>) {
    let (mut time, mut steady) = (clock.now(), Instant::now());
    loop {
        clock.sleep(EVERY).await;
        let (time_after, steady_after) = (clock.now(), Instant::now());
        let expected = time.plus(steady_after.duration_since(steady));
        // The later less the earlier; the other way round there is none.
        let (forward, back) = (time_after.since(expected), expected.since(time_after));
        if JUMP_MIN <= forward {
            tracing::warn!(
                seconds = forward.as_secs(),
                "the time of day jumped forward"
            );
        } else if JUMP_MIN <= back {
            tracing::warn!(seconds = back.as_secs(), "the time of day jumped back");
        }
        (time, steady) = (time_after, steady_after);
    }
}
