//! Places for connections: so many in all, so many of one address, and a few in reserve.
//!
//! A connection that finds no place is still accepted, in reserve, where only the operator's
//! questions are answered: a full server must be able to say that it is full.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::limits::Limits;

/// Connections in reserve at once, and of one address.
const RESERVE: Bounds = Bounds {
    all: 64,
    of_one: 16,
};

#[derive(Clone, Copy, Debug)]
struct Bounds {
    all: usize,
    of_one: usize,
}

/// The places of a port.
#[derive(Debug)]
pub(crate) struct Places {
    free: Arc<Taken>,
    reserve: Arc<Taken>,
}

/// A place that is taken, until this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    /// Whether it is one in reserve.
    pub(crate) in_reserve: bool,
    taken: Arc<Taken>,
    address: IpAddr,
}

#[derive(Debug)]
struct Taken {
    are_reserve: bool,
    bounds: Bounds,
    by_address: Mutex<Count>,
}

#[derive(Debug, Default)]
struct Count {
    all: usize,
    of: HashMap<IpAddr, usize>,
}

impl Places {
    pub(crate) fn new(limits: &Limits) -> Self {
        let free = Bounds {
            all: limits.connections,
            of_one: limits.peer_connections,
        };
        Self {
            free: Taken::new(false, free),
            reserve: Taken::new(true, RESERVE),
        }
    }

    /// The best place there is for a connection from `address`.
    pub(crate) fn enter(&self, address: IpAddr) -> Option<Place> {
        let free = self.free.take(address);
        free.or_else(|| self.enter_reserve(address))
    }

    /// A place in reserve.
    pub(crate) fn enter_reserve(&self, address: IpAddr) -> Option<Place> {
        self.reserve.take(address)
    }
}

impl Taken {
    fn new(are_reserve: bool, bounds: Bounds) -> Arc<Self> {
        Arc::new(Self {
            are_reserve,
            bounds,
            by_address: Mutex::default(),
        })
    }

    fn take(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let address = address.to_canonical();
        let mut count = self
            .by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let of_one = count.of.get(&address).copied().unwrap_or_default();
        if self.bounds.all <= count.all || self.bounds.of_one <= of_one {
            return None;
        }
        count.all = count.all.saturating_add(1);
        count.of.insert(address, of_one.saturating_add(1));
        Some(Place {
            in_reserve: self.are_reserve,
            taken: Arc::clone(self),
            address,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let count = &self.taken.by_address;
        let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
        count.all = count.all.saturating_sub(1);
        if let Some(of_one) = count.of.get_mut(&self.address) {
            *of_one = of_one.saturating_sub(1);
            if *of_one == 0 {
                count.of.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_in_all_and_for_each_address() {
        let places = Places::new(&Limits {
            connections: 3,
            peer_connections: 2,
            ..Limits::of(&sightline_config::Settings::default())
        });
        let [a, b]: [IpAddr; 2] = [[192, 0, 2, 1].into(), [192, 0, 2, 2].into()];
        let first = places.enter(a);
        let mut held: Vec<Option<Place>> = [a, a, b, b].map(|one| places.enter(one)).into();
        let in_reserve = |place: &Option<Place>| place.as_ref().map(|place| place.in_reserve);
        let got: Vec<_> = held.iter().map(in_reserve).collect();
        assert_eq!(got, [Some(false), Some(true), Some(false), Some(true)]);
        drop(first);
        assert_eq!(in_reserve(&places.enter(b)), Some(false));
        held.extend((0..RESERVE.all).map(|_| places.enter_reserve(a)));
        assert!(places.enter(a).is_some_and(|place| !place.in_reserve));
        held.push(places.enter(b));
        assert!(places.enter(a).is_none());
        held.clear();
        assert!(places.free.by_address.lock().unwrap().of.is_empty());
    }
}
