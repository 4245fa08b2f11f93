//! The shape of an operation: what its request and answer hold and where each part travels.
//!
//! The tables are statics that code generation writes from a service's model, so a protocol is a
//! small interpreter over them. Documents are `serde_json::Value`s in one canonical form whatever
//! the protocol: a structure is an object by member name, a timestamp a number of epoch seconds,
//! a blob a base64 text. A blob that is a request's or an answer's whole payload
//! ([`Location::Stream`]) never enters a document; it travels beside it.

use crate::pattern::Pattern;

/// A service: its names, the protocols it speaks, and every operation it is known to have.
#[derive(Debug)]
pub struct Service {
    /// The name in ARNs and actions, such as `sagemaker`.
    pub name: &'static str,
    /// The name in the credential scope of a signature.
    pub signing_name: &'static str,
    /// The name that events carry, such as `sagemaker.amazonaws.com`.
    pub event_source: &'static str,
    /// The version of the API, such as `2017-07-24`; Query requests must name it.
    pub api_version: &'static str,
    /// What comes before the dot in `X-Amz-Target`; empty where no JSON protocol is spoken.
    pub target_prefix: &'static str,
    /// The namespace of XML documents; empty where no XML protocol is spoken.
    pub xml_namespace: &'static str,
    /// The protocols spoken, the preferred first.
    pub protocols: &'static [Protocol],
    /// The operations that have handlers.
    pub operations: &'static [&'static Operation],
    /// The operations that the real service has and this server refuses by name.
    pub unserved: &'static [Unserved],
    /// The error shapes of the served operations.
    pub errors: &'static [ErrorShape],
}

impl Service {
    /// The served operation of this name.
    #[must_use]
    pub fn operation(&self, name: &str) -> Option<&'static Operation> {
        self.operations
            .iter()
            .find(|operation| operation.name == name)
            .copied()
    }

    /// The operation of this name that is known and not served.
    #[must_use]
    pub fn unserved(&self, name: &str) -> Option<&'static Unserved> {
        self.unserved
            .iter()
            .find(|operation| operation.name == name)
    }

    /// The HTTP status that the model gives to an error code.
    #[must_use]
    pub fn error_status(&self, code: &str) -> Option<u16> {
        self.errors
            .iter()
            .find(|error| error.code == code)
            .map(|error| error.status)
    }
}

/// How requests and answers are put on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// JSON bodies, the operation in `X-Amz-Target`, version 1.0.
    Json10,
    /// JSON bodies, the operation in `X-Amz-Target`, version 1.1.
    Json11,
    /// Form bodies, the operation in `Action`, XML answers.
    Query,
    /// JSON bodies, the operation in method and path.
    RestJson,
    /// XML bodies, the operation in method and path.
    RestXml,
}

/// An operation that has a handler.
#[derive(Debug)]
pub struct Operation {
    /// The name, such as `CreateProcessingJob`.
    pub name: &'static str,
    /// The service that has it.
    pub service: &'static Service,
    /// Where it lives in HTTP.
    pub http: Http,
    /// The structure of the request.
    pub input: &'static Shape,
    /// The structure of the answer; `None` where success has no body.
    pub output: Option<&'static Shape>,
    /// The name of the answer's outermost XML element, where the protocol does not derive it.
    pub xml_root: Option<&'static str>,
    /// Whether it changes nothing.
    pub read_only: bool,
    /// The permission it needs, such as `sagemaker:CreateProcessingJob`.
    pub action: &'static str,
    /// Templates of the resource it needs the permission on; see [`crate::resolve_resource`].
    pub resources: &'static [&'static str],
}

impl Operation {
    /// Whether the request's body is a stream of bytes beside the document.
    #[must_use]
    pub fn streams_in(&self) -> bool {
        self.input
            .members()
            .iter()
            .any(|member| member.location == Location::Stream)
    }

    /// Whether the answer's body is a stream of bytes beside the document.
    #[must_use]
    pub fn streams_out(&self) -> bool {
        let members = self.output.map_or(&[][..], Shape::members);
        members
            .iter()
            .any(|member| member.location == Location::Stream)
    }
}

/// An operation that the real service has and this server does not.
#[derive(Debug)]
pub struct Unserved {
    /// The name, such as `CreateHubContent`.
    pub name: &'static str,
    /// Where it lives in HTTP.
    pub http: Http,
}

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

/// Where an operation lives in HTTP.
#[derive(Clone, Copy, Debug)]
pub struct Http {
    /// The method, in capitals.
    pub method: &'static str,
    /// The path template with its literal query, such as `/{Bucket}/{Key+}?uploads`.
    pub uri: &'static str,
    /// The status of a successful answer.
    pub status: u16,
    /// Query keys without which a request is not for this operation.
    pub query_keys: &'static [&'static str],
    /// Headers without which a request is not for this operation.
    pub headers: &'static [&'static str],
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

/// An error that the model of a service names.
#[derive(Debug)]
pub struct ErrorShape {
    /// The code on the wire, such as `ResourceNotFound`.
    pub code: &'static str,
    /// The HTTP status that goes with it.
    pub status: u16,
}

/// A type of values with its constraints.
#[derive(Debug)]
pub struct Shape {
    /// The name in the service's model.
    pub name: &'static str,
    /// Whether values must not be shown in messages, logs or events.
    pub sensitive: bool,
    /// What kind of type it is.
    pub kind: Kind,
}

/// The structure without members, the input of operations that take nothing.
pub static EMPTY: Shape = Shape::structure("Empty", &[]);

/// The kinds of types.
#[derive(Debug)]
pub enum Kind {
    /// An object with named members, in the model's order.
    Structure(&'static [Member]),
    /// A sequence.
    List(List),
    /// Texts to values.
    Map(Map),
    /// A text, with an enumeration where `values` is not empty.
    Text(Text),
    /// A whole number that fits 32 bits.
    Integer(Range<i64>),
    /// A whole number that fits 64 bits.
    Long(Range<i64>),
    /// A number of single precision.
    Float(Range<f64>),
    /// A number of double precision.
    Double(Range<f64>),
    /// True or false.
    Boolean,
    /// Bytes.
    Blob(Range<u64>),
    /// A point in time.
    Timestamp(Option<TimestampFormat>),
}

/// Inclusive limits, either of which may be absent.
#[derive(Clone, Copy, Debug)]
pub struct Range<T> {
    /// The least allowed.
    pub min: Option<T>,
    /// The most allowed.
    pub max: Option<T>,
}

/// A sequence of values of one shape.
#[derive(Debug)]
pub struct List {
    /// The shape of each value.
    pub member: &'static Shape,
    /// The XML element of each value, unless the list is flattened.
    pub element: &'static str,
    /// Whether values stand in XML without an element around them all.
    pub flattened: bool,
    /// How many values there may be.
    pub length: Range<u64>,
}

/// Texts to values of one shape.
#[derive(Debug)]
pub struct Map {
    /// The shape of the keys.
    pub key: &'static Shape,
    /// The shape of the values.
    pub value: &'static Shape,
    /// The XML element of a key.
    pub key_element: &'static str,
    /// The XML element of a value.
    pub value_element: &'static str,
    /// Whether entries stand in forms without `entry` before their number.
    pub flattened: bool,
    /// How many entries there may be.
    pub length: Range<u64>,
}

/// The constraints of a text.
#[derive(Debug)]
pub struct Text {
    /// How many characters there may be.
    pub length: Range<u64>,
    /// What the whole text must match.
    pub pattern: Option<&'static Pattern>,
    /// What the text must be one of, unless empty.
    pub values: &'static [&'static str],
}

/// How a timestamp is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampFormat {
    /// Seconds since 1970 with a fraction.
    EpochSeconds,
    /// `2026-11-23T19:04:49.000Z`.
    Iso8601,
    /// `Mon, 23 Nov 2026 19:04:49 GMT`.
    HttpDate,
}

/// A named part of a structure.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// The name in documents.
    pub name: &'static str,
    /// The name on the wire: of the element, header, query key or JSON key.
    pub wire_name: &'static str,
    /// What it holds.
    pub shape: &'static Shape,
    /// Where it travels.
    pub location: Location,
    /// Whether it must be present.
    pub required: bool,
    /// Whether it is an attribute of its XML element.
    pub attribute: bool,
    /// The XML namespace of its element; empty for that of the document.
    pub xml_namespace: &'static str,
}

/// Where a member travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// In the body, beside its fellows.
    Body,
    /// It is the body.
    Payload,
    /// It is the text of the body's outermost XML element.
    RootText,
    /// It is the body, bytes that stay outside the document.
    Stream,
    /// In a header.
    Header,
    /// In all headers that begin with the wire name; a map of texts.
    HeaderPrefix,
    /// In the path.
    Path,
    /// In the query.
    Query,
    /// It is the HTTP status.
    Status,
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

    /// The members of a structure; none for another kind.
    #[must_use]
    pub fn members(&self) -> &'static [Member] {
        if let Kind::Structure(members) = self.kind {
            members
        } else {
            &[]
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
