//! Who is let in: requests at once, in all and of one principal, and requests per second.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use http::header::RETRY_AFTER;
use sightline_api::Fault;
use sightline_types::Timestamp;
use sightline_wire::schema::Protocol;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::Limits;

/// Principals that are remembered. More than that is pruned to those who are owed something.
const PRINCIPALS_MAX: usize = 10_000;

/// Counts requests and lets no more in than the limits allow.
#[derive(Debug)]
pub(crate) struct Gate {
    requests: Arc<Semaphore>,
    principals: Arc<Mutex<HashMap<Arc<str>, Principal>>>,
    at_once: usize,
    pace: Option<Pace>,
}

/// What is remembered of one principal.
#[derive(Clone, Copy, Debug, Default)]
struct Principal {
    under_way: usize,
    /// When its bucket is full again, in milliseconds: the later, the emptier it is.
    full_at: i64,
}

/// A token bucket: `burst` requests at once, and one more every `every` milliseconds.
#[derive(Clone, Copy, Debug)]
struct Pace {
    every_micros: i64,
    burst: i64,
}

/// A principal's place, free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    principals: Arc<Mutex<HashMap<Arc<str>, Principal>>>,
    name: Arc<str>,
}

/// Why a principal has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Throttled {
    /// Too many requests per second; the time until the next is let in.
    Rate(Duration),
    /// Too many requests at once.
    AtOnce,
}

impl Gate {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            requests: Arc::new(Semaphore::new(limits.requests)),
            principals: Arc::default(),
            at_once: limits.principal_requests,
            pace: Pace::of(limits.principal_per_second, limits.principal_burst),
        }
    }

    /// A place among all requests, if there is one.
    pub(crate) fn enter(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.requests).try_acquire_owned().ok()
    }

    /// A place for one more request of a principal whose signature holds.
    pub(crate) fn admit(&self, name: &str, now: Timestamp) -> Result<Place, Throttled> {
        let now = now.millis().saturating_mul(1_000);
        let mut principals = lock(&self.principals);
        if PRINCIPALS_MAX <= principals.len() {
            principals.retain(|_, one| 0 < one.under_way || now < one.full_at);
        }
        let (name, mut one) = match principals.get_key_value(name) {
            Some((name, one)) => (Arc::clone(name), *one),
            None => (Arc::from(name), Principal::default()),
        };
        if self.at_once <= one.under_way {
            return Err(Throttled::AtOnce);
        }
        let wait = match self.pace {
            Some(pace) => pace.take(&mut one.full_at, now),
            None => Duration::ZERO,
        };
        if wait.is_zero() {
            one.under_way = one.under_way.saturating_add(1);
        }
        principals.insert(Arc::clone(&name), one);
        if !wait.is_zero() {
            return Err(Throttled::Rate(wait));
        }
        Ok(Place {
            principals: Arc::clone(&self.principals),
            name,
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pace {
    /// `None` if the rate is not limited.
    fn of(per_second: u64, burst: u64) -> Option<Self> {
        let per_second = i64::try_from(per_second).ok().filter(|rate| 0 < *rate)?;
        Some(Self {
            every_micros: (1_000_000_i64 / per_second).max(1),
            burst: i64::try_from(burst).unwrap_or(i64::MAX).max(1),
        })
    }

    /// Takes one token of the bucket that is full at `full_at`, or gives how long to wait for one.
    fn take(self, full_at: &mut i64, now: i64) -> Duration {
        let depth = self.every_micros.saturating_mul(self.burst);
        // A clock that was set back must not make anybody wait longer than an empty bucket does.
        *full_at = (*full_at).clamp(now, now.saturating_add(depth));
        let then = full_at.saturating_add(self.every_micros);
        let early = then.saturating_sub(now).saturating_sub(depth);
        if early <= 0 {
            *full_at = then;
        }
        Duration::from_micros(u64::try_from(early).unwrap_or_default())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut principals = lock(&self.principals);
        if let Some(one) = principals.get_mut(&self.name) {
            one.under_way = one.under_way.saturating_sub(1);
        }
    }
}

impl Throttled {
    /// What is counted, in a word.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Rate(_) => "rate",
            Self::AtOnce => "concurrency",
        }
    }

    /// AWS's answer, in the words of the protocol.
    pub(crate) fn fault(self, protocol: Protocol) -> Fault {
        let (code, status, text) = match protocol {
            Protocol::RestXml => (
                "SlowDown",
                StatusCode::SERVICE_UNAVAILABLE,
                "Please reduce your request rate.",
            ),
            Protocol::Query => ("Throttling", StatusCode::BAD_REQUEST, "Rate exceeded"),
            Protocol::Json10 | Protocol::Json11 | Protocol::RestJson => (
                "ThrottlingException",
                StatusCode::BAD_REQUEST,
                "Rate exceeded",
            ),
        };
        let wait = match self {
            Self::Rate(wait) => wait,
            Self::AtOnce => Duration::from_secs(1),
        };
        let seconds = wait
            .as_secs()
            .saturating_add(u64::from(0 < wait.subsec_nanos()));
        Fault::new(code, status, text).with_header(RETRY_AFTER, &seconds.max(1).to_string())
    }
}

/// The answer when the server as a whole has too much to do.
pub(crate) fn busy() -> Fault {
    Fault::new(
        "ServiceUnavailable",
        StatusCode::SERVICE_UNAVAILABLE,
        "The server has as many requests as it takes at once. Please try again.",
    )
    .with_header(RETRY_AFTER, "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(at_once: usize, per_second: u64, burst: u64) -> Gate {
        Gate::new(&Limits {
            principal_requests: at_once,
            principal_per_second: per_second,
            principal_burst: burst,
            ..Limits::of(&sightline_config::Settings::default())
        })
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + millis)
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let gate = gate(100, 10, 3);
        let mut admitted = Vec::new();
        for millis in (0..1_000).step_by(10) {
            if gate.admit("a", at(millis)).is_ok() {
                admitted.push(millis);
            }
        }
        assert_eq!(
            admitted,
            [0, 10, 20, 100, 200, 300, 400, 500, 600, 700, 800, 900]
        );
        assert!(
            gate.admit("b", at(0)).is_ok(),
            "another's bucket is its own"
        );
    }

    #[test]
    fn who_must_wait_is_told_how_long() {
        let gate = gate(100, 2, 1);
        assert!(gate.admit("a", at(0)).is_ok());
        let wait = Duration::from_millis(400);
        assert_eq!(gate.admit("a", at(100)).err(), Some(Throttled::Rate(wait)));
        assert!(gate.admit("a", at(500)).is_ok());
    }

    #[test]
    fn a_clock_that_was_set_back_locks_nobody_out() {
        let gate = gate(100, 1, 2);
        assert!(gate.admit("a", at(3_600_000)).is_ok());
        let told = gate.admit("a", at(0)).err();
        assert_eq!(told, Some(Throttled::Rate(Duration::from_secs(1))));
        assert!(gate.admit("a", at(1_000)).is_ok());
    }

    #[test]
    fn a_place_is_free_again_when_it_is_left() {
        let gate = gate(2, 0, 1);
        let places = [gate.admit("a", at(0)), gate.admit("a", at(0))];
        assert_eq!(gate.admit("a", at(0)).err(), Some(Throttled::AtOnce));
        assert!(gate.admit("b", at(0)).is_ok());
        drop(places);
        assert!(gate.admit("a", at(0)).is_ok());
    }

    #[test]
    fn who_is_owed_nothing_is_forgotten() {
        let gate = gate(10, 0, 1);
        for number in 0..=PRINCIPALS_MAX {
            assert!(gate.admit(&number.to_string(), at(0)).is_ok());
        }
        assert_eq!(lock(&gate.principals).len(), 1);
    }
}
