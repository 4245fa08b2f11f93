//! The constructors from which tables are put together, all usable in statics.

use super::{Http, Kind, List, Location, Map, Member, Range, Shape, Text, Unserved};
use crate::pattern::Pattern;

impl Unserved {
    /// An operation of a REST service.
    #[must_use]
    pub const fn rest(name: &'static str, http: Http) -> Self {
        Self { name, http }
    }

    /// An operation of a service whose operations all live at one place.
    #[must_use]
    pub const fn rpc(name: &'static str) -> Self {
        Self {
            name,
            http: Http::new("POST", "/"),
        }
    }
}

impl Http {
    /// An operation at `uri` that answers 200 and needs no particular key or header.
    #[must_use]
    pub const fn new(method: &'static str, uri: &'static str) -> Self {
        Self {
            method,
            uri,
            status: 200,
            query_keys: &[],
            headers: &[],
        }
    }

    /// The same, answering another status.
    #[must_use]
    pub const fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// The same, told from others at its place by query keys and headers that it needs.
    #[must_use]
    pub const fn demands(
        self,
        query_keys: &'static [&'static str],
        headers: &'static [&'static str],
    ) -> Self {
        Self {
            query_keys,
            headers,
            ..self
        }
    }
}

impl Shape {
    /// A structure of these members.
    #[must_use]
    pub const fn structure(name: &'static str, members: &'static [Member]) -> Self {
        Self {
            name,
            sensitive: false,
            kind: Kind::Structure(members),
        }
    }

    /// A shape of any kind whose values may be shown.
    #[must_use]
    pub const fn new(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            sensitive: false,
            kind,
        }
    }

    /// A shape of any kind whose values must not be shown.
    #[must_use]
    pub const fn sensitive(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            sensitive: true,
            kind,
        }
    }
}

impl List {
    /// Any number of values, each in an XML element `member`.
    #[must_use]
    pub const fn of(member: &'static Shape) -> Self {
        Self {
            member,
            element: "member",
            flattened: false,
            length: Range::any(),
        }
    }

    /// The same, so many.
    #[must_use]
    pub const fn length(self, length: Range<u64>) -> Self {
        Self { length, ..self }
    }

    /// The same, each in this XML element.
    #[must_use]
    pub const fn element(self, element: &'static str) -> Self {
        Self { element, ..self }
    }

    /// The same, without an XML element around them all.
    #[must_use]
    pub const fn flattened(self) -> Self {
        Self {
            flattened: true,
            ..self
        }
    }
}

impl Map {
    /// Any number of entries, their XML elements `key` and `value`.
    #[must_use]
    pub const fn of(key: &'static Shape, value: &'static Shape) -> Self {
        Self {
            key,
            value,
            key_element: "key",
            value_element: "value",
            flattened: false,
            length: Range::any(),
        }
    }

    /// The same, so many.
    #[must_use]
    pub const fn length(self, length: Range<u64>) -> Self {
        Self { length, ..self }
    }
}

impl Text {
    /// Any text.
    pub const ANY: Self = Self {
        length: Range::any(),
        pattern: None,
        values: &[],
    };

    /// The same, so long.
    #[must_use]
    pub const fn length(self, length: Range<u64>) -> Self {
        Self { length, ..self }
    }

    /// The same, matching a pattern.
    #[must_use]
    pub const fn pattern(self, pattern: &'static Pattern) -> Self {
        Self {
            pattern: Some(pattern),
            ..self
        }
    }

    /// The same, one of these.
    #[must_use]
    pub const fn values(self, values: &'static [&'static str]) -> Self {
        Self { values, ..self }
    }
}

impl<T> Range<T> {
    /// No limits.
    #[must_use]
    pub const fn any() -> Self {
        Self {
            min: None,
            max: None,
        }
    }
}

impl<T: Copy> Range<T> {
    /// At least `min`.
    #[must_use]
    pub const fn from(min: T) -> Self {
        Self {
            min: Some(min),
            max: None,
        }
    }

    /// At most `max`.
    #[must_use]
    pub const fn to(max: T) -> Self {
        Self {
            min: None,
            max: Some(max),
        }
    }

    /// Between `min` and `max`.
    #[must_use]
    pub const fn of(min: T, max: T) -> Self {
        Self {
            min: Some(min),
            max: Some(max),
        }
    }
}

impl Member {
    /// An optional member of the body under its own name.
    #[must_use]
    pub const fn new(name: &'static str, shape: &'static Shape) -> Self {
        Self {
            name,
            wire_name: name,
            shape,
            location: Location::Body,
            required: false,
            attribute: false,
            xml_namespace: "",
        }
    }

    /// The same, required.
    #[must_use]
    pub const fn required(self) -> Self {
        Self {
            required: true,
            ..self
        }
    }

    /// The same, elsewhere or under another name.
    #[must_use]
    pub const fn at(self, location: Location, wire_name: &'static str) -> Self {
        Self {
            location,
            wire_name,
            ..self
        }
    }

    /// The same, as an XML attribute.
    #[must_use]
    pub const fn attribute(self) -> Self {
        Self {
            attribute: true,
            ..self
        }
    }

    /// The same, in an XML namespace of its own.
    #[must_use]
    pub const fn namespace(self, xml_namespace: &'static str) -> Self {
        Self {
            xml_namespace,
            ..self
        }
    }
}
