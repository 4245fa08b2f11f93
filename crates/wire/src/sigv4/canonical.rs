//! The canonical request: one spelling for all requests that mean the same.

use http::HeaderMap;
use http::request::Parts;

use super::{PayloadHash, Place};

/// What a canonical request is made of, besides the request.
pub(super) struct Canonical<'a> {
    pub(super) parts: &'a Parts,
    /// S3 spells paths in its own way.
    pub(super) s3: bool,
    /// In a query, the signature itself is not signed.
    pub(super) place: Place,
    pub(super) signed_headers: &'a str,
    pub(super) payload: PayloadHash,
}

const HEX_UPPER: &[u8; 16] = b"0123456789ABCDEF";

/// Room for the method, the usual signed headers and the hash, so that most requests allocate once.
const USUAL_BYTES: usize = 768;

impl Canonical<'_> {
    pub(super) fn build(&self) -> Vec<u8> {
        let uri = &self.parts.uri;
        let query = uri.query().unwrap_or_default();
        let mut out = Vec::with_capacity(USUAL_BYTES + uri.path().len() + 2 * query.len());
        out.extend_from_slice(self.parts.method.as_str().as_bytes());
        out.push(b'\n');
        if self.s3 {
            write_path_once(uri.path(), &mut out);
        } else {
            write_path_twice(uri.path(), &mut out);
        }
        out.push(b'\n');
        write_query(query, self.place, &mut out);
        out.push(b'\n');
        for name in self.signed_headers.split(';') {
            write_header(name, self.parts, &mut out);
        }
        out.push(b'\n');
        out.extend_from_slice(self.signed_headers.as_bytes());
        out.push(b'\n');
        out.extend_from_slice(self.payload.to_string().as_bytes());
        out
    }
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn write_escaped(byte: u8, out: &mut Vec<u8>) {
    let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
    out.extend_from_slice(&[b'%', HEX_UPPER[high], HEX_UPPER[low]]);
}

fn write_encoded(byte: u8, out: &mut Vec<u8>) {
    if is_unreserved(byte) {
        out.push(byte);
    } else {
        write_escaped(byte, out);
    }
}

/// The byte that `text` begins with, whether it is escaped, and what follows it.
/// A `%` that begins no escape stands for itself.
fn next_byte(text: &[u8]) -> Option<(u8, bool, &[u8])> {
    let nibble = |b: &u8| {
        char::from(*b)
            .to_digit(16)
            .and_then(|n| u8::try_from(n).ok())
    };
    match text {
        [] => None,
        [b'%', high, low, rest @ ..] => match (nibble(high), nibble(low)) {
            (Some(high), Some(low)) => Some((high << 4 | low, true, rest)),
            _ => Some((b'%', false, &text[1..])),
        },
        [byte, rest @ ..] => Some((*byte, false, rest)),
    }
}

/// S3: every byte encoded once, whatever the client left bare. An escaped slash stays escaped,
/// so the bytes authenticated are those received.
fn write_path_once(path: &str, out: &mut Vec<u8>) {
    if path.is_empty() {
        out.push(b'/');
    }
    let mut rest = path.as_bytes();
    while let Some((byte, escaped, after)) = next_byte(rest) {
        if byte == b'/' && !escaped {
            out.push(b'/');
        } else {
            write_encoded(byte, out);
        }
        rest = after;
    }
}

/// The other services: dot segments and empty ones removed (RFC 3986 §5.2.4, and more), then
/// encoded again on top of the client's own encoding.
fn write_path_twice(path: &str, out: &mut Vec<u8>) {
    let mut segments: Vec<&str> = Vec::with_capacity(8);
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            _ => segments.push(segment),
        }
    }
    for segment in &segments {
        out.push(b'/');
        segment.bytes().for_each(|byte| write_encoded(byte, out));
    }
    if segments.is_empty() || path.ends_with('/') {
        out.push(b'/');
    }
}

/// Parameters, each decoded and encoded anew, in ascending order of encoded name and then value.
fn write_query(query: &str, place: Place, out: &mut Vec<u8>) {
    if query.is_empty() {
        return;
    }
    let mut encoded = Vec::with_capacity(query.len() + query.len() / 4);
    let mut spans = Vec::with_capacity(16);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let start = encoded.len();
        write_parameter(name, &mut encoded);
        let middle = encoded.len();
        write_parameter(value, &mut encoded);
        spans.push((start, middle, encoded.len()));
    }
    let mut pairs: Vec<(&[u8], &[u8])> = spans
        .into_iter()
        .map(|(start, middle, end)| (&encoded[start..middle], &encoded[middle..end]))
        .filter(|(name, _)| place == Place::Header || *name != b"X-Amz-Signature")
        .collect();
    pairs.sort_unstable();
    for (at, (name, value)) in pairs.into_iter().enumerate() {
        if at > 0 {
            out.push(b'&');
        }
        out.extend_from_slice(name);
        out.push(b'=');
        out.extend_from_slice(value);
    }
}

/// A bare `+` is a space, as it is to whoever reads the parameter afterwards.
fn write_parameter(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    while let Some((byte, escaped, after)) = next_byte(rest) {
        write_encoded(if byte == b'+' && !escaped { b' ' } else { byte }, out);
        rest = after;
    }
}

/// `name:value`, values of repeated headers joined by commas. One that is absent reads as empty:
/// a signature over a header that was removed on the way then fails to match.
fn write_header(name: &str, parts: &Parts, out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.push(b':');
    match host_of_uri(name, parts) {
        Some(host) => out.extend_from_slice(host.as_bytes()),
        None => write_values(name, &parts.headers, out),
    }
    out.push(b'\n');
}

/// HTTP/2 carries the host in the target, not in a header.
fn host_of_uri<'a>(name: &str, parts: &'a Parts) -> Option<&'a str> {
    if name != "host" || parts.headers.contains_key(http::header::HOST) {
        return None;
    }
    parts.uri.authority().map(http::uri::Authority::as_str)
}

fn write_values(name: &str, headers: &HeaderMap, out: &mut Vec<u8>) {
    for (at, value) in headers.get_all(name).iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_folded(value.as_bytes(), out);
    }
}

/// Trims white space and folds runs of it into one space.
fn write_folded(value: &[u8], out: &mut Vec<u8>) {
    let words = value
        .split(|b| matches!(b, b' ' | b'\t'))
        .filter(|word| !word.is_empty());
    for (at, word) in words.enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(write: impl Fn(&str, &mut Vec<u8>), cases: &[(&str, &str)]) {
        for (input, expected) in cases {
            let mut out = Vec::new();
            write(input, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), *expected, "{input}");
        }
    }

    #[test]
    fn s3_paths_are_encoded_once_and_kept() {
        let cases = [
            ("", "/"),
            ("/", "/"),
            ("/b/a//x/../y", "/b/a//x/../y"),
            ("/b/a%2fb", "/b/a%2Fb"),
            ("/b/a%7Eb", "/b/a~b"),
            ("/b/(a)+é%zz", "/b/%28a%29%2B%C3%A9%25zz"),
        ];
        check(write_path_once, &cases);
    }

    #[test]
    fn other_paths_are_normalised_and_encoded_again() {
        let cases = [
            ("", "/"),
            ("/", "/"),
            ("//", "/"),
            ("/..", "/"),
            ("/a//b/./c/../d/", "/a/b/d/"),
            ("/a%20b/%2F", "/a%2520b/%252F"),
        ];
        check(write_path_twice, &cases);
    }

    #[test]
    fn parameters_are_sorted_by_encoded_name_then_value() {
        let cases = [
            ("", ""),
            ("b=2&a=1", "a=1&b=2"),
            ("a-b=1&a=2", "a=2&a-b=1"),
            ("a=b&a=B&a", "a=&a=B&a=b"),
            ("&&a=x+y&b=x%2By&", "a=x%20y&b=x%2By"),
            ("k=a=b", "k=a%3Db"),
            ("X-Amz-Signature=1&z", "z="),
        ];
        check(|text, out| write_query(text, Place::Query, out), &cases);
    }

    #[test]
    fn header_values_are_trimmed_and_folded() {
        let fold = |text: &str, out: &mut Vec<u8>| write_folded(text.as_bytes(), out);
        check(
            fold,
            &[
                ("", ""),
                ("  ", ""),
                (" a   b\t c ", "a b c"),
                ("\"a  b\"", "\"a b\""),
            ],
        );
    }
}
