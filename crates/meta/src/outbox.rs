//! The event outbox: what happened, written in the transaction that made it so.

use serde_json::{Value as Json, json};
use sightline_types::{Arn, Event, EventOutcome, Page, Timestamp};

use crate::{MetaError, Reader, Tx, Value, params};

const NEXT_SEQ: &str = "SELECT coalesce(max(seq), 0) + 1 FROM events";
const INSERT: &str = "INSERT INTO events
    (seq, id, at, source, name, read_only, user_name, access_key_id, record)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const INSERT_RESOURCE: &str = "INSERT INTO event_resources (seq, kind, name, short_name)
    VALUES ($1, $2, $3, $4) ON CONFLICT (seq, kind, name) DO NOTHING";
const RESOURCES: &str = "SELECT kind, name FROM event_resources WHERE seq = $1 ORDER BY kind, name";

/// An event as it was recorded.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Position in the order of all events, from one, without gaps.
    pub seq: i64,
    /// The event's identifier.
    pub id: String,
    /// When the action was asked for.
    pub at: Timestamp,
    /// The service, such as `s3.amazonaws.com`.
    pub source: String,
    /// The operation's name.
    pub name: String,
    /// Whether the operation only reads.
    pub read_only: bool,
    /// The name of the principal.
    pub user_name: String,
    /// The key that signed the request.
    pub access_key_id: String,
    /// Type and name of each resource that was touched.
    pub resources: Vec<(String, String)>,
    /// The whole record in CloudTrail's form.
    pub record: Json,
}

/// One condition of a lookup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// The event's identifier.
    Id(String),
    /// The operation's name.
    Name(String),
    /// Whether the operation only reads.
    ReadOnly(bool),
    /// The service.
    Source(String),
    /// The principal's name.
    UserName(String),
    /// The key that signed the request.
    AccessKeyId(String),
    /// The type of a touched resource.
    ResourceKind(String),
    /// The ARN of a touched resource, or what people call it.
    ResourceName(String),
}

/// Which events to look up; the newest come first.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// Only events that fulfil this.
    pub attribute: Option<Attribute>,
    /// Only events at or after this time.
    pub from: Option<Timestamp>,
    /// Only events at or before this time.
    pub until: Option<Timestamp>,
    /// Only events before this position in the order of events.
    pub before_seq: Option<i64>,
    /// Events on a page.
    pub limit: u32,
}

impl Tx<'_> {
    /// Records `event` with this transaction: both happen, or neither.
    pub fn record(&mut self, event: &Event) -> Result<(), MetaError> {
        let seq: i64 = self
            .query_one(NEXT_SEQ, params![], |row| row.get(0))?
            .unwrap_or(1);
        let caller = &event.cx.caller;
        self.execute(
            INSERT,
            params![
                seq,
                &event.id,
                event.at,
                event.cx.operation.source,
                event.cx.operation.name,
                event.cx.operation.read_only,
                &caller.user_name,
                &caller.access_key_id,
                cloudtrail_record(event).to_string(),
            ],
        )?;
        for resource in &event.resources {
            let short_name = resource
                .name
                .parse::<Arn>()
                .map(|arn| arn.name().to_owned());
            let short_name = short_name.unwrap_or_else(|_| resource.name.clone());
            self.execute(
                INSERT_RESOURCE,
                params![seq, &resource.kind, &resource.name, short_name],
            )?;
        }
        Ok(())
    }
}

/// The record's form: CloudTrail record contents, event version 1.11.
fn cloudtrail_record(event: &Event) -> Json {
    let cx = &event.cx;
    let account = cx.account.as_str();
    let role = cx.caller.arn.split('/').nth(1).unwrap_or_default();
    let mut record = json!({
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "AssumedRole",
            "principalId": cx.caller.user_id,
            "arn": cx.caller.arn,
            "accountId": account,
            "accessKeyId": cx.caller.access_key_id,
            "sessionContext": { "sessionIssuer": {
                "type": "Role",
                "arn": format!("arn:aws:iam::{account}:role/{role}"),
                "accountId": account,
                "userName": role,
            }},
        },
        "eventTime": event.at.format("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": cx.operation.source,
        "eventName": cx.operation.name,
        "awsRegion": cx.region.as_str(),
        "sourceIPAddress": cx.source,
        "userAgent": cx.user_agent,
        "requestParameters": cx.parameters.as_deref().cloned().unwrap_or(Json::Null),
        "responseElements": event.response.clone().unwrap_or(Json::Null),
        "requestID": cx.request_id.as_str(),
        "eventID": event.id,
        "readOnly": cx.operation.read_only,
        "eventType": "AwsApiCall",
        "managementEvent": true,
        "recipientAccountId": account,
        "eventCategory": "Management",
        "resources": event.resources.iter()
            .map(|r| json!({ "type": r.kind, "ARN": r.name }))
            .collect::<Vec<_>>(),
    });
    if let EventOutcome::Failure { code, message } = &event.outcome {
        record["errorCode"] = json!(code);
        record["errorMessage"] = json!(message);
    }
    record
}

/// Looks events up, the newest first. The token is the position to give as `before_seq`.
pub fn lookup(reader: &Reader<'_>, wanted: &Lookup) -> Result<Page<Recorded>, MetaError> {
    let mut sql = String::from(
        "SELECT e.seq, e.id, e.at, e.source, e.name, e.read_only, e.user_name, e.access_key_id,
         e.record FROM events e WHERE 1 = 1",
    );
    let mut params: Vec<Value> = Vec::new();
    let mut condition = |text: &str, value: Value| {
        params.push(value);
        sql.push_str(" AND ");
        sql.push_str(&text.replace('?', &format!("${}", params.len())));
    };
    match &wanted.attribute {
        None => {}
        Some(Attribute::Id(id)) => condition("e.id = ?", id.into()),
        Some(Attribute::Name(name)) => condition("e.name = ?", name.into()),
        Some(Attribute::ReadOnly(flag)) => condition("e.read_only = ?", (*flag).into()),
        Some(Attribute::Source(source)) => condition("e.source = ?", source.into()),
        Some(Attribute::UserName(name)) => condition("e.user_name = ?", name.into()),
        Some(Attribute::AccessKeyId(key)) => condition("e.access_key_id = ?", key.into()),
        Some(Attribute::ResourceKind(kind)) => condition(
            "e.seq IN (SELECT r.seq FROM event_resources r WHERE r.kind = ?)",
            kind.into(),
        ),
        Some(Attribute::ResourceName(name)) => condition(
            "e.seq IN (SELECT r.seq FROM event_resources r WHERE r.name = ?
             UNION SELECT r.seq FROM event_resources r WHERE r.short_name = ?)",
            name.into(),
        ),
    }
    if let Some(from) = wanted.from {
        condition("e.at >= ?", from.into());
    }
    if let Some(until) = wanted.until {
        condition("e.at <= ?", until.into());
    }
    if let Some(before) = wanted.before_seq {
        condition("e.seq < ?", before.into());
    }
    params.push(i64::from(wanted.limit).saturating_add(1).into());
    sql.push_str(&format!(" ORDER BY e.seq DESC LIMIT ${}", params.len()));
    let mut items = reader.query(&sql, &params, read_row)?;
    let more = items.len() > wanted.limit as usize;
    items.truncate(wanted.limit as usize);
    for item in &mut items {
        item.resources = reader.query(RESOURCES, params![item.seq], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    }
    let next_token = if more {
        items.last().map(|last| last.seq.to_string())
    } else {
        None
    };
    Ok(Page { items, next_token })
}

fn read_row(row: &crate::Row<'_>) -> Result<Recorded, MetaError> {
    let record: String = row.get(8)?;
    Ok(Recorded {
        seq: row.get(0)?,
        id: row.get(1)?,
        at: row.get(2)?,
        source: row.get(3)?,
        name: row.get(4)?,
        read_only: row.get(5)?,
        user_name: row.get(6)?,
        access_key_id: row.get(7)?,
        resources: Vec::new(),
        record: serde_json::from_str(&record).map_err(|error| MetaError::Stored {
            what: "event",
            reason: error.to_string(),
        })?,
    })
}
