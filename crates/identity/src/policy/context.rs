//! The facts of a request that conditions and variables ask about.

/// Condition keys with the request's values.
///
/// The case of keys does not count. A key without values is as good as absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context(Vec<(Box<str>, Vec<String>)>);

impl Context {
    /// Sets a key to one value.
    pub fn put(&mut self, key: &str, value: impl Into<String>) {
        self.put_all(key, vec![value.into()]);
    }

    /// Sets a key to these values, whatever it had before.
    pub fn put_all(&mut self, key: &str, values: Vec<String>) {
        self.0.retain(|(name, _)| !name.eq_ignore_ascii_case(key));
        if !values.is_empty() {
            self.0.push((key.into(), values));
        }
    }

    /// Sets every key of `other`, whatever it had here.
    pub fn extend(&mut self, other: Self) {
        for (key, values) in other.0 {
            self.put_all(&key, values);
        }
    }

    /// The values of a key; `None` if the request says nothing of it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&[String]> {
        let found = self
            .0
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(key));
        found.map(|(_, values)| values.as_slice())
    }
}
