//! A service that has one of everything.

use sightline_wire::Pattern;
use sightline_wire::schema::{
    Asking, Http, Kind, List, Location, Map, Member, Operation, Protocol, Range, Service, Shape,
    Text, TimestampFormat, Unserved,
};

pub(crate) static SERVICE: Service = Service {
    name: "zoo",
    signing_name: "zoo",
    event_source: "zoo.amazonaws.com",
    api_version: "2026-11-23",
    target_prefix: "Zoo_20261123.Keeper",
    xml_namespace: "https://zoo.example/doc",
    protocols: &[
        Protocol::Json11,
        Protocol::Query,
        Protocol::RestJson,
        Protocol::RestXml,
    ],
    operations: &[&PLAIN, &PLACED, &PAID, &NESTED],
    unserved: &[
        Unserved::rpc("CloseZoo"),
        Unserved::rest("DescribeCage", Http::new("GET", "/cages/{Name}")),
        Unserved::rest("DescribeOldCage", Http::new("GET", "/cages/old")),
    ],
    errors: &[],
};

const fn operation(
    name: &'static str,
    http: Http,
    input: &'static Shape,
    output: Option<&'static Shape>,
    resources: &'static [&'static str],
) -> Operation {
    Operation {
        name,
        service: &SERVICE,
        http,
        input,
        output,
        xml_root: None,
        read_only: false,
        action: "zoo:Any",
        asking: Asking::Once,
        resources,
        conditions: &[("zoo:Nick", "Nick")],
        passes_role: None,
    }
}

/// Everything in the body.
pub(crate) static PLAIN: Operation = operation(
    "Plain",
    Http::new("POST", "/plain"),
    &ANIMAL,
    Some(&ANIMAL),
    &["animal/{Name}", "{Nick}", "nick/{Nick}"],
);

/// Something everywhere.
pub(crate) static PLACED: Operation = operation(
    "Placed",
    Http::new("PUT", "/cages/{Name}/{Rest+}").status(202),
    &PLACES,
    Some(&PLACES),
    &["*"],
);

/// One member is the body.
pub(crate) static PAID: Operation = operation(
    "Paid",
    Http::new("POST", "/paid"),
    &PAYING,
    Some(&PAYING),
    &["*"],
);

/// A shape that holds itself.
pub(crate) static NESTED: Operation =
    operation("Nested", Http::new("POST", "/nested"), &NEST, None, &["*"]);

pub(crate) static ANIMAL: Shape = Shape::structure(
    "Animal",
    &[
        Member::new("Name", &NAME).required(),
        Member::new("Nick", &TEXT),
        Member::new("Legs", &LEGS),
        Member::new("Age", &LONG).at(Location::Body, "ageMs"),
        Member::new("Weight", &WEIGHT),
        Member::new("Tame", &BOOLEAN),
        Member::new("Photo", &BLOB),
        Member::new("Born", &TIMESTAMP),
        Member::new("Seen", &HTTP_DATE),
        Member::new("Toys", &TOYS),
        Member::new("Flat", &FLAT),
        Member::new("Friends", &FRIENDS),
        Member::new("Traits", &TRAITS),
        Member::new("Homes", &HOMES),
        Member::new("ApiPassword", &TEXT),
        Member::new("Chip", &SECRET),
        Member::new("Chips", &SECRETS),
        Member::new("Environment", &TRAITS),
    ],
);

pub(crate) static PLACES: Shape = Shape::structure(
    "Places",
    &[
        Member::new("Name", &TEXT).at(Location::Path, "Name"),
        Member::new("Rest", &TEXT).at(Location::Path, "Rest"),
        Member::new("Limit", &LEGS).at(Location::Query, "max-legs"),
        Member::new("Colors", &TOYS).at(Location::Query, "color"),
        Member::new("Since", &TIMESTAMP).at(Location::Header, "x-since"),
        Member::new("Condition", &TIMESTAMP).at(Location::Header, "If-Modified-Since"),
        Member::new("Marks", &TOYS).at(Location::Header, "x-marks"),
        Member::new("Kind", &KIND).at(Location::Header, "x-kind"),
        Member::new("Meta", &TRAITS).at(Location::HeaderPrefix, "x-zoo-"),
        Member::new("Status", &LONG).at(Location::Status, "Status"),
        Member::new("Owner", &FRIEND),
    ],
);

static PAYING: Shape = Shape::structure(
    "Paying",
    &[
        Member::new("Header", &TEXT).at(Location::Header, "x-header"),
        Member::new("Ticket", &FRIEND).at(Location::Payload, "TicketDocument"),
    ],
);

static NEST: Shape = Shape::structure(
    "Nest",
    &[Member::new("Inner", &NEST), Member::new("Eggs", &NESTS)],
);
static NESTS: Shape = Shape::new("Nests", Kind::List(List::of(&NEST)));

static NAME: Shape = Shape::new(
    "Name",
    Kind::Text(Text::ANY.length(Range::of(1, 8)).pattern(&NAME_PATTERN)),
);
static NAME_PATTERN: Pattern = Pattern::new("[a-z]+");
static TEXT: Shape = Shape::new("Text", Kind::Text(Text::ANY));
static SECRET: Shape = Shape::sensitive("Secret", Kind::Text(Text::ANY.length(Range::to(3))));
static SECRETS: Shape = Shape::new("Secrets", Kind::List(List::of(&SECRET)));
static LEGS: Shape = Shape::new("Legs", Kind::Integer(Range::of(0, 100)));
static LONG: Shape = Shape::new("Long", Kind::Long(Range::any()));
static WEIGHT: Shape = Shape::new("Weight", Kind::Double(Range::from(0.5)));
static BOOLEAN: Shape = Shape::new("Boolean", Kind::Boolean);
static BLOB: Shape = Shape::new("Blob", Kind::Blob(Range::to(4)));
static TIMESTAMP: Shape = Shape::new("Timestamp", Kind::Timestamp(None));
static HTTP_DATE: Shape = Shape::new("HttpDate", Kind::Timestamp(Some(TimestampFormat::HttpDate)));
static TOYS: Shape = Shape::new("Toys", Kind::List(List::of(&TEXT)));
static FLAT: Shape = Shape::new("Flat", Kind::List(List::of(&LEGS).flattened()));
static FRIEND: Shape = Shape::structure(
    "Friend",
    &[
        Member::new("Kind", &KIND).required(),
        Member::new("Since", &TIMESTAMP),
    ],
);
static KIND: Shape = Shape::new("Kind", Kind::Text(Text::ANY.values(&["cat", "dog"])));
static FRIENDS: Shape = Shape::new("Friends", Kind::List(List::of(&FRIEND).element("Friend")));
static TRAITS: Shape = Shape::new("Traits", Kind::Map(Map::of(&TEXT, &TEXT)));
static HOMES: Shape = Shape::new("Homes", Kind::Map(Map::of(&TEXT, &FRIEND)));
