//! What must be there after a crash, asked of the server that came up again.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};
use http::Method;
use serde_json::{Value, json};
use sightline_ports::{Clock as _, SystemClock};
use sightline_types::Timestamp;

use super::WORKERS;
use super::history::Version;
use super::model::{Call, Model, Upload};
use super::object;
use super::things::Thing;
use crate::{Ask, Client, Key, Server};

/// Clients that compare objects at once.
const READERS: usize = 3;

/// Faults that are told; the rest are counted.
const FAULTS_TOLD_MAX: usize = 8;

/// How long a job without an image may take to say so.
const JOBS_LIMIT: Duration = Duration::from_secs(60);

const PAUSE: Duration = Duration::from_millis(50);

/// A server that came up again, and what is known of it.
pub(crate) struct Check<'c> {
    pub(crate) model: &'c Model,
    pub(crate) server: &'c Server,
    pub(crate) key: &'c Key,
    /// Whether to let the product check its whole record of activity.
    pub(crate) in_depth: bool,
}

impl Check<'_> {
    /// Compares all that was acknowledged with what is there; calls since `since` are on record.
    pub(crate) fn everything(&self, since: Timestamp) -> Result<()> {
        let mut client = self.server.client(self.key);
        self.names()?;
        self.listing(&mut client)?;
        self.uploads(&mut client)?;
        self.versions(&mut client)?;
        self.model.keys.check(self.model, self.server)?;
        if self.in_depth {
            self.server.verify_audit()?;
        }
        self.jobs(&mut client)?;
        self.events(&mut client, since)?;
        let faults = self.model.take_faults();
        if faults.is_empty() {
            return Ok(());
        }
        let told: Vec<&str> = faults
            .iter()
            .map(String::as_str)
            .take(FAULTS_TOLD_MAX)
            .collect();
        bail!("{} faults:\n  {}", faults.len(), told.join("\n  "))
    }

    /// Every name holds something that it may hold, and all of it.
    fn names(&self) -> Result<()> {
        let names: Vec<String> = self.model.names().into_keys().collect();
        let share = names.len().div_ceil(READERS).max(1);
        thread::scope(|scope| {
            let readers: Vec<_> = names
                .chunks(share)
                .map(|names| scope.spawn(|| self.some_names(names)))
                .collect();
            for reader in readers {
                match reader.join() {
                    Ok(read) => read?,
                    Err(_) => bail!("a reader panicked"),
                }
            }
            Ok(())
        })
    }

    fn some_names(&self, names: &[String]) -> Result<()> {
        let mut client = self.server.client(self.key);
        for name in names {
            let found = match Thing::named(name) {
                Some(thing) => self.thing(&mut client, thing)?,
                None => self.object(&mut client, name)?,
            };
            match found {
                Ok(found) if self.model.history(name).allows(found) => {
                    self.model.settle(name, found);
                }
                Ok(found) => {
                    let history = self.model.history(name);
                    self.model
                        .fault(format!("{name} holds {found:?}, of {history:?}"));
                }
                Err(fault) => self.model.fault(format!("{name} {fault}")),
            }
        }
        Ok(())
    }

    fn ask(&self, client: &mut Client, what: &str, ask: &Ask) -> Result<crate::Answer> {
        match self.model.call(client, what, ask) {
            Some(answer) => Ok(answer),
            None => bail!("{what} {} is not answered whole", ask.target),
        }
    }

    fn object(&self, client: &mut Client, key: &str) -> Result<Result<Option<Version>, String>> {
        let ask = object::read(&self.server.default_bucket, key);
        let answer = self.ask(client, "GetObject", &ask)?;
        Ok(object::version_in(&answer))
    }

    fn thing(&self, client: &mut Client, thing: Thing) -> Result<Result<Option<Version>, String>> {
        let (action, ask) = thing.read();
        Ok(thing.version_in(&self.ask(client, action, &ask)?))
    }

    /// Versions that were overwritten are still there.
    fn versions(&self, client: &mut Client) -> Result<()> {
        let versions = &self.model.versions;
        for owner in 0..WORKERS {
            versions.check(self.model, client, owner)?;
        }
        versions.settle();
        Ok(())
    }

    /// The bucket lists what it holds, all of it and nothing else.
    fn listing(&self, client: &mut Client) -> Result<()> {
        let mut listed = BTreeSet::new();
        let mut token = String::new();
        loop {
            let bucket = &self.server.default_bucket;
            let target = format!("/{bucket}?list-type=2&max-keys=50{token}");
            let answer = self.ask(client, "ListObjectsV2", &Ask::s3(Method::GET, target))?;
            let text = answer.text();
            for key in text.split("<Key>").skip(1) {
                listed.insert(key.split('<').next().unwrap_or_default().to_owned());
            }
            let next = answer.element("NextContinuationToken");
            if next.is_empty() {
                break;
            }
            token = format!("&continuation-token={}", escaped(&next));
        }
        for (name, history) in self.model.names() {
            let Some(held) = history.certain() else {
                continue;
            };
            if Thing::named(&name).is_none() && held.is_some() != listed.contains(&name) {
                self.model
                    .fault(format!("{name} holds {held:?}, unlike what is listed"));
            }
        }
        Ok(())
    }

    /// An upload that was acknowledged has every part that was.
    fn uploads(&self, client: &mut Client) -> Result<()> {
        for mut upload in self.model.take_uploads() {
            let bucket = &self.server.default_bucket;
            let target = format!("/{bucket}/{}?uploadId={}", upload.key, upload.id);
            let answer = self.ask(client, "ListParts", &Ask::s3(Method::GET, target))?;
            let there = answer.text().matches("<PartNumber>").count();
            let Upload { key, parts, .. } = &upload;
            match (answer.status, answer.code().as_str()) {
                (200, _) if *parts <= there => {}
                (404, "NoSuchUpload") if upload.may_be_gone => continue,
                _ => {
                    let text = answer.text();
                    let fault = format!("the upload to {key} lost its {parts} parts: {text}");
                    self.model.fault(fault);
                    continue;
                }
            }
            // A part may be there that was never acknowledged; it is sent again all the same.
            upload.parts = upload.parts.min(there);
            self.model.keep_upload(upload);
        }
        Ok(())
    }

    /// A job that was acknowledged exists, and is not left in progress.
    fn jobs(&self, client: &mut Client) -> Result<()> {
        for name in self.model.jobs() {
            let begun = SystemClock.now();
            loop {
                let document = json!({ "ProcessingJobName": name });
                let ask = Ask::json("sagemaker", "SageMaker.DescribeProcessingJob", &document);
                let answer = self.ask(client, "DescribeProcessingJob", &ask)?;
                let status = answer.json()["ProcessingJobStatus"].clone();
                match status.as_str() {
                    Some("Failed" | "Stopped" | "Completed") => break,
                    Some(_) => {}
                    None => {
                        self.model
                            .fault(format!("{name} is gone: {}", answer.text()));
                        break;
                    }
                }
                if JOBS_LIMIT < SystemClock.now().since(begun) {
                    self.model.fault(format!("{name} is {status} for ever"));
                    break;
                }
                thread::sleep(PAUSE);
            }
            self.model.job_ended(&name);
        }
        Ok(())
    }

    /// Every call that was answered is on record, once.
    fn events(&self, client: &mut Client, since: Timestamp) -> Result<()> {
        let calls = self.model.take_calls();
        let mut recorded: BTreeMap<String, u32> = BTreeMap::new();
        let mut token = Value::Null;
        loop {
            let mut document = json!({ "StartTime": since.millis() / 1_000 });
            if !token.is_null() {
                document["NextToken"] = token;
            }
            let target = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents";
            let answer = self.ask(
                client,
                "LookupEvents",
                &Ask::json("cloudtrail", target, &document),
            )?;
            let page = answer.json();
            let Some(events) = page["Events"].as_array() else {
                bail!("events cannot be looked up: {}", answer.text());
            };
            for event in events {
                let record = event["CloudTrailEvent"].as_str().unwrap_or_default();
                let record: Value = serde_json::from_str(record).unwrap_or_default();
                let id = record["requestID"].as_str().unwrap_or_default();
                *recorded.entry(id.to_owned()).or_default() += 1;
            }
            token = page["NextToken"].clone();
            if token.is_null() {
                break;
            }
        }
        for Call { request_id, what } in calls {
            let times = recorded.get(&request_id).copied().unwrap_or_default();
            if times != 1 {
                let fault = format!("{what}, request {request_id}, is on record {times} times");
                self.model.fault(fault);
            }
        }
        Ok(())
    }
}

fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}
