//! Which part of an object is wanted.

use sightline_ports::ByteRange;

use crate::Error;

/// A range as HTTP states it, before the object's size is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeSpec {
    /// From this byte to the end: `bytes=5-`.
    From(u64),
    /// From the first to the last of these bytes: `bytes=5-9`.
    Within(u64, u64),
    /// This many bytes at the end: `bytes=-5`.
    Last(u64),
}

impl RangeSpec {
    /// Reads a `Range` header. Like S3 it takes one range only, and none of another form:
    /// a header that is not understood is as good as absent (RFC 9110 §14.2).
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let (first, last) = header.trim().strip_prefix("bytes=")?.split_once('-')?;
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| text.parse().unwrap_or(u64::MAX))
        };
        match (first.is_empty(), last.is_empty()) {
            (true, _) => Some(Self::Last(number(last)?)),
            (false, true) => Some(Self::From(number(first)?)),
            (false, false) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::Within(first, last))
            }
        }
    }

    /// The bytes meant in an object of `size`, of which there must be at least one.
    pub(crate) fn within(self, size: u64) -> Result<ByteRange, Error> {
        let (start, end) = match self {
            Self::From(start) => (start, size),
            Self::Within(first, last) => (first, size.min(last.saturating_add(1))),
            Self::Last(count) => (size.saturating_sub(count), size),
        };
        if end <= start {
            return Err(Error::RangeNotSatisfiable { size });
        }
        Ok(ByteRange { start, end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_http_writes_them() {
        let cases = [
            ("bytes=0-", Some(RangeSpec::From(0))),
            ("bytes=2-5", Some(RangeSpec::Within(2, 5))),
            ("bytes=-3", Some(RangeSpec::Last(3))),
            (
                "bytes=0-99999999999999999999",
                Some(RangeSpec::Within(0, u64::MAX)),
            ),
            ("bytes=5-2", None),
            ("bytes=-", None),
            ("bytes=a-b", None),
            ("bytes=+1-2", None),
            ("bytes=0-1,3-4", None),
            ("items=0-1", None),
            ("", None),
        ];
        for (header, expected) in cases {
            assert_eq!(RangeSpec::parse(header), expected, "{header}");
        }
    }

    #[test]
    fn ranges_are_cut_to_the_object_and_never_empty() {
        let cases = [
            (RangeSpec::From(0), 10, Some((0, 10))),
            (RangeSpec::From(9), 10, Some((9, 10))),
            (RangeSpec::From(10), 10, None),
            (RangeSpec::Within(2, 5), 10, Some((2, 6))),
            (RangeSpec::Within(2, u64::MAX), 10, Some((2, 10))),
            (RangeSpec::Within(10, 11), 10, None),
            (RangeSpec::Last(3), 10, Some((7, 10))),
            (RangeSpec::Last(11), 10, Some((0, 10))),
            (RangeSpec::Last(0), 10, None),
            (RangeSpec::From(0), 0, None),
            (RangeSpec::Last(5), 0, None),
        ];
        for (range, size, expected) in cases {
            let got = range
                .within(size)
                .ok()
                .map(|range| (range.start, range.end));
            assert_eq!(got, expected, "{range:?} of {size}");
        }
    }
}
