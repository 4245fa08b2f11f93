//! Decisions: the policies of whoever asks, the facts of the request, and the permit.

use std::collections::BTreeMap;
use std::sync::Arc;

use sightline_meta::{MetaError, tags};
use sightline_types::{Arn, Cx};

use crate::directory::Directory;
use crate::policy::{
    Context, Decision, Layer, Layers, Named, Question, Reason, Subject, SubjectKind, alone,
};
use crate::{AccessKey, Because, Error, Grant, Grants, HolderKind, Identity, Permit};

/// What everybody with a key may ask.
const FREE_ACTIONS: [&str; 2] = ["sts:GetCallerIdentity", "sts:GetSessionToken"];

/// What no bucket policy can take from the account's owner, who could not mend it otherwise.
const OWNER_ACTIONS: [&str; 3] = [
    "s3:GetBucketPolicy",
    "s3:PutBucketPolicy",
    "s3:DeleteBucketPolicy",
];

/// The name by which a request for a user names its own caller; no user can have it.
const CALLER: &str = ":caller";

/// What a role's trust policy decides about.
const TAKING_ON: [&str; 3] = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"];

/// What conditions ask of a resource's tags.
const RESOURCE_TAG: &str = "aws:ResourceTag/";

/// Whoever asks, with the policies that they have.
pub(crate) struct Principal<'d> {
    pub(crate) subject: Subject,
    pub(crate) policies: &'d [Named],
    pub(crate) boundary: Option<&'d [Named]>,
    pub(crate) tags: BTreeMap<String, String>,
}

impl Identity {
    /// Decides whether the caller may do `action` on `resource`, by the facts of `cx` alone.
    pub fn permit(
        &self,
        cx: &Arc<Cx>,
        action: &'static str,
        resource: Arn,
    ) -> Result<Permit, Error> {
        self.permit_given(cx, action, resource, &Context::default())
    }

    /// Decides whether the caller may do `action` on `resource`; `facts` are the condition keys
    /// that follow from the request's parameters.
    pub fn permit_given(
        &self,
        cx: &Arc<Cx>,
        action: &'static str,
        resource: Arn,
        facts: &Context,
    ) -> Result<Permit, Error> {
        let resource = self.spelt_out(cx, resource);
        let because = match self.decide(cx, action, resource.as_str(), facts) {
            Decision::Allowed(_) => {
                return Ok(Permit::mint(Arc::clone(cx), action, resource));
            }
            Decision::ImplicitDeny(layer) => Because::NotAllowed(layer),
            Decision::ExplicitDeny(reason) => Because::Denied(reason.layer),
        };
        Err(Error::Denied {
            principal: cx.caller.arn.clone(),
            action: action.to_owned(),
            resource,
            because,
        })
    }

    /// Decides whether the caller may hand a role to a service, and whether the service may take
    /// it on.
    pub fn pass_role(&self, cx: &Arc<Cx>, role: &str, service: &str) -> Result<(), Error> {
        let cannot = || Error::CannotAssume {
            role: role.to_owned(),
            service: service.to_owned(),
        };
        let arn: Arn = role.parse().map_err(|_| cannot())?;
        let mut facts = Context::default();
        facts.put("iam:PassedToService", service);
        self.permit_given(cx, "iam:PassRole", arn, &facts)?;
        let directory = self.directory();
        let entry = directory.entry_by_arn(role);
        let trust = entry.and_then(|entry| entry.trust.as_ref());
        let subject = Subject {
            account: self.account.to_string(),
            kind: SubjectKind::Service(service.to_owned()),
            shown_arn: service.to_owned(),
        };
        let context = Context::default();
        let question = Question::new(&subject, "sts:AssumeRole", role, &context);
        let trusted = trust.is_some_and(|trust| {
            let (decision, _) = alone(Layer::Trust, trust, &question);
            decision.is_allowed()
        });
        trusted.then_some(()).ok_or_else(cannot)
    }

    /// The tags of a resource as condition keys, if any policy could ask for them.
    ///
    /// Read before the decision, because it is the one fact that is not in memory.
    pub async fn resource_facts(&self, cx: &Cx, resource: &Arn) -> Result<Context, Error> {
        let resource = &self.spelt_out(cx, resource.clone());
        let mut facts = Context::default();
        let asked = self.asks_for(cx, resource, RESOURCE_TAG);
        if !asked {
            return Ok(facts);
        }
        let directory = self.directory();
        if let Some(entry) = directory.entry_by_arn(resource.as_str()) {
            put_tags(&mut facts, RESOURCE_TAG, entry.holder.tags.iter());
            return Ok(facts);
        }
        let arn = resource.clone();
        let limit = u32::try_from(tags::TAGS_MAX).unwrap_or(u32::MAX);
        let found = self
            .meta
            .read(move |reader| tags::list(reader, &arn, "", limit))
            .await;
        let found: Vec<(String, String)> = found.map_err(|error: MetaError| error)?;
        put_tags(&mut facts, RESOURCE_TAG, found.iter().map(|(k, v)| (k, v)));
        Ok(facts)
    }

    /// A user or role as its ARN spells it, with its path; [`CALLER`] as the caller's own.
    fn spelt_out(&self, cx: &Cx, resource: Arn) -> Arn {
        if resource.service() != "iam" {
            return resource;
        }
        let directory = self.directory();
        let named = match resource.resource().split_once('/') {
            Some(("user", CALLER)) => self.key(&cx.caller.access_key_id).map(|key| {
                let principal = self.principal(&directory, &key);
                principal.subject.principal_arn()
            }),
            Some(("user", name)) => holder_arn(&directory, HolderKind::User, name),
            Some(("role", name)) => holder_arn(&directory, HolderKind::Role, name),
            Some(_) | None => None,
        };
        let named = named.and_then(|arn| arn.parse().ok());
        named.unwrap_or(resource)
    }

    fn asks_for(&self, cx: &Cx, resource: &Arn, start: &str) -> bool {
        let directory = self.directory();
        let Some(key) = self.key(&cx.caller.access_key_id) else {
            return false;
        };
        let principal = self.principal(&directory, &key);
        let session = key.narrowed.iter().flatten();
        let of_resource = directory.of_resource(resource.as_str());
        let mut all = principal
            .policies
            .iter()
            .chain(principal.boundary.unwrap_or_default())
            .chain(session)
            .chain(of_resource.map(|(_, named)| named));
        all.any(|named| named.policy.asks_for(start))
    }

    fn decide(&self, cx: &Cx, action: &str, resource: &str, facts: &Context) -> Decision {
        let Some(key) = self.key(&cx.caller.access_key_id) else {
            return Decision::ImplicitDeny(Layer::Identity);
        };
        if FREE_ACTIONS.contains(&action) {
            return Decision::Allowed(Vec::new());
        }
        let directory = self.directory();
        let principal = self.principal(&directory, &key);
        let is_owner = key.grants == Grants::Everything;
        let of_resource = directory
            .of_resource(resource)
            .filter(|_| !(is_owner && OWNER_ACTIONS.contains(&action)))
            .map(|(_, named)| named);
        let mut layers = Layers {
            identity: principal.policies,
            boundary: principal.boundary,
            session: key.narrowed.as_deref(),
            resource: of_resource,
        };
        let session = layers.session.unwrap_or_default();
        let bounds = layers.boundary.unwrap_or_default().iter().chain(session);
        let policies = layers.identity.iter().chain(bounds).chain(of_resource);
        // A trust policy is asked seldom enough to have every fact at hand.
        let asks = TAKING_ON.contains(&action) || policies.into_iter().any(|n| n.policy.asks());
        let context = if asks {
            self.context(cx, &key, &principal, facts)
        } else {
            Context::default()
        };
        let question = Question::new(&principal.subject, action, resource, &context);
        if TAKING_ON.contains(&action) {
            let entry = directory.entry_by_arn(resource);
            let Some(trust) = entry.and_then(|entry| entry.trust.as_ref()) else {
                return Decision::ImplicitDeny(Layer::Trust);
            };
            match alone(Layer::Trust, trust, &question) {
                // To trust the account leaves the decision to the policies of its principals.
                (Decision::Allowed(_), true) => {}
                (Decision::Allowed(_), false) => layers.resource = Some(trust),
                (denied, _) => return denied,
            }
        }
        let own = match &key.grants {
            Grants::User(_) | Grants::Role(_) => return layers.decide(&question),
            Grants::Everything => Decision::Allowed(vec![own_reason("the account's owner")]),
            Grants::Only(grants) => {
                let allows = |grant: &Grant| grant.allows(action, resource, facts);
                match grants.iter().any(allows) {
                    true => Decision::Allowed(vec![own_reason("the session's grants")]),
                    false => Decision::ImplicitDeny(Layer::Identity),
                }
            }
        };
        // Grants of the platform can be cut down by a resource's policy, and not widened.
        layers.identity = &[];
        match layers.decide(&question) {
            denied @ Decision::ExplicitDeny(_) => denied,
            Decision::Allowed(_) | Decision::ImplicitDeny(_) => own,
        }
    }

    pub(crate) fn principal<'d>(&self, directory: &'d Directory, key: &AccessKey) -> Principal<'d> {
        let (kind, name) = match &key.grants {
            Grants::User(name) => (HolderKind::User, name.as_str()),
            Grants::Role(session) => (HolderKind::Role, session.role_name.as_str()),
            Grants::Everything | Grants::Only(_) => {
                (HolderKind::Role, key.principal.role_name.as_str())
            }
        };
        let entry = directory.entry_of(kind, name);
        let arn = match entry {
            Some(entry) => entry.holder.arn.clone(),
            None => kind.arn(&self.account, "/", name),
        };
        let has_policies = matches!(key.grants, Grants::User(_) | Grants::Role(_));
        let mut tags = BTreeMap::new();
        if let Some(entry) = entry.filter(|_| has_policies) {
            tags.clone_from(&entry.holder.tags);
        }
        if let Grants::Role(session) = &key.grants {
            tags.extend(session.tags.clone());
        }
        Principal {
            subject: Subject {
                account: self.account.to_string(),
                kind: match &key.grants {
                    Grants::Everything => SubjectKind::Root,
                    Grants::User(_) => SubjectKind::User(arn),
                    Grants::Role(_) | Grants::Only(_) => SubjectKind::Role(arn),
                },
                shown_arn: key.caller.arn.clone(),
            },
            policies: entry
                .filter(|_| has_policies)
                .map_or(&[], |entry| &entry.policies),
            boundary: entry
                .filter(|_| has_policies)
                .and_then(|entry| entry.boundary.as_deref()),
            tags,
        }
    }

    /// Every condition key that a request has, those of its parameters last.
    fn context(
        &self,
        cx: &Cx,
        key: &AccessKey,
        principal: &Principal<'_>,
        facts: &Context,
    ) -> Context {
        let mut context = Context::default();
        put_principal(&mut context, &principal.subject, &principal.tags);
        context.put("aws:userid", &key.caller.user_id);
        if let Grants::User(name) = &key.grants {
            context.put("aws:username", name);
        }
        if let Grants::Role(session) = &key.grants {
            let identity = session.source_identity.clone();
            context.put_all("aws:SourceIdentity", identity.into_iter().collect());
        }
        if key.expires_at.is_some() {
            context.put("aws:TokenIssueTime", key.created_at.iso8601());
        }
        // A job's own socket has a name and no address.
        let host = match cx.source.parse::<std::net::SocketAddr>() {
            Ok(address) => Some(address.ip().to_string()),
            Err(_) => Some(cx.source.clone()).filter(|text| {
                let address: Result<std::net::IpAddr, _> = text.parse();
                address.is_ok()
            }),
        };
        context.put_all("aws:SourceIp", host.into_iter().collect());
        context.put("aws:SecureTransport", cx.tls.is_some().to_string());
        context.put("aws:CurrentTime", cx.received_at.iso8601());
        let seconds = cx.received_at.millis().div_euclid(1_000);
        context.put("aws:EpochTime", seconds.to_string());
        if !cx.user_agent.is_empty() {
            context.put("aws:UserAgent", &cx.user_agent);
        }
        context.put("aws:RequestedRegion", cx.region.to_string());
        context.put("aws:ResourceAccount", cx.account.to_string());
        context.extend(facts.clone());
        context
    }
}

fn holder_arn(directory: &Directory, kind: HolderKind, name: &str) -> Option<String> {
    let entry = directory.entry_of(kind, name)?;
    Some(entry.holder.arn.clone())
}

/// The condition keys that follow from a principal alone.
pub(crate) fn put_principal(
    context: &mut Context,
    subject: &Subject,
    tags: &BTreeMap<String, String>,
) {
    context.put("aws:PrincipalArn", subject.principal_arn());
    context.put("aws:PrincipalAccount", &subject.account);
    context.put(
        "aws:PrincipalType",
        match subject.kind {
            SubjectKind::Root => "Account",
            SubjectKind::User(_) => "User",
            SubjectKind::Role(_) => "AssumedRole",
            SubjectKind::Service(_) => "Service",
        },
    );
    put_tags(context, "aws:PrincipalTag/", tags.iter());
}

fn put_tags<'t>(
    context: &mut Context,
    start: &str,
    tags: impl Iterator<Item = (&'t String, &'t String)>,
) {
    for (key, value) in tags {
        context.put(&format!("{start}{key}"), value);
    }
}

fn own_reason(policy: &str) -> Reason {
    Reason {
        layer: Layer::Identity,
        policy: policy.to_owned(),
        statement: "1".to_owned(),
    }
}
