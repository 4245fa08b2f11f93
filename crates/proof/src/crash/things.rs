//! Things beside objects that have a name and hold one of several values: users, roles, policies,
//! tags. How each is written, removed and read, and what an answer says that it holds.

use anyhow::{Result, bail};
use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::history::Version;
use crate::{Answer, Ask, Key, Server};

/// A kind of thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    User,
    Role,
    UserPolicy,
    BucketTags,
    BucketPolicy,
}

/// All kinds, with what the names of each begin with. No key of an object has a colon.
const KINDS: [(Kind, &str); 5] = [
    (Kind::User, "user:"),
    (Kind::Role, "role:"),
    (Kind::UserPolicy, "policy:"),
    (Kind::BucketTags, "tags:"),
    (Kind::BucketPolicy, "bucket-policy:"),
];

/// Users and roles that one client creates and deletes, and policies that it writes.
pub(crate) const OWN_THINGS: u64 = 3;

/// One thing of one client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Thing {
    pub(crate) kind: Kind,
    /// The client's number.
    pub(crate) owner: u64,
    pub(crate) number: u64,
}

/// The user of a client that has policies and keys, and is never deleted.
pub(crate) fn keeper(owner: u64) -> String {
    format!("w{owner}-keeper")
}

/// The bucket of a client that has tags, a policy and versions.
pub(crate) fn bucket(owner: u64) -> String {
    format!("crash-w{owner}")
}

impl Thing {
    /// The thing with this name; `None` for the key of an object.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let (kind, rest) = KINDS
            .iter()
            .find_map(|(kind, prefix)| Some((*kind, name.strip_prefix(prefix)?)))?;
        let (owner, number) = rest.strip_prefix('w')?.split_once('-')?;
        Some(Self {
            kind,
            owner: owner.parse().ok()?,
            number: number.parse().ok()?,
        })
    }

    /// What a choice among all kinds gives.
    pub(crate) fn chosen(owner: u64, kind: u64, number: u64) -> Self {
        let kind = usize::try_from(kind).ok().and_then(|kind| KINDS.get(kind));
        let kind = kind.map_or(Kind::User, |(kind, _)| *kind);
        let number = match kind {
            Kind::BucketTags | Kind::BucketPolicy => 0,
            Kind::User | Kind::Role | Kind::UserPolicy => number % OWN_THINGS,
        };
        Self {
            kind,
            owner,
            number,
        }
    }

    /// How many kinds there are to choose from.
    pub(crate) fn kinds() -> u64 {
        u64::try_from(KINDS.len()).unwrap_or_default()
    }

    pub(crate) fn name(self) -> String {
        let prefix = KINDS.iter().find(|(kind, _)| *kind == self.kind);
        let prefix = prefix.map_or("", |(_, prefix)| prefix);
        format!("{prefix}w{}-{}", self.owner, self.number)
    }

    /// Whether a value can be written over another.
    pub(crate) fn is_overwritten(self) -> bool {
        !matches!(self.kind, Kind::User | Kind::Role)
    }

    /// The operation that writes `version`, and its request.
    pub(crate) fn write(self, version: Version) -> (&'static str, Ask) {
        match self.kind {
            Kind::User => self.iam("CreateUser", &[("Path", format!("/v{version}/"))]),
            Kind::Role => {
                let document = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"sagemaker.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
                let members = [
                    ("Path", format!("/v{version}/")),
                    ("AssumeRolePolicyDocument", document.to_owned()),
                ];
                self.iam("CreateRole", &members)
            }
            Kind::UserPolicy => {
                let document = format!(
                    r#"{{"Version":"2012-10-17","Statement":[{{"Sid":"v{version}","Effect":"Allow","Action":"s3:ListAllMyBuckets","Resource":"*"}}]}}"#
                );
                self.iam("PutUserPolicy", &[("PolicyDocument", document)])
            }
            Kind::BucketTags => {
                let body = format!(
                    "<Tagging><TagSet><Tag><Key>written</Key><Value>v{version}</Value></Tag></TagSet></Tagging>"
                );
                ("PutBucketTagging", self.s3(Method::PUT).body(body))
            }
            Kind::BucketPolicy => {
                let bucket = bucket(self.owner);
                let body = format!(
                    r#"{{"Version":"2012-10-17","Statement":[{{"Sid":"v{version}","Effect":"Deny","Principal":"*","Action":"s3:PutBucketAcl","Resource":"arn:aws:s3:::{bucket}"}}]}}"#
                );
                ("PutBucketPolicy", self.s3(Method::PUT).body(body))
            }
        }
    }

    /// The operation that removes the thing, and its request.
    pub(crate) fn remove(self) -> (&'static str, Ask) {
        match self.kind {
            Kind::User => self.iam("DeleteUser", &[]),
            Kind::Role => self.iam("DeleteRole", &[]),
            Kind::UserPolicy => self.iam("DeleteUserPolicy", &[]),
            Kind::BucketTags => ("DeleteBucketTagging", self.s3(Method::DELETE)),
            Kind::BucketPolicy => ("DeleteBucketPolicy", self.s3(Method::DELETE)),
        }
    }

    /// The operation that reads the thing, and its request.
    pub(crate) fn read(self) -> (&'static str, Ask) {
        match self.kind {
            Kind::User => self.iam("GetUser", &[]),
            Kind::Role => self.iam("GetRole", &[]),
            Kind::UserPolicy => self.iam("GetUserPolicy", &[]),
            Kind::BucketTags => ("GetBucketTagging", self.s3(Method::GET)),
            Kind::BucketPolicy => ("GetBucketPolicy", self.s3(Method::GET)),
        }
    }

    /// The version that the answer to a read holds.
    pub(crate) fn version_in(self, answer: &Answer) -> Result<Option<Version>, String> {
        let absent = ["NoSuchEntity", "NoSuchTagSet", "NoSuchBucketPolicy"];
        if answer.status == 404 && absent.contains(&answer.code().as_str()) {
            return Ok(None);
        }
        let told = match self.kind {
            Kind::User | Kind::Role => answer.element("Path"),
            Kind::UserPolicy => {
                let document = answer.element("PolicyDocument");
                percent_decode_str(&document)
                    .decode_utf8_lossy()
                    .into_owned()
            }
            Kind::BucketTags => answer.element("Value"),
            Kind::BucketPolicy => answer.json()["Statement"][0]["Sid"].to_string(),
        };
        let marks = |text: &str| {
            let digits = text.split(|c: char| !c.is_ascii_digit()).next();
            digits.and_then(|digits| digits.parse().ok())
        };
        let version = match self.kind {
            Kind::UserPolicy => told.split_once(r#""v"#).and_then(|(_, rest)| marks(rest)),
            Kind::User | Kind::Role | Kind::BucketTags | Kind::BucketPolicy => {
                told.split_once('v').and_then(|(_, rest)| marks(rest))
            }
        };
        let lost = || format!("was answered {}: {}", answer.status, answer.text());
        version.map(Some).ok_or_else(lost)
    }

    fn s3(self, method: Method) -> Ask {
        let what = match self.kind {
            Kind::BucketTags => "tagging",
            Kind::User | Kind::Role | Kind::UserPolicy | Kind::BucketPolicy => "policy",
        };
        Ask::s3(method, format!("/{}?{what}", bucket(self.owner)))
    }

    fn iam(self, action: &'static str, members: &[(&str, String)]) -> (&'static str, Ask) {
        let mut form = format!("Action={action}&Version=2010-05-08");
        let mut add = |name: &str, value: &str| {
            let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
            form.push_str(&format!("&{name}={value}"));
        };
        let own = format!("w{}-{}", self.owner, self.number);
        match self.kind {
            Kind::Role => add("RoleName", &own),
            Kind::UserPolicy => {
                add("UserName", &keeper(self.owner));
                add("PolicyName", &own);
            }
            Kind::User | Kind::BucketTags | Kind::BucketPolicy => add("UserName", &own),
        }
        for (name, value) in members {
            add(name, value);
        }
        (action, Ask::form("iam", form))
    }
}

/// Makes what the clients of the load work on and never delete.
pub(crate) fn prepare(server: &Server, key: &Key, owner: u64) -> Result<()> {
    let mut client = server.client(key);
    let bucket = bucket(owner);
    let user = keeper(owner);
    let versioning = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    let asks = [
        Ask::form(
            "iam",
            format!("Action=CreateUser&Version=2010-05-08&UserName={user}"),
        ),
        Ask::s3(Method::PUT, format!("/{bucket}")),
        Ask::s3(Method::PUT, format!("/{bucket}?versioning")).body(versioning),
    ];
    for ask in asks {
        let answer = client.send(&ask)?;
        if !answer.is_success() {
            bail!("{} was answered {}", ask.target, answer.text());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_known_by_its_name_and_an_object_is_none() {
        for (kind, _) in KINDS {
            let thing = Thing {
                kind,
                owner: 3,
                number: 1,
            };
            assert_eq!(Thing::named(&thing.name()), Some(thing));
        }
        assert_eq!(Thing::named("w3/k1"), None);
    }

    #[test]
    fn a_version_is_read_where_it_was_written_and_a_lost_one_is_told() {
        let answer = |status, body: &str| Answer {
            status,
            headers: http::HeaderMap::new(),
            body: body.as_bytes().to_vec(),
        };
        let thing = |kind| Thing::chosen(0, kind, 0);
        let user = answer(200, "<User><Path>/v12/</Path></User>");
        assert_eq!(thing(0).version_in(&user), Ok(Some(12)));
        let policy = answer(
            200,
            "<PolicyDocument>%7B%22Version%22%3A%222012%22%2C%22Sid%22%3A%22v9%22%7D</PolicyDocument>",
        );
        assert_eq!(thing(2).version_in(&policy), Ok(Some(9)));
        let none = answer(404, "<Error><Code>NoSuchTagSet</Code></Error>");
        assert_eq!(thing(3).version_in(&none), Ok(None));
        assert!(thing(0).version_in(&answer(200, "<User/>")).is_err());
    }
}
