//! A clock that stands until a test moves it.

use std::time::Duration;

use async_trait::async_trait;
use sightline_ports::Clock;
use sightline_types::Timestamp;
use tokio::sync::watch;

/// Time that passes only by [`VirtualClock::advance`].
#[derive(Debug)]
pub struct VirtualClock {
    now: watch::Sender<Timestamp>,
    /// How long each of those who sleep meant to, and until when, in no order.
    asleep: watch::Sender<Vec<(Duration, Timestamp)>>,
}

impl VirtualClock {
    /// A clock that shows this time.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self {
            now: watch::Sender::new(now),
            asleep: watch::Sender::new(Vec::new()),
        }
    }

    /// Moves the time on and wakes those whose time has come.
    pub fn advance(&self, by: Duration) {
        self.now.send_modify(|now| *now = now.plus(by));
    }

    /// Returns once somebody sleeps for exactly this long, so that advancing will wake them. Whoever
    /// was woken and has not yet noticed does not count.
    pub async fn until_asleep_for(&self, duration: Duration) {
        let mut asleep = self.asleep.subscribe();
        asleep
            .wait_for(|asleep| {
                let now = self.now();
                asleep.iter().any(|(of, end)| *of == duration && now < *end)
            })
            .await
            .expect("the clock outlives those who look at it");
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        *self.now.borrow()
    }

    async fn sleep(&self, duration: Duration) {
        let end = self.now().plus(duration);
        let mut now = self.now.subscribe();
        let _asleep = Asleep::begin(&self.asleep, (duration, end));
        now.wait_for(|now| end <= *now)
            .await
            .expect("the clock outlives those who sleep by it");
    }
}

/// One who sleeps, until woken or given up.
struct Asleep<'c> {
    all: &'c watch::Sender<Vec<(Duration, Timestamp)>>,
    own: (Duration, Timestamp),
}

impl<'c> Asleep<'c> {
    fn begin(
        all: &'c watch::Sender<Vec<(Duration, Timestamp)>>,
        own: (Duration, Timestamp),
    ) -> Self {
        all.send_modify(|asleep| asleep.push(own));
        Self { all, own }
    }
}

impl Drop for Asleep<'_> {
    fn drop(&mut self) {
        self.all.send_modify(|asleep| {
            if let Some(at) = asleep.iter().position(|other| *other == self.own) {
                asleep.swap_remove(at);
            }
        });
    }
}
