//! Points in time, to the millisecond.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time in milliseconds since 1970-01-01T00:00:00Z, within years 0001 to 9999.
///
/// Serialised as AWS's JSON protocols do: a number of seconds with a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(i64);

/// A text or number that names no representable point in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a time between years 0001 and 9999")]
pub struct TimestampError(pub String);

const MILLIS_MIN: i64 = -62_135_596_800_000;
const MILLIS_MAX: i64 = 253_402_300_799_999;

impl Timestamp {
    /// The start of 1970 in UTC.
    pub const EPOCH: Self = Self(0);

    /// Makes a time of milliseconds since the epoch, held within the supported years.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(MILLIS_MIN, MILLIS_MAX))
    }

    /// Makes a time of seconds since the epoch, rounded to the millisecond.
    pub fn from_epoch_seconds(seconds: f64) -> Result<Self, TimestampError> {
        let millis = (seconds * 1000.0).round();
        let representable = millis >= MILLIS_MIN as f64 && millis <= MILLIS_MAX as f64;
        if !representable {
            return Err(TimestampError(seconds.to_string()));
        }
        Ok(Self(millis as i64))
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub fn millis(self) -> i64 {
        self.0
    }

    /// Seconds since the epoch, with a fraction.
    #[must_use]
    pub fn epoch_seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// The time `later` after this one.
    #[must_use]
    pub fn plus(self, later: Duration) -> Self {
        let millis = i64::try_from(later.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.0.saturating_add(millis))
    }

    /// The time from `earlier` to this one, zero when this one is not later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Formats with a `strftime` pattern in UTC; an unusable pattern gives an empty text.
    #[must_use]
    pub fn format(self, pattern: &str) -> String {
        let Ok(instant) = jiff::Timestamp::from_millisecond(self.0) else {
            return String::new();
        };
        jiff::fmt::strtime::format(pattern, instant).unwrap_or_default()
    }

    /// ISO 8601 in UTC with milliseconds, as S3 and the Query protocols print times.
    #[must_use]
    pub fn iso8601(self) -> String {
        format!(
            "{}.{:03}Z",
            self.format("%Y-%m-%dT%H:%M:%S"),
            self.0.rem_euclid(1000)
        )
    }

    /// The form of HTTP's `Date` and `Last-Modified` headers (RFC 9110 §5.6.7).
    #[must_use]
    pub fn http_date(self) -> String {
        self.format("%a, %d %b %Y %H:%M:%S GMT")
    }

    /// The basic ISO 8601 form of `X-Amz-Date`: `20261123T190449Z`.
    #[must_use]
    pub fn amz_date(self) -> String {
        self.format("%Y%m%dT%H%M%SZ")
    }

    /// Reads the basic ISO 8601 form of `X-Amz-Date`.
    pub fn from_amz_date(text: &str) -> Result<Self, TimestampError> {
        let err = || TimestampError(text.to_owned());
        let civil = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", text).map_err(|_| err())?;
        let instant = jiff::tz::Offset::UTC
            .to_timestamp(civil)
            .map_err(|_| err())?;
        Ok(Self::from_millis(instant.as_millisecond()))
    }

    /// Reads an HTTP date (RFC 9110 §5.6.7, the preferred form).
    pub fn from_http_date(text: &str) -> Result<Self, TimestampError> {
        let err = || TimestampError(text.to_owned());
        let pattern = "%a, %d %b %Y %H:%M:%S GMT";
        let civil = jiff::civil::DateTime::strptime(pattern, text).map_err(|_| err())?;
        let instant = jiff::tz::Offset::UTC
            .to_timestamp(civil)
            .map_err(|_| err())?;
        Ok(Self::from_millis(instant.as_millisecond()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iso8601())
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    /// Reads RFC 3339 / ISO 8601 with an offset, such as `2026-11-23T19:04:49Z`.
    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let instant: jiff::Timestamp = text.parse().map_err(|_| TimestampError(text.to_owned()))?;
        Ok(Self::from_millis(instant.as_millisecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.epoch_seconds())
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Self::from_epoch_seconds(seconds).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_textual_form_round_trips() {
        let time = Timestamp::from_millis(1_795_460_689_000);
        assert_eq!(time.iso8601(), "2026-11-23T19:04:49.000Z");
        assert_eq!(time.iso8601().parse::<Timestamp>().unwrap(), time);
        assert_eq!(time.amz_date(), "20261123T190449Z");
        assert_eq!(Timestamp::from_amz_date("20261123T190449Z").unwrap(), time);
        assert_eq!(time.http_date(), "Mon, 23 Nov 2026 19:04:49 GMT");
        assert_eq!(Timestamp::from_http_date(&time.http_date()).unwrap(), time);
    }

    #[test]
    fn json_is_seconds_with_a_fraction() {
        let time = Timestamp::from_millis(1_795_460_689_123);
        assert_eq!(serde_json::to_string(&time).unwrap(), "1795460689.123");
        assert_eq!(
            serde_json::from_str::<Timestamp>("1795460689.123").unwrap(),
            time
        );
        assert_eq!(
            serde_json::from_str::<Timestamp>("0").unwrap(),
            Timestamp::EPOCH
        );
    }

    #[test]
    fn times_outside_the_calendar_are_refused() {
        assert!(serde_json::from_str::<Timestamp>("1e300").is_err());
        assert!(Timestamp::from_epoch_seconds(f64::NAN).is_err());
        assert!("yesterday".parse::<Timestamp>().is_err());
    }
}
