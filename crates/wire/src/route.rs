//! Which operation a request is for, among those served and those only known.

use std::cmp::Reverse;

use http::HeaderMap;

use crate::error::DecodeError;
use crate::schema::{Http, Operation, Service, Unserved};
use crate::uri::{decode_pairs, match_path};

/// What a request asks for.
#[derive(Clone, Copy, Debug)]
pub enum Match {
    /// An operation with a handler.
    Served(&'static Operation),
    /// An operation of the real service, to be refused by name.
    Unserved(&'static Service, &'static Unserved),
    /// Nothing that the real service has either.
    Unknown,
}

/// Finds the operation of an `X-Amz-Target` such as `SageMaker.CreateTrainingJob`.
#[must_use]
pub fn match_target(services: &[&'static Service], target: &str) -> Match {
    let Some((prefix, name)) = target.rsplit_once('.') else {
        return Match::Unknown;
    };
    let found = services
        .iter()
        .find(|service| service.target_prefix == prefix);
    found.map_or(Match::Unknown, |service| match_name(service, name))
}

/// Finds the operation of this name, as the Query protocol's `Action` gives it.
#[must_use]
pub fn match_name(service: &'static Service, name: &str) -> Match {
    if let Some(operation) = service.operation(name) {
        return Match::Served(operation);
    }
    service.unserved(name).map_or(Match::Unknown, |unserved| {
        Match::Unserved(service, unserved)
    })
}

/// Finds the operation of a REST request by method, path, query keys and headers.
///
/// All operations compete, served or not, so that `PUT /bucket?acl` is never taken for the
/// creation of a bucket. The one that demands most wins; of two that demand as much, the served.
pub fn match_rest(
    service: &'static Service,
    method: &str,
    path: &str,
    query: &str,
    headers: &HeaderMap,
) -> Result<Match, DecodeError> {
    let query = decode_pairs(query)?;
    let fit = |http: &Http| specificity(http, method, path, &query, headers);
    let served = service
        .operations
        .iter()
        .map(|o| (fit(&o.http), Match::Served(o)));
    let unserved = service
        .unserved
        .iter()
        .map(|o| (fit(&o.http), Match::Unserved(service, o)));
    let best = served
        .chain(unserved)
        .filter_map(|(fit, found)| Some((fit?, found)))
        .min_by_key(|(fit, _)| Reverse(*fit));
    Ok(best.map_or(Match::Unknown, |(_, found)| found))
}

/// How much of a request an operation accounts for: literal segments, then the absence of a
/// greedy label, then query keys and headers. `None` when the request is not for it.
type Specificity = (usize, bool, usize);

fn specificity(
    http: &Http,
    method: &str,
    path: &str,
    query: &[(String, String)],
    headers: &HeaderMap,
) -> Option<Specificity> {
    if http.method != method {
        return None;
    }
    let labels = match_path(http.uri, path)?;
    let (template, literals) = http.uri.split_once('?').unwrap_or((http.uri, ""));
    let mut demands = http.query_keys.len() + http.headers.len();
    for literal in literals.split('&').filter(|literal| !literal.is_empty()) {
        demands += 1;
        let present = match literal.split_once('=') {
            Some((name, value)) => query.iter().any(|(n, v)| n == name && v == value),
            None => query.iter().any(|(n, _)| n == literal),
        };
        if !present {
            return None;
        }
    }
    let keys_present = http
        .query_keys
        .iter()
        .all(|key| query.iter().any(|(n, _)| n == key));
    let headers_present = http.headers.iter().all(|name| headers.contains_key(*name));
    if !(keys_present && headers_present) {
        return None;
    }
    let segments = template
        .split('/')
        .filter(|segment| !segment.is_empty())
        .count();
    Some((segments - labels.len(), !template.contains("+}"), demands))
}
