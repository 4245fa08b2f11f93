//! The mixed load: clients that write, overwrite, delete, upload, copy, read, list and create.

use http::Method;
use serde_json::json;

use super::model::{Ended, Model, Upload};
use super::object::{self, Form};
use super::things::Thing;
use crate::{Ask, Client, Dice};

/// Keys that one client writes alone.
const OWN_KEYS: u64 = 12;

/// Keys that all clients write at once.
const SHARED_KEYS: u64 = 4;

/// One client of the load.
pub(crate) struct Worker<'m> {
    pub(crate) model: &'m Model,
    pub(crate) client: Client,
    pub(crate) dice: Dice,
    pub(crate) number: u64,
    pub(crate) bucket: &'m str,
    pub(crate) role: &'m str,
}

impl Worker<'_> {
    /// Works until the server is gone.
    pub(crate) fn run(mut self) {
        while self.step().is_some() {}
    }

    /// One piece of work; `None` when the server is gone.
    fn step(&mut self) -> Option<()> {
        match self.dice.below(100) {
            0..28 => self.put(),
            28..36 => self.delete(),
            36..46 => self.upload(),
            46..52 => self.resume(),
            52..58 => self.copy(),
            58..68 => self.read(),
            68..71 => self.list(),
            71..83 => self.thing(),
            83..88 => self.key(),
            88..97 => self.version(),
            97 => self.job(),
            _ => self.look_up(),
        }
    }

    fn own_key(&mut self) -> String {
        format!("w{}/k{}", self.number, self.dice.below(OWN_KEYS))
    }

    fn any_key(&mut self) -> String {
        if self.dice.falls(1, 3) {
            format!("shared/k{}", self.dice.below(SHARED_KEYS))
        } else {
            self.own_key()
        }
    }

    fn at(&self, key: &str) -> String {
        format!("/{}/{key}", self.bucket)
    }

    fn put(&mut self) -> Option<()> {
        let key = self.any_key();
        let version = object::version(self.model.number(), Form::Whole);
        let ask = Ask::s3(Method::PUT, self.at(&key)).body(object::parts(version).concat());
        let ask = object::labelled(ask, version);
        let write = (key.as_str(), Some(version));
        match self.model.write(&mut self.client, "PutObject", write, &ask) {
            Ended::Acknowledged(answer) => {
                let got = answer.header("etag");
                if got != object::etag(version) {
                    self.model
                        .fault(format!("{key} was stored with etag {got}"));
                }
                Some(())
            }
            Ended::Refused(answer) => self.unexpected("PutObject", &answer.text()),
            Ended::Unknown => None,
        }
    }

    pub(crate) fn unexpected(&self, what: &str, text: &str) -> Option<()> {
        if !text.contains("SlowDown") && !text.contains("Throttl") {
            self.model.fault(format!("{what} was refused: {text}"));
        }
        Some(())
    }

    fn delete(&mut self) -> Option<()> {
        let key = self.any_key();
        let ask = Ask::s3(Method::DELETE, self.at(&key));
        let write = (key.as_str(), None);
        match self
            .model
            .write(&mut self.client, "DeleteObject", write, &ask)
        {
            Ended::Acknowledged(_) => Some(()),
            Ended::Refused(answer) => self.unexpected("DeleteObject", &answer.text()),
            Ended::Unknown => None,
        }
    }

    /// Begins an upload, and then goes on with it, leaves it for later or gives it up.
    fn upload(&mut self) -> Option<()> {
        let key = self.own_key();
        let form = if self.dice.falls(1, 12) {
            Form::TwoParts
        } else {
            Form::OnePart
        };
        let version = object::version(self.model.number(), form);
        let ask = object::labelled(Ask::s3(Method::POST, self.at(&key) + "?uploads"), version);
        let answer = self
            .model
            .call(&mut self.client, "CreateMultipartUpload", &ask)?;
        let upload = Upload {
            key,
            id: answer.element("UploadId"),
            version,
            parts: 0,
            may_be_gone: false,
        };
        if !answer.is_success() || upload.id.is_empty() {
            return self.unexpected("CreateMultipartUpload", &answer.text());
        }
        match self.dice.below(8) {
            0 => {
                self.model.keep_upload(upload);
                Some(())
            }
            1 => self.abort(upload),
            _ => self.go_on(upload),
        }
    }

    /// Goes on with an upload that lies about, perhaps from before the last crash.
    fn resume(&mut self) -> Option<()> {
        match self.model.take_upload() {
            Some(upload) if upload.may_be_gone => self.abort(upload),
            Some(upload) => self.go_on(upload),
            None => self.put(),
        }
    }

    fn go_on(&mut self, mut upload: Upload) -> Option<()> {
        let parts = object::parts(upload.version);
        for (number, bytes) in (1..).zip(&parts).skip(upload.parts) {
            let place = format!("?partNumber={number}&uploadId={}", upload.id);
            let ask = Ask::s3(Method::PUT, self.at(&upload.key) + &place).body(bytes.clone());
            let Some(answer) = self.model.call(&mut self.client, "UploadPart", &ask) else {
                self.model.keep_upload(upload);
                return None;
            };
            if !answer.is_success() {
                self.model.fault(format!(
                    "an acknowledged upload to {} takes no part: {}",
                    upload.key,
                    answer.text()
                ));
                return Some(());
            }
            upload.parts += 1;
        }
        self.complete(upload)
    }

    fn complete(&mut self, mut upload: Upload) -> Option<()> {
        let mut list = String::new();
        for (number, bytes) in (1..).zip(object::parts(upload.version)) {
            use md5::Digest as _;
            let etag = hex::encode(md5::Md5::digest(&bytes));
            list.push_str(&format!(
                "<Part><PartNumber>{number}</PartNumber><ETag>\"{etag}\"</ETag></Part>"
            ));
        }
        let body = format!("<CompleteMultipartUpload>{list}</CompleteMultipartUpload>");
        let target = format!("{}?uploadId={}", self.at(&upload.key), upload.id);
        let ask = Ask::s3(Method::POST, target).body(body);
        let write = (upload.key.as_str(), Some(upload.version));
        match self
            .model
            .write(&mut self.client, "CompleteMultipartUpload", write, &ask)
        {
            Ended::Acknowledged(_) => Some(()),
            Ended::Refused(answer) => self.unexpected("CompleteMultipartUpload", &answer.text()),
            Ended::Unknown => {
                upload.may_be_gone = true;
                self.model.keep_upload(upload);
                None
            }
        }
    }

    fn abort(&mut self, mut upload: Upload) -> Option<()> {
        let target = format!("{}?uploadId={}", self.at(&upload.key), upload.id);
        let ask = Ask::s3(Method::DELETE, target);
        let Some(answer) = self
            .model
            .call(&mut self.client, "AbortMultipartUpload", &ask)
        else {
            upload.may_be_gone = true;
            self.model.keep_upload(upload);
            return None;
        };
        let gone = upload.may_be_gone && answer.code() == "NoSuchUpload";
        if answer.is_success() || gone {
            Some(())
        } else {
            self.unexpected("AbortMultipartUpload", &answer.text())
        }
    }

    /// Copies a key of this client's whose version is certain, so that the copy's is too.
    fn copy(&mut self) -> Option<()> {
        let (from, to) = (self.own_key(), self.own_key());
        let certain = self.model.history(&from).certain().flatten();
        let version = certain.filter(|version| object::form(*version) == Form::Whole);
        let Some(version) = version.filter(|_| from != to) else {
            return self.put();
        };
        let ask = Ask::s3(Method::PUT, self.at(&to)).with("x-amz-copy-source", self.at(&from));
        let write = (to.as_str(), Some(version));
        match self
            .model
            .write(&mut self.client, "CopyObject", write, &ask)
        {
            Ended::Acknowledged(_) => Some(()),
            Ended::Refused(answer) => self.unexpected("CopyObject", &answer.text()),
            Ended::Unknown => None,
        }
    }

    /// Whatever a reader sees is one whole version, that somebody wrote.
    fn read(&mut self) -> Option<()> {
        let key = self.any_key();
        let ask = object::read(self.bucket, &key);
        let answer = self.model.call(&mut self.client, "GetObject", &ask)?;
        match object::version_in(&answer) {
            Ok(found) if self.model.history(&key).knows(found) => {}
            // The history was cut when the last crash settled; deletions before are forgotten.
            Ok(None) => {}
            Ok(found) => self
                .model
                .fault(format!("{key} held {found:?}, which nobody wrote")),
            Err(fault) => self.model.fault(format!("{key} {fault}")),
        }
        Some(())
    }

    fn list(&mut self) -> Option<()> {
        let target = format!("/{}?list-type=2&prefix=w{}/", self.bucket, self.number);
        let ask = Ask::s3(Method::GET, target);
        let answer = self.model.call(&mut self.client, "ListObjectsV2", &ask)?;
        if answer.status != 200 {
            return self.unexpected("ListObjectsV2", &answer.text());
        }
        Some(())
    }

    /// Creates, overwrites or removes a thing of this client's.
    fn thing(&mut self) -> Option<()> {
        let (kind, number) = (self.dice.below(Thing::kinds()), self.dice.roll());
        let thing = Thing::chosen(self.number, kind, number);
        let name = thing.name();
        let absent = self.model.history(&name).certain() == Some(None);
        let written = absent || thing.is_overwritten() && self.dice.falls(1, 2);
        let version = written.then(|| self.model.number());
        let (action, ask) = version.map_or_else(|| thing.remove(), |number| thing.write(number));
        let write = (name.as_str(), version);
        match self.model.write(&mut self.client, action, write, &ask) {
            Ended::Acknowledged(_) => Some(()),
            Ended::Refused(answer) => self.unexpected(action, &answer.text()),
            Ended::Unknown => None,
        }
    }

    /// A job whose image stands for nothing here: it must end, and say why.
    fn job(&mut self) -> Option<()> {
        let name = format!("job-{}", self.model.number());
        let document = json!({
            "ProcessingJobName": name,
            "RoleArn": self.role,
            "AppSpecification": {
                "ImageUri": "registry.example/nothing:1", "ContainerEntrypoint": ["true"],
            },
            "ProcessingResources": { "ClusterConfig": {
                "InstanceCount": 1, "InstanceType": "ml.t3.medium", "VolumeSizeInGB": 1,
            } },
        });
        let ask = Ask::json("sagemaker", "SageMaker.CreateProcessingJob", &document);
        let answer = self
            .model
            .call(&mut self.client, "CreateProcessingJob", &ask)?;
        if !answer.is_success() {
            return self.unexpected("CreateProcessingJob", &answer.text());
        }
        self.model.add_job(&name);
        if self.dice.falls(1, 2) {
            // It may have ended by now, so either answer is right.
            let document = json!({ "ProcessingJobName": name });
            let ask = Ask::json("sagemaker", "SageMaker.StopProcessingJob", &document);
            self.model
                .call(&mut self.client, "StopProcessingJob", &ask)?;
        }
        Some(())
    }

    fn look_up(&mut self) -> Option<()> {
        let target = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents";
        let ask = Ask::json("cloudtrail", target, &json!({ "MaxResults": 3 }));
        let answer = self.model.call(&mut self.client, "LookupEvents", &ask)?;
        if answer.status != 200 {
            return self.unexpected("LookupEvents", &answer.text());
        }
        Some(())
    }
}
