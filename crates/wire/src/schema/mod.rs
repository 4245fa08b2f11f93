//! The shape of an operation: what its request and answer hold and where each part travels.
//!
//! The tables are statics that code generation writes from a service's model, so a protocol is a
//! small interpreter over them. Documents are `serde_json::Value`s in one canonical form whatever
//! the protocol: a structure is an object by member name, a timestamp a number of epoch seconds,
//! a blob a base64 text. A blob that is a request's or an answer's whole payload
//! ([`Location::Stream`]) never enters a document; it travels beside it.

mod build;

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
    /// How that permission is asked for.
    pub asking: Asking,
    /// Templates of the resource it needs the permission on; see [`crate::resolve_resource`].
    pub resources: &'static [&'static str],
    /// Condition keys of policies with the member that each is the value of; see
    /// [`crate::condition_facts`].
    pub conditions: &'static [(&'static str, &'static str)],
    /// The member that names a role which the request hands to the service.
    pub passes_role: Option<&'static str>,
}

/// How the permission for an operation is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    /// Once, before the operation is carried out.
    Once,
    /// The same, but for this action when the request names a version of the object.
    Versioned(&'static str),
    /// By the operation itself, on each thing that the request names.
    Each,
}

impl Operation {
    /// The permission that a request with this input needs.
    #[must_use]
    pub fn action_for(&self, input: &serde_json::Value) -> &'static str {
        let names_version = || input.get("VersionId").is_some_and(|id| !id.is_null());
        match self.asking {
            Asking::Versioned(action) if names_version() => action,
            Asking::Versioned(_) | Asking::Once | Asking::Each => self.action,
        }
    }

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
    /// The members of a structure; none for another kind.
    #[must_use]
    pub fn members(&self) -> &'static [Member] {
        if let Kind::Structure(members) = self.kind {
            members
        } else {
            &[]
        }
    }

    /// The shape of each value of a list.
    #[must_use]
    pub fn item(&self) -> Option<&'static Shape> {
        match &self.kind {
            Kind::List(list) => Some(list.member),
            Kind::Structure(_)
            | Kind::Map(_)
            | Kind::Text(_)
            | Kind::Integer(_)
            | Kind::Long(_)
            | Kind::Float(_)
            | Kind::Double(_)
            | Kind::Boolean
            | Kind::Blob(_)
            | Kind::Timestamp(_) => None,
        }
    }
}
