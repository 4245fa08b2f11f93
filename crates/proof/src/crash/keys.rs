//! Access keys: a secret is told once, so it must hold for as long as its key is there.

use std::sync::Mutex;

use anyhow::Result;
use sightline_wire::sigv4::SecretKey;

use super::load::Worker;
use super::model::{Model, lock};
use super::things::keeper;
use crate::{Ask, Key, Server};

/// A key that was told.
#[derive(Clone, Debug)]
struct Told {
    owner: u64,
    key: Key,
    /// Whether its deletion was asked for, so that it may be gone.
    may_be_gone: bool,
}

/// All keys that were told.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    told: Mutex<Vec<Told>>,
    /// Keys whose deletion was acknowledged since the last comparison.
    deleted: Mutex<Vec<Key>>,
}

impl Keys {
    fn take(&self, owner: u64) -> Option<Told> {
        let mut told = lock(&self.told);
        let place = told.iter().position(|told| told.owner == owner)?;
        Some(told.swap_remove(place))
    }

    fn keep(&self, told: Told) {
        lock(&self.told).push(told);
    }

    fn knows(&self, id: &str) -> bool {
        lock(&self.told).iter().any(|told| told.key.id == id)
    }

    /// Signs with every key that must be there, and with those that must not.
    pub(crate) fn check(&self, model: &Model, server: &Server) -> Result<()> {
        let identity = Ask::form("sts", "Action=GetCallerIdentity&Version=2011-06-15");
        let all = std::mem::take(&mut *lock(&self.told));
        for mut told in all {
            let answer = server.client(&told.key).send(&identity)?;
            // A user shows itself by the name of its session in the role of the SDK.
            let who = format!("/{}", keeper(told.owner));
            let holds = answer.status == 200 && answer.element("Arn").ends_with(&who);
            if holds {
                told.may_be_gone = false;
                self.keep(told);
            } else if !(told.may_be_gone && answer.code() == "InvalidClientTokenId") {
                let text = answer.text();
                model.fault(format!("key {} does not sign: {text}", told.key.id));
            }
        }
        for key in std::mem::take(&mut *lock(&self.deleted)) {
            let answer = server.client(&key).send(&identity)?;
            if answer.code() != "InvalidClientTokenId" {
                let text = answer.text();
                model.fault(format!("the deleted key {} signs: {text}", key.id));
            }
        }
        Ok(())
    }
}

impl Worker<'_> {
    /// Makes a key or deletes one.
    pub(crate) fn key(&mut self) -> Option<()> {
        let told = match self.dice.falls(1, 2) {
            true => self.model.keys.take(self.number),
            false => None,
        };
        match told {
            Some(told) => self.delete_key(told),
            None => self.create_key(),
        }
    }

    fn create_key(&mut self) -> Option<()> {
        let user = keeper(self.number);
        let answer = self.iam("CreateAccessKey", &format!("UserName={user}"))?;
        if answer.code() == "LimitExceeded" {
            return self.tidy_keys();
        }
        if !answer.is_success() {
            return self.unexpected("CreateAccessKey", &answer.text());
        }
        self.model.keys.keep(Told {
            owner: self.number,
            key: Key {
                id: answer.element("AccessKeyId"),
                secret: SecretKey::new(answer.element("SecretAccessKey")),
                token: None,
            },
            may_be_gone: false,
        });
        Some(())
    }

    fn delete_key(&mut self, mut told: Told) -> Option<()> {
        let form = format!(
            "UserName={}&AccessKeyId={}",
            keeper(self.number),
            told.key.id
        );
        let Some(answer) = self.iam("DeleteAccessKey", &form) else {
            told.may_be_gone = true;
            self.model.keys.keep(told);
            return None;
        };
        if answer.is_success() {
            lock(&self.model.keys.deleted).push(told.key);
            return Some(());
        }
        self.unexpected("DeleteAccessKey", &answer.text())
    }

    /// Deletes keys whose secret died with an answer.
    fn tidy_keys(&mut self) -> Option<()> {
        let user = keeper(self.number);
        let answer = self.iam("ListAccessKeys", &format!("UserName={user}"))?;
        let text = answer.text();
        for id in text.split("<AccessKeyId>").skip(1) {
            let id = id.split('<').next().unwrap_or_default();
            if !self.model.keys.knows(id) {
                self.iam(
                    "DeleteAccessKey",
                    &format!("UserName={user}&AccessKeyId={id}"),
                )?;
            }
        }
        Some(())
    }

    fn iam(&mut self, action: &str, members: &str) -> Option<crate::Answer> {
        let form = format!("Action={action}&Version=2010-05-08&{members}");
        self.model
            .call(&mut self.client, action, &Ask::form("iam", form))
    }
}
