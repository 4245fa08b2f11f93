//! Where in a document a value stands, in the spelling of AWS's messages.

use std::fmt;

/// A place in a document, linked to the places around it, so that walking costs no allocation.
#[derive(Clone, Copy)]
pub(crate) struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Member(&'a str),
    Item(usize),
    Key(&'a str),
}

impl Path<'_> {
    /// The whole document.
    pub(crate) const ROOT: Path<'static> = Path {
        parent: None,
        step: Step::Root,
    };

    /// The member `name` of the structure here.
    pub(crate) fn member<'a>(&'a self, name: &'a str) -> Path<'a> {
        Path {
            parent: Some(self),
            step: Step::Member(name),
        }
    }

    /// The item at `index`, counted from 0, of the list here.
    pub(crate) fn item(&self, index: usize) -> Path<'_> {
        Path {
            parent: Some(self),
            step: Step::Item(index),
        }
    }

    /// The value under `key` of the map here.
    pub(crate) fn key<'a>(&'a self, key: &'a str) -> Path<'a> {
        Path {
            parent: Some(self),
            step: Step::Key(key),
        }
    }

    /// How many steps lead here.
    pub(crate) fn depth(&self) -> usize {
        std::iter::successors(self.parent, |path| path.parent).count()
    }
}

impl fmt::Display for Path<'_> {
    /// Members in lower camel case, items counted from 1: `tags.1.member.key`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(parent) = self.parent else {
            return Ok(());
        };
        parent.fmt(f)?;
        if parent.parent.is_some() {
            f.write_str(".")?;
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Member(name) => {
                let mut chars = name.chars();
                let first = chars.next().map(|c| c.to_ascii_lowercase());
                write!(
                    f,
                    "{}{}",
                    first.map(String::from).unwrap_or_default(),
                    chars.as_str()
                )
            }
            Step::Item(index) => write!(f, "{}.member", index + 1),
            Step::Key(key) => f.write_str(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_spelled_as_aws_does() {
        let root = Path::ROOT;
        let tags = root.member("Tags");
        let first = tags.item(0);
        assert_eq!(first.member("Key").to_string(), "tags.1.member.key");
        assert_eq!(root.member("S3Uri").to_string(), "s3Uri");
        let config = root.member("ProcessingResources");
        let cluster = config.member("ClusterConfig");
        let count = cluster.member("InstanceCount");
        assert_eq!(
            count.to_string(),
            "processingResources.clusterConfig.instanceCount"
        );
        assert_eq!(count.depth(), 3);
        let map = root.member("Filters");
        assert_eq!(
            map.key("a b").member("Value").to_string(),
            "filters.a b.value"
        );
    }
}
