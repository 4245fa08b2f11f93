//! What would be decided: the policies of a principal, or any, asked without a request.

use std::sync::Arc;

use crate::access::put_principal;
use crate::entity::Holder;
use crate::holder::counted;
use crate::policy::{
    Context, Decision, Layers, Named, Policy, PolicyKind, Question, Subject, SubjectKind,
};
use crate::{Error, HolderKind, Identity, Noun, Permit};

/// Decisions in one simulation: each costs time.
const DECISIONS_MAX: usize = 1_000;

/// What is to be simulated.
#[derive(Clone, Debug, Default)]
pub struct Simulation {
    /// Whose policies are asked, by ARN; `None` asks `policies` alone.
    pub principal: Option<String>,
    /// Further policies.
    pub policies: Vec<String>,
    /// The policy of the resource.
    pub resource_policy: Option<String>,
    /// The actions.
    pub actions: Vec<String>,
    /// The resources, each for each action.
    pub resources: Vec<String>,
    /// The facts of the request.
    pub context: Context,
}

/// What was found for one action on one resource.
#[derive(Clone, Debug)]
pub struct Simulated {
    /// The action.
    pub action: String,
    /// The resource.
    pub resource: String,
    /// What the policies say.
    pub decision: Decision,
    /// Condition keys that a policy asks for and that were not given.
    pub missing: Vec<String>,
}

impl Identity {
    /// Asks the policies of a simulation.
    pub fn simulate(
        &self,
        _permit: &Permit,
        simulation: &Simulation,
    ) -> Result<Vec<Simulated>, Error> {
        let count = simulation
            .actions
            .len()
            .saturating_mul(simulation.resources.len());
        if DECISIONS_MAX < count {
            return Err(Error::Invalid(format!(
                "A simulation may ask for {DECISIONS_MAX} decisions, this one asks for {count}."
            )));
        }
        let directory = self.directory();
        let holder = simulation.principal.as_deref().map(|arn| {
            let found = directory.entry_by_arn(arn);
            found.ok_or_else(|| {
                Error::not_found(noun_of(arn), arn.rsplit('/').next().unwrap_or(arn))
            })
        });
        let entry = holder.transpose()?;
        let mut policies = entry
            .map(|entry| entry.policies.clone())
            .unwrap_or_default();
        for (number, document) in (1..).zip(&simulation.policies) {
            let name = format!("PolicyInputList.{number}");
            policies.push(ready(&name, document, PolicyKind::Identity)?);
        }
        let of_resource = simulation.resource_policy.as_deref();
        let of_resource = of_resource.map(|text| ready("ResourcePolicy", text, PolicyKind::Bucket));
        let of_resource = of_resource.transpose()?;
        let holder = entry.map(|entry| &*entry.holder);
        let subject = self.simulated_subject(holder);
        let mut context = Context::default();
        if let Some(holder) = holder {
            put_principal(&mut context, &subject, &holder.tags);
            if holder.kind() == HolderKind::User {
                context.put("aws:username", &holder.name);
                context.put("aws:userid", &holder.id);
            }
        }
        context.extend(simulation.context.clone());
        let boundary = entry.and_then(|entry| entry.boundary.as_deref());
        let bounds = boundary.unwrap_or_default();
        let asked = policies.iter().chain(bounds).chain(&of_resource);
        let keys = asked.flat_map(|named| named.policy.keys());
        let mut missing: Vec<String> = keys
            .filter(|key| context.get(key).is_none())
            .map(str::to_owned)
            .collect();
        missing.sort_unstable();
        missing.dedup();
        let layers = Layers {
            identity: &policies,
            boundary,
            session: None,
            resource: of_resource.as_ref(),
        };
        let pairs = simulation.actions.iter().flat_map(|action| {
            let resources = simulation.resources.iter();
            resources.map(move |resource| (action, resource))
        });
        let decided = pairs.map(|(action, resource)| Simulated {
            action: action.clone(),
            resource: resource.clone(),
            decision: layers.decide(&Question::new(&subject, action, resource, &context)),
            missing: missing.clone(),
        });
        Ok(decided.collect())
    }

    /// The condition keys that policies ask for.
    pub fn keys_asked(&self, documents: &[String]) -> Result<Vec<String>, Error> {
        let mut keys = Vec::new();
        for document in documents {
            let policy = Policy::parse(document, PolicyKind::Identity)?;
            keys.extend(policy.keys().map(str::to_owned));
        }
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }

    fn simulated_subject(&self, holder: Option<&Holder>) -> Subject {
        let kind = match holder {
            None => SubjectKind::Root,
            Some(holder) if holder.kind() == HolderKind::User => {
                SubjectKind::User(holder.arn.clone())
            }
            Some(holder) => SubjectKind::Role(holder.arn.clone()),
        };
        Subject {
            account: self.account.to_string(),
            shown_arn: holder.map(|holder| holder.arn.clone()).unwrap_or_default(),
            kind,
        }
    }
}

fn noun_of(arn: &str) -> Noun {
    if arn.contains(":role/") {
        Noun::Role
    } else {
        Noun::User
    }
}

fn ready(name: &str, document: &str, kind: PolicyKind) -> Result<Named, Error> {
    /// Characters of one policy of a simulation: as many as any policy may have.
    const SIZE_MAX: usize = 20_480;
    if SIZE_MAX < counted(document) {
        return Err(Error::Quota {
            quota: "PolicySize",
            max: SIZE_MAX,
        });
    }
    Ok(Named {
        name: name.into(),
        policy: Arc::new(Policy::parse(document, kind)?),
    })
}
