//! The types that a key may have: how each is read from a file or a variable, and shown.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use sightline_types::Region;
use toml::Value;

/// A type of values in the configuration.
pub trait Setting: Sized {
    /// What a value must be, to complete "expected …".
    const EXPECTED: &'static str;

    /// Reads what a variable or a flag says.
    fn from_text(text: &str) -> Option<Self>;

    /// Reads what the file says; text unless the type says otherwise.
    fn from_toml(value: &Value) -> Option<Self> {
        Self::from_text(value.as_str()?)
    }

    /// The value as the file would say it; `None` if it is unset.
    fn show(&self) -> Option<String>;

    /// The value as a number, to be compared with a key's bounds.
    fn number(&self) -> Option<u64> {
        None
    }
}

impl Setting for u64 {
    const EXPECTED: &'static str = "a whole number";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn from_toml(value: &Value) -> Option<Self> {
        Self::try_from(value.as_integer()?).ok()
    }

    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }

    fn number(&self) -> Option<u64> {
        Some(*self)
    }
}

impl Setting for bool {
    const EXPECTED: &'static str = "true or false";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn from_toml(value: &Value) -> Option<Self> {
        value.as_bool()
    }

    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

/// A type whose values are words, read by `FromStr` and shown in quotation marks.
macro_rules! words {
    ($($Type:ty => $expected:literal, $show:expr;)+) => {$(
        impl Setting for $Type {
            const EXPECTED: &'static str = $expected;

            fn from_text(text: &str) -> Option<Self> {
                text.parse().ok()
            }

            fn show(&self) -> Option<String> {
                let show: fn(&Self) -> String = $show;
                Some(show(self))
            }
        }
    )+};
}

words! {
    String => "text", |text| format!("{text:?}");
    SocketAddr => "an address and port such as 127.0.0.1:7070", |address| format!("\"{address}\"");
    Region => "a region name such as us-east-1", |region| format!("\"{region}\"");
}

/// Where the bytes of objects are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectStore {
    /// In a directory.
    Dir,
    /// In a bucket of S3, or of a server that speaks S3.
    S3,
}

impl Setting for ObjectStore {
    const EXPECTED: &'static str = "dir or s3";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "dir" => Some(Self::Dir),
            "s3" => Some(Self::S3),
            _ => None,
        }
    }

    fn show(&self) -> Option<String> {
        let word = match self {
            Self::Dir => "dir",
            Self::S3 => "s3",
        };
        Some(format!("{word:?}"))
    }
}

impl Setting for PathBuf {
    const EXPECTED: &'static str = "a path";

    fn from_text(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self::from(text))
    }

    fn show(&self) -> Option<String> {
        Some(format!("{:?}", self.to_string_lossy()))
    }
}

impl<T: Setting> Setting for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn from_text(text: &str) -> Option<Self> {
        T::from_text(text).map(Some)
    }

    fn from_toml(value: &Value) -> Option<Self> {
        T::from_toml(value).map(Some)
    }

    fn show(&self) -> Option<String> {
        self.as_ref().and_then(T::show)
    }

    fn number(&self) -> Option<u64> {
        self.as_ref().and_then(T::number)
    }
}

/// A list of paths; in a variable they are parted by colons, as in `PATH`.
impl Setting for Vec<PathBuf> {
    const EXPECTED: &'static str = "a list of paths";

    fn from_text(text: &str) -> Option<Self> {
        let parts = text.split(':').filter(|part| !part.is_empty());
        Some(parts.map(PathBuf::from).collect())
    }

    fn from_toml(value: &Value) -> Option<Self> {
        value.as_array()?.iter().map(PathBuf::from_toml).collect()
    }

    fn show(&self) -> Option<String> {
        let shown: Vec<String> = self.iter().filter_map(Setting::show).collect();
        Some(format!("[{}]", shown.join(", ")))
    }
}

/// A list of words; in a variable they are parted by commas.
impl Setting for Vec<String> {
    const EXPECTED: &'static str = "a list of texts";

    fn from_text(text: &str) -> Option<Self> {
        let parts = text.split(',').map(str::trim);
        Some(
            parts
                .filter(|part| !part.is_empty())
                .map(str::to_owned)
                .collect(),
        )
    }

    fn from_toml(value: &Value) -> Option<Self> {
        value.as_array()?.iter().map(String::from_toml).collect()
    }

    fn show(&self) -> Option<String> {
        let shown: Vec<String> = self.iter().filter_map(Setting::show).collect();
        Some(format!("[{}]", shown.join(", ")))
    }
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for the one who needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Setting for Secret {
    const EXPECTED: &'static str = "text that is kept secret";

    fn from_text(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    fn show(&self) -> Option<String> {
        Some("\"(secret)\"".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Setting>(text: &str, toml: &str, shown: Option<&str>) {
        let table: toml::Table = toml::from_str(&format!("key = {toml}")).unwrap();
        for value in [T::from_text(text), T::from_toml(&table["key"])] {
            assert_eq!(
                value.as_ref().and_then(T::show).as_deref(),
                shown,
                "{text} {toml}"
            );
        }
    }

    #[test]
    fn a_value_reads_alike_from_a_variable_and_from_the_file() {
        check::<u64>("17", "17", Some("17"));
        check::<u64>("-1", "-1", None);
        check::<u64>("1.5", "1.5", None);
        check::<u64>("many", "\"17\"", None);
        check::<bool>("true", "true", Some("true"));
        check::<bool>("yes", "\"true\"", None);
        check::<String>("a b", "\"a b\"", Some("\"a b\""));
        check::<SocketAddr>("[::1]:80", "\"[::1]:80\"", Some("\"[::1]:80\""));
        check::<SocketAddr>("localhost", "\"localhost\"", None);
        check::<Region>("eu-west-1", "\"eu-west-1\"", Some("\"eu-west-1\""));
        check::<ObjectStore>("s3", "\"s3\"", Some("\"s3\""));
        check::<ObjectStore>("gcs", "\"gcs\"", None);
        check::<Option<PathBuf>>("/a", "\"/a\"", Some("\"/a\""));
        check::<Option<u64>>("x", "\"x\"", None);
        check::<Vec<PathBuf>>("/a:/b", "[\"/a\", \"/b\"]", Some("[\"/a\", \"/b\"]"));
        check::<Vec<String>>("a, b", "[\"a\", \"b\"]", Some("[\"a\", \"b\"]"));
        check::<Vec<String>>("", "[]", Some("[]"));
    }

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Secret::from_text("hunter2").unwrap();
        assert_eq!(secret.reveal(), "hunter2");
        let told = format!("{secret:?} {:?}", secret.show());
        assert!(!told.contains("hunter2"), "{told}");
    }
}
