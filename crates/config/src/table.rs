//! The table of keys. A key is one entry here: its doc text, name, type and default.
//!
//! `also "VARIABLE"` names a shorter variable; `from 1 to 10` bounds a number. A unit is the last
//! word of a key's name (`_ms`, `_seconds`, `_days`, `_bytes`, `_max` for a count).

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use sightline_types::Region;

use crate::load::Loader;
use crate::{Key, ObjectStore, Secret, Section};

/// Makes the structs, the list of keys and the reading of each from one table.
macro_rules! settings {
    ($(
        $(#[doc = $section_doc:literal])+
        $section:ident: $Section:ident {
            $(
                $(#[doc = $doc:literal])+
                $key:ident: $Type:ty = $default:expr
                    $(, also $also:literal)? $(, from $least:literal to $greatest:literal)?;
            )*
        }
    )+) => {
        /// Every setting of a server.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Settings {
            $( $(#[doc = $section_doc])+ pub $section: $Section, )+
        }

        $(
            $(#[doc = $section_doc])+
            #[derive(Clone, Debug, PartialEq, Eq)]
            pub struct $Section {
                $( $(#[doc = $doc])+ pub $key: $Type, )*
            }
        )+

        /// The sections in the order in which they are documented.
        pub const SECTIONS: &[Section] = &[
            $( Section { name: stringify!($section), doc: concat!($($section_doc),+) }, )+
        ];

        /// Every key in the order in which they are documented.
        pub const KEYS: &[Key] = &[$($( Key {
            name: concat!(stringify!($section), ".", stringify!($key)),
            doc: concat!($($doc),+),
            expected: <$Type as crate::Setting>::EXPECTED,
            range: settings!(@range $($least $greatest)?),
            also: settings!(@also $($also)?),
        }, )*)+];

        impl Settings {
            /// Reads each key from the loader, which knows what was given.
            pub(crate) fn read(loader: &mut Loader) -> Self {
                Self {
                    $( $section: $Section {
                        $( $key: loader.read::<$Type>(
                            concat!(stringify!($section), ".", stringify!($key)),
                            $default,
                        ), )*
                    }, )+
                }
            }
        }
    };
    (@range $least:literal $greatest:literal) => { Some(($least, $greatest)) };
    (@range) => { None };
    (@also $also:literal) => { Some($also) };
    (@also) => { None };
}

settings! {
    /// The one port, and where everything that must last is kept.
    server: Server {
        /// Address to listen at; port 0 takes a free one.
        listen: SocketAddr = SocketAddr::from((Ipv4Addr::LOCALHOST, 7070)), also "SIGHTLINE_LISTEN";
        /// Names by which clients reach the server, before which a bucket's may stand (`bucket.name`).
        host_names: Vec<String> = Vec::new();
        /// Where everything that must last is kept; unset means `~/.local/share/sightline`.
        data_dir: Option<PathBuf> = None, also "SIGHTLINE_DATA_DIR";
        /// Region that clients sign for; one that AWS's clients know.
        region: Region = Region::default(), also "SIGHTLINE_REGION";
        /// How long requests under way may take when the server is asked to end.
        drain_timeout_ms: u64 = 10_000, from 0 to 600_000;
        /// Token with which `/metrics` is read (`Authorization: Bearer …`); unset means by this host only.
        metrics_token: Option<Secret> = None;
        /// Space that must be free where data and objects lie; with less, `/readyz` says so.
        free_disk_bytes: u64 = 268_435_456;
    }

    /// TLS on the same port.
    tls: Tls {
        /// Whether TLS is spoken, beside plain HTTP.
        enabled: bool = false;
        /// Whether plain HTTP is refused; implies `enabled`.
        required: bool = false;
        /// Certificate chain in PEM; unset means one of the server's own authority, in `tls` in the data directory.
        certificate_file: Option<PathBuf> = None;
        /// Private key of the certificate in PEM.
        key_file: Option<PathBuf> = None;
        /// What clients must trust, in PEM, for `sightline env`; with the server's own certificate this needs no setting.
        authority_file: Option<PathBuf> = None;
        /// Further names and addresses for the server's own certificate, beside `localhost` and the host's name.
        names: Vec<String> = Vec::new();
        /// How long a client may take to shake hands.
        handshake_timeout_ms: u64 = 10_000, from 10 to 600_000;
    }

    /// What a client may ask for at most.
    limits: Limits {
        /// Connections at once. On further ones only `/healthz`, `/readyz` and `/metrics` are answered.
        connections_max: u64 = 1_024, from 1 to 100_000;
        /// Connections at once from one address.
        peer_connections_max: u64 = 1_024, from 1 to 100_000;
        /// Requests at once; further ones are told to try again.
        requests_max: u64 = 1_024, from 1 to 100_000;
        /// Requests at once of one principal; further ones are throttled.
        principal_requests_max: u64 = 512, from 1 to 100_000;
        /// Requests per second of one principal, on the whole; more are throttled. 0 is any number.
        principal_requests_per_second: u64 = 0, from 0 to 1_000_000;
        /// Requests that a principal may make at once after a pause, where their rate is limited.
        principal_burst_max: u64 = 100, from 1 to 1_000_000;
        /// Bytes of a request's head. The longest legitimate one has a presigned URL and a session token.
        head_bytes_max: u64 = 65_536, from 8_192 to 1_048_576;
        /// Headers of a request.
        headers_max: u64 = 100, from 16 to 1_000;
        /// Bytes of a request's path and query.
        uri_bytes_max: u64 = 16_384, from 2_048 to 65_534;
        /// How long a client may take to send a request's head.
        head_timeout_ms: u64 = 30_000, from 10 to 600_000;
        /// How long a connection may wait for its next request.
        idle_timeout_ms: u64 = 75_000, from 10 to 3_600_000;
        /// How long a body may pause before the request is given up.
        body_pause_max_ms: u64 = 30_000, from 10 to 600_000;
        /// Bytes per second that a body must bring, over the time for which the server waited for it. 0 is any number.
        body_bytes_per_second: u64 = 100, from 0 to 1_000_000_000;
        /// How long a body that is read whole, as all but objects are, may take.
        document_timeout_ms: u64 = 60_000, from 10 to 600_000;
        /// How long a client may take nothing of an answer.
        write_timeout_ms: u64 = 60_000, from 10 to 600_000;
        /// How long the bodies of a request and of its answer may take, each.
        request_timeout_ms: u64 = 21_600_000, from 10 to 86_400_000;
    }

    /// The metadata store: resources, keys of objects, events, logs.
    metadata: Metadata {
        /// A PostgreSQL database that servers may share, as `postgres://user:password@host/database`; unset means a file in the data directory.
        url: Option<Secret> = None;
    }

    /// The bytes of objects.
    objects: Objects {
        /// Kind of place where they are kept: `dir`, or `s3` for a bucket of S3 or of a server that speaks S3.
        store: ObjectStore = ObjectStore::Dir;
        /// Directory where they are kept; unset means `blobs` in the data directory. Servers that share a database need one that all of them see.
        dir: Option<PathBuf> = None;
        /// Bytes of an object up to which they lie with the metadata, durable by the same commit; 0 for none.
        small_bytes_max: u64 = 16_384, from 0 to 65_536;
        /// How often what is left over is collected: unfinished uploads that are too old, and bytes that no object has.
        collection_seconds: u64 = 600, from 1 to 86_400;
        /// How old an unfinished upload may grow until it is ended as if it were aborted. 0 is any age, as at S3 without a lifecycle rule.
        upload_days_max: u64 = 90, from 0 to 3_650;
        /// Where servers share a database: how long bytes that no object has any more are kept, for reads of them that have begun. One server alone needs no such time.
        unnamed_grace_seconds: u64 = 3_600, from 60 to 604_800;
        /// Address of the server that has the bucket, such as `https://s3.eu-central-1.amazonaws.com`.
        s3_endpoint: Option<String> = None;
        /// Region that requests to it are signed for.
        s3_region: String = "us-east-1".to_owned();
        /// The bucket, which must exist. Let it end incomplete uploads by a rule of its own.
        s3_bucket: Option<String> = None;
        /// What the keys of everything kept there begin with.
        s3_prefix: String = String::new();
        /// Key that signs the requests.
        s3_access_key_id: Option<String> = None;
        /// The key's secret.
        s3_secret_access_key: Option<Secret> = None;
        /// Token that goes with a temporary key.
        s3_session_token: Option<Secret> = None;
        /// How long the bucket's server may take for one request, retries included, and for the next piece of an answer.
        s3_request_timeout_ms: u64 = 60_000, from 100 to 600_000;
    }

    /// Keys, roles and secrets.
    identity: Identity {
        /// File of the key that seals the secrets of access keys, made at first start; unset means `secret.key` in the data directory.
        secret_key_file: Option<PathBuf> = None;
    }

    /// The record of what everybody did.
    activity: Activity {
        /// How long an event may wait until it is in a log file of the trail's bucket.
        delivery_seconds: u64 = 300, from 1 to 86_400;
        /// How much time one signed digest of the log files covers. CloudTrail's cover an hour.
        digest_seconds: u64 = 3_600, from 1 to 86_400;
        /// How long events can be looked up; older ones are in the trail's bucket alone, where they stay. 0 is for ever.
        retention_days: u64 = 90, from 0 to 36_500;
        /// Bytes of events that can be looked up; of more, the oldest are in the trail's bucket alone. Those that no signed digest covers yet always stay. 0 is any number.
        bytes_max: u64 = 0, from 0 to 1_000_000_000_000_000;
    }

    /// Jobs that run on this host.
    jobs: Jobs {
        /// Where they are staged; unset means `jobs` in the data directory, or for root a directory below `/var/lib/sightline/jobs`.
        dir: Option<PathBuf> = None;
        /// Jobs that run at once. Each has an interpreter or two; more would only take turns.
        running_max: u64 = 4, from 1 to 1_000;
    }

    /// Environments that stand in for images.
    environments: Environments {
        /// Where they are kept; unset means `~/.cache/sightline`, or for root `/var/cache/sightline`.
        cache_dir: Option<PathBuf> = None, also "SIGHTLINE_CACHE_DIR";
        /// Interpreters to use before those of the system.
        pythons: Vec<PathBuf> = Vec::new();
        /// Whether to build no environment that would need a download.
        offline: bool = false;
        /// Whether to refuse an image of which not every promise can be kept.
        strict_images: bool = false;
        /// TOML file with recipes for further images.
        recipes_file: Option<PathBuf> = None, also "SIGHTLINE_RECIPES";
    }

    /// What the server says of itself.
    log: Log {
        /// Which lines are written, as `level` or `crate=level,…`.
        filter: String = "info".to_owned(), also "SIGHTLINE_LOG";
        /// Whether each line is a JSON object.
        json: bool = false;
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::read(&mut Loader::default())
    }
}
