//! The resource table: everything that has an ARN, created, described and listed one way.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sightline_types::{Arn, Page, SortOrder, Timestamp};

use crate::{MetaError, Reader, Row, Tx, Value, params};

/// A kind of resource, such as `training-job`: the word before the name in its ARN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kind(pub &'static str);

/// A resource as it is stored.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Unique within its kind.
    pub name: String,
    /// Unique among all resources.
    pub arn: Arn,
    /// The status as the API words it, such as `InProgress`.
    pub status: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When anything about it changed last.
    pub modified_at: Timestamp,
    /// The request that made it.
    pub document: Json,
}

/// The column that a list is sorted by; names break ties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortBy {
    /// By name.
    Name,
    /// By the time of creation.
    CreationTime,
    /// By the time of the last change.
    LastModifiedTime,
    /// By status, in alphabetical order.
    Status,
}

/// Which resources to list, and how.
#[derive(Clone, Debug)]
pub struct List {
    /// Only names that contain this text, upper and lower case alike.
    pub name_contains: Option<String>,
    /// Only this status.
    pub status: Option<String>,
    /// Only those made after this time.
    pub created_after: Option<Timestamp>,
    /// Only those made before this time.
    pub created_before: Option<Timestamp>,
    /// Only those changed after this time.
    pub modified_after: Option<Timestamp>,
    /// Only those changed before this time.
    pub modified_before: Option<Timestamp>,
    /// The column to sort by.
    pub sort_by: SortBy,
    /// The direction to sort in.
    pub order: SortOrder,
    /// Resources on a page.
    pub limit: u32,
    /// The token of the page before, to go on after it.
    pub next_token: Option<String>,
}

/// Why a resource could not be made or listed.
#[derive(Debug, thiserror::Error)]
pub enum ResourceError {
    /// The name is taken, by the resource with this ARN.
    #[error("the name is taken by {0}")]
    Exists(Arn),
    /// The token is not one that a page of this list gave.
    #[error("the page token is not valid")]
    InvalidToken,
    /// The store failed.
    #[error("could not reach the resource table")]
    Meta(#[from] MetaError),
}

const COLUMNS: &str = "name, arn, status, created_at, modified_at, document";
const ARN_OF: &str = "SELECT arn FROM resources WHERE kind = $1 AND name = $2";
const INSERT: &str = "INSERT INTO resources
    (kind, name, arn, status, created_at, modified_at, document)
    VALUES ($1, $2, $3, $4, $5, $6, $7)";
const GET: &str = "SELECT name, arn, status, created_at, modified_at, document
    FROM resources WHERE kind = $1 AND name = $2";
const EXISTS: &str = "SELECT 1 FROM resources WHERE arn = $1";
const SET_STATUS: &str = "UPDATE resources SET status = $3, modified_at = $4
    WHERE kind = $1 AND name = $2";

/// Adds a resource; its name must be free within the kind.
pub fn create(tx: &mut Tx<'_>, kind: Kind, resource: &Resource) -> Result<(), ResourceError> {
    let taken: Option<String> =
        tx.query_one(ARN_OF, params![kind.0, &resource.name], |row| row.get(0))?;
    if let Some(arn) = taken {
        return Err(ResourceError::Exists(stored_arn(&arn)?));
    }
    tx.execute(
        INSERT,
        params![
            kind.0,
            &resource.name,
            resource.arn.as_str(),
            &resource.status,
            resource.created_at,
            resource.modified_at,
            resource.document.to_string(),
        ],
    )?;
    Ok(())
}

/// The resource of this kind and name.
pub fn get(reader: &Reader<'_>, kind: Kind, name: &str) -> Result<Option<Resource>, MetaError> {
    reader.query_one(GET, params![kind.0, name], read_row)
}

/// Whether any resource has this ARN.
pub fn exists(reader: &Reader<'_>, arn: &Arn) -> Result<bool, MetaError> {
    let found = reader.query_one(EXISTS, params![arn.as_str()], |_| Ok(()))?;
    Ok(found.is_some())
}

/// Changes the status of a resource, if it exists, and the time of its last change.
pub fn set_status(
    tx: &mut Tx<'_>,
    kind: Kind,
    name: &str,
    status: &str,
    now: Timestamp,
) -> Result<(), MetaError> {
    tx.execute(SET_STATUS, params![kind.0, name, status, now])?;
    Ok(())
}

/// One page of the resources of a kind.
pub fn list(
    reader: &Reader<'_>,
    kind: Kind,
    wanted: &List,
) -> Result<Page<Resource>, ResourceError> {
    let (sql, params) = list_statement(kind, wanted)?;
    let mut items = reader.query(&sql, &params, read_row)?;
    let limit = wanted.limit as usize;
    let more = items.len() > limit;
    items.truncate(limit);
    let next_token = items
        .last()
        .filter(|_| more)
        .map(|last| Cursor::at(last, wanted).encode());
    Ok(Page { items, next_token })
}

fn list_statement(kind: Kind, wanted: &List) -> Result<(String, Vec<Value>), ResourceError> {
    let mut params: Vec<Value> = vec![kind.0.into()];
    let mut sql = format!("SELECT {COLUMNS} FROM resources WHERE kind = $1");
    let mut condition = |text: &str, values: Vec<Value>| {
        sql.push_str(" AND ");
        let mut values = values.into_iter();
        for piece in text.split_inclusive('?') {
            sql.push_str(piece.trim_end_matches('?'));
            if let Some(value) = values.next().filter(|_| piece.ends_with('?')) {
                params.push(value);
                sql.push_str(&format!("${}", params.len()));
            }
        }
    };
    if let Some(text) = &wanted.name_contains {
        let pattern = format!("%{}%", escape_like(&text.to_lowercase()));
        condition("lower(name) LIKE ? ESCAPE '\\'", vec![pattern.into()]);
    }
    if let Some(status) = &wanted.status {
        condition("status = ?", vec![status.into()]);
    }
    let bounds = [
        ("created_at > ?", wanted.created_after),
        ("created_at < ?", wanted.created_before),
        ("modified_at > ?", wanted.modified_after),
        ("modified_at < ?", wanted.modified_before),
    ];
    for (text, time) in bounds {
        if let Some(time) = time {
            condition(text, vec![time.into()]);
        }
    }
    let column = column_of(wanted.sort_by);
    let (compare, direction) = match wanted.order {
        SortOrder::Ascending => (">", "ASC"),
        SortOrder::Descending => ("<", "DESC"),
    };
    if let Some(token) = &wanted.next_token {
        let cursor = Cursor::decode(token, wanted)?;
        let text = format!("({column} {compare} ? OR ({column} = ? AND name {compare} ?))");
        condition(
            &text,
            vec![
                cursor.key.to_value(),
                cursor.key.to_value(),
                cursor.name.into(),
            ],
        );
    }
    params.push(i64::from(wanted.limit).saturating_add(1).into());
    let limit = params.len();
    sql.push_str(&format!(
        " ORDER BY {column} {direction}, name {direction} LIMIT ${limit}"
    ));
    Ok((sql, params))
}

fn column_of(sort_by: SortBy) -> &'static str {
    match sort_by {
        SortBy::Name => "name",
        SortBy::CreationTime => "created_at",
        SortBy::LastModifiedTime => "modified_at",
        SortBy::Status => "status",
    }
}

fn escape_like(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('%', "\\%")
        .replace('_', "\\_")
}

/// Where a page ended: the sort key and the name of its last resource.
#[derive(Debug, Serialize, Deserialize)]
struct Cursor {
    key: CursorKey,
    name: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum CursorKey {
    Time(i64),
    Text(String),
}

impl CursorKey {
    fn to_value(&self) -> Value {
        match self {
            Self::Time(millis) => (*millis).into(),
            Self::Text(text) => text.into(),
        }
    }
}

impl Cursor {
    fn at(last: &Resource, wanted: &List) -> Self {
        let key = match wanted.sort_by {
            SortBy::Name => CursorKey::Text(last.name.clone()),
            SortBy::CreationTime => CursorKey::Time(last.created_at.millis()),
            SortBy::LastModifiedTime => CursorKey::Time(last.modified_at.millis()),
            SortBy::Status => CursorKey::Text(last.status.clone()),
        };
        Self {
            key,
            name: last.name.clone(),
        }
    }

    fn encode(&self) -> String {
        let json = serde_json::json!([self.key, self.name]);
        URL_SAFE_NO_PAD.encode(json.to_string())
    }

    fn decode(token: &str, wanted: &List) -> Result<Self, ResourceError> {
        let json = URL_SAFE_NO_PAD
            .decode(token)
            .map_err(|_| ResourceError::InvalidToken)?;
        let (key, name): (CursorKey, String) =
            serde_json::from_slice(&json).map_err(|_| ResourceError::InvalidToken)?;
        let by_text = matches!(wanted.sort_by, SortBy::Name | SortBy::Status);
        if by_text != matches!(key, CursorKey::Text(_)) {
            return Err(ResourceError::InvalidToken);
        }
        Ok(Self { key, name })
    }
}

fn read_row(row: &Row<'_>) -> Result<Resource, MetaError> {
    let arn: String = row.get(1)?;
    let document: String = row.get(5)?;
    Ok(Resource {
        name: row.get(0)?,
        arn: stored_arn(&arn)?,
        status: row.get(2)?,
        created_at: row.get(3)?,
        modified_at: row.get(4)?,
        document: serde_json::from_str(&document).map_err(|error| MetaError::Stored {
            what: "document",
            reason: error.to_string(),
        })?,
    })
}

fn stored_arn(text: &str) -> Result<Arn, MetaError> {
    text.parse()
        .map_err(|error: sightline_types::InvalidArn| MetaError::Stored {
            what: "ARN",
            reason: error.to_string(),
        })
}
