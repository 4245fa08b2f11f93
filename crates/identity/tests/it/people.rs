//! Users, roles, policies and keys over a real store, and what they may do.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use sightline_identity::policy::Context;
use sightline_identity::{
    AccessKey, Error, HolderKind, Identity, NewHolder, NewPolicy, NewRoleSession, Permit, RolePart,
    Simulation,
};
use sightline_types::Arn;

use crate::{cx, open};

/// A server's identity with its owner.
pub(crate) struct House {
    pub(crate) identity: Identity,
    pub(crate) dir: tempfile::TempDir,
    root: Arc<AccessKey>,
}

impl House {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let identity = open(&dir).await;
        let root = identity.root_key().await.unwrap();
        Self {
            identity,
            dir,
            root,
        }
    }

    /// A permit of the owner's.
    pub(crate) fn permit(&self, action: &'static str, resource: &str) -> Permit {
        self.permit_of(&self.root, action, resource).unwrap()
    }

    pub(crate) fn permit_of(
        &self,
        key: &AccessKey,
        action: &'static str,
        resource: &str,
    ) -> Result<Permit, Error> {
        let cx = cx(&self.identity, &key.caller);
        self.identity.permit(&cx, action, resource.parse().unwrap())
    }

    pub(crate) fn arn(&self, rest: &str) -> String {
        format!("arn:aws:iam::{}:{rest}", self.identity.account())
    }

    /// A user with a key.
    pub(crate) async fn user(&self, name: &str) -> Arc<AccessKey> {
        let permit = self.permit("iam:CreateUser", &self.arn(&format!("user/{name}")));
        let made = self.identity.create_holder(&permit, holder(name, None));
        made.await.unwrap();
        let made = self.identity.create_access_key(&permit, Some(name));
        made.await.unwrap()
    }

    pub(crate) async fn attach(&self, user: &str, policy: &str) {
        let permit = self.permit("iam:AttachUserPolicy", &self.arn("user/x"));
        let arn = format!("arn:aws:iam::aws:policy/{policy}");
        let attached = self.identity.attach(&permit, HolderKind::User, user, arn);
        attached.await.unwrap();
    }

    async fn role(&self, name: &str, trust: serde_json::Value) {
        let permit = self.permit("iam:CreateRole", &self.arn(&format!("role/{name}")));
        let part = RolePart {
            trust: trust.to_string(),
            description: None,
            max_session_s: 3_600,
        };
        let made = self
            .identity
            .create_holder(&permit, holder(name, Some(part)));
        made.await.unwrap();
    }
}

fn holder(name: &str, role: Option<RolePart>) -> NewHolder {
    NewHolder {
        name: name.to_owned(),
        path: "/".to_owned(),
        tags: BTreeMap::new(),
        boundary: None,
        role,
    }
}

fn trusting(principal: serde_json::Value) -> serde_json::Value {
    json!({ "Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole",
    }})
}

fn named(session_name: &str) -> NewRoleSession {
    NewRoleSession {
        session_name: session_name.to_owned(),
        duration_s: None,
        policy: None,
        policy_arns: Vec::new(),
        tags: BTreeMap::new(),
        source_identity: None,
    }
}

const OBJECT: &str = "arn:aws:s3:::b/k";

#[tokio::test]
async fn a_user_may_what_its_policies_say_from_the_moment_they_say_it() {
    let house = House::new().await;
    let alice = house.user("alice").await;
    assert!(
        alice
            .caller
            .arn
            .ends_with(":assumed-role/SightlineExecutionRole/alice")
    );
    assert!(alice.caller.user_id.starts_with("AIDA"));
    assert!(
        house
            .permit_of(&alice, "sts:GetCallerIdentity", "arn:aws:sts:::*")
            .is_ok()
    );
    assert!(house.permit_of(&alice, "s3:GetObject", OBJECT).is_err());
    house.attach("alice", "SightlineReader").await;
    assert!(house.permit_of(&alice, "s3:GetObject", OBJECT).is_ok());
    let denied = house.permit_of(&alice, "s3:PutObject", OBJECT).unwrap_err();
    let account = house.identity.account();
    assert_eq!(
        denied.to_string(),
        format!(
            "User: arn:aws:sts::{account}:assumed-role/SightlineExecutionRole/alice is not \
             authorized to perform: s3:PutObject on resource: \"arn:aws:s3:::b/k\" because no \
             identity-based policy allows the s3:PutObject action"
        )
    );
    let permit = house.permit("iam:PutUserPolicy", &house.arn("user/alice"));
    let deny = json!({ "Version": "2012-10-17", "Statement": {
        "Effect": "Deny", "Action": "s3:GetObject", "Resource": "*",
    }});
    let policy = ("no-reading".to_owned(), deny.to_string());
    let put = house
        .identity
        .put_inline(&permit, HolderKind::User, "alice", policy);
    put.await.unwrap();
    let denied = house.permit_of(&alice, "s3:GetObject", OBJECT).unwrap_err();
    let text = denied.to_string();
    assert!(
        text.ends_with("with an explicit deny in an identity-based policy"),
        "{text}"
    );
    // And again after a restart.
    let reopened = open(&house.dir).await;
    let cx = cx(&reopened, &alice.caller);
    let after = reopened.permit(&cx, "s3:GetObject", OBJECT.parse().unwrap());
    assert!(after.is_err());
    assert!(
        reopened
            .permit(&cx, "s3:ListAllMyBuckets", Arn::s3("*", None))
            .is_ok()
    );
}

#[tokio::test]
async fn bucket_policies_join_the_decision_and_go_with_their_bucket() {
    let house = House::new().await;
    let alice = house.user("alice").await;
    let identity = &house.identity;
    let permit = house.permit("s3:PutBucketPolicy", "arn:aws:s3:::b");
    let statement = |effect: &str| {
        json!({ "Version": "2012-10-17", "Statement": {
            "Effect": effect, "Principal": { "AWS": house.arn("user/alice") },
            "Action": "s3:*", "Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/*"],
        }})
    };
    let put = identity.put_resource_policy(&permit, statement("Allow").to_string());
    put.await.unwrap();
    assert!(house.permit_of(&alice, "s3:GetObject", OBJECT).is_ok());
    assert!(
        house
            .permit_of(&alice, "s3:GetObject", "arn:aws:s3:::other/k")
            .is_err()
    );
    assert_eq!(
        identity.resource_policy(&permit).unwrap(),
        statement("Allow").to_string()
    );
    house.attach("alice", "AmazonS3FullAccess").await;
    let put = identity.put_resource_policy(&permit, statement("Deny").to_string());
    put.await.unwrap();
    let text = house
        .permit_of(&alice, "s3:GetObject", OBJECT)
        .unwrap_err()
        .to_string();
    assert!(
        text.ends_with("with an explicit deny in a resource-based policy"),
        "{text}"
    );
    let elsewhere = json!({ "Statement": {
        "Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::bb/*",
    }});
    let refused = identity
        .put_resource_policy(&permit, elsewhere.to_string())
        .await;
    assert_eq!(
        refused.unwrap_err().to_string(),
        "Policy has invalid resource"
    );
    let nobody = statement("Allow")
        .to_string()
        .replace("user/alice", "user/nobody");
    let refused = identity.put_resource_policy(&permit, nobody).await;
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .starts_with("Invalid principal in policy")
    );
    identity.delete_resource_policy(&permit).await.unwrap();
    assert!(house.permit_of(&alice, "s3:GetObject", OBJECT).is_ok());
    assert!(matches!(
        identity.resource_policy(&permit),
        Err(Error::NotFound { .. })
    ));
}

#[tokio::test]
async fn the_owner_is_bound_by_a_bucket_policy_and_can_always_mend_it() {
    let house = House::new().await;
    let permit = house.permit("s3:PutBucketPolicy", "arn:aws:s3:::b");
    let nobody = json!({ "Statement": {
        "Effect": "Deny", "Principal": "*", "Action": "s3:*",
        "Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/*"],
    }});
    let put = house
        .identity
        .put_resource_policy(&permit, nobody.to_string());
    put.await.unwrap();
    let root = house.identity.root_key().await.unwrap();
    assert!(house.permit_of(&root, "s3:GetObject", OBJECT).is_err());
    assert!(
        house
            .permit_of(&root, "s3:DeleteBucketPolicy", "arn:aws:s3:::b")
            .is_ok()
    );
}

#[tokio::test]
async fn a_role_is_taken_on_by_whom_it_trusts_and_narrowed_by_the_session() {
    let house = House::new().await;
    let (alice, bob) = (house.user("alice").await, house.user("bob").await);
    house
        .role(
            "Direct",
            trusting(json!({ "AWS": house.arn("user/alice") })),
        )
        .await;
    let account = house.identity.account().to_string();
    house
        .role("Delegated", trusting(json!({ "AWS": account })))
        .await;
    let direct = house.arn("role/Direct");
    let delegated = house.arn("role/Delegated");
    let assume = "sts:AssumeRole";
    // To be named is enough; to be of a trusted account is not.
    assert!(house.permit_of(&alice, assume, &direct).is_ok());
    assert!(house.permit_of(&bob, assume, &direct).is_err());
    assert!(house.permit_of(&alice, assume, &delegated).is_err());
    let text = house
        .permit_of(&bob, assume, &direct)
        .unwrap_err()
        .to_string();
    let end = "because no role trust policy allows the sts:AssumeRole action";
    assert!(text.ends_with(end), "{text}");
    assert!(
        house
            .permit_of(&alice, assume, &house.arn("role/None"))
            .is_err()
    );
    let permit = house.permit("iam:AttachRolePolicy", &direct);
    let full = "arn:aws:iam::aws:policy/AmazonS3FullAccess".to_owned();
    let attached = house
        .identity
        .attach(&permit, HolderKind::Role, "Direct", full);
    attached.await.unwrap();
    let permit = house.permit_of(&alice, assume, &direct).unwrap();
    let wide = house
        .identity
        .assume_role(&permit, named("s"))
        .await
        .unwrap();
    assert!(house.permit_of(&wide, "s3:PutObject", OBJECT).is_ok());
    assert!(wide.caller.arn.ends_with(":assumed-role/Direct/s"));
    let mut new = named("s");
    let reading = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess".to_owned();
    new.policy_arns = vec![reading];
    let narrow = house.identity.assume_role(&permit, new).await.unwrap();
    assert!(house.permit_of(&narrow, "s3:GetObject", OBJECT).is_ok());
    let text = house
        .permit_of(&narrow, "s3:PutObject", OBJECT)
        .unwrap_err()
        .to_string();
    assert!(
        text.ends_with("because no session policy allows the s3:PutObject action"),
        "{text}"
    );
    let mut long = named("s");
    long.duration_s = Some(3_601);
    let refused = house.identity.assume_role(&permit, long).await.unwrap_err();
    assert!(
        refused.to_string().contains("MaxSessionDuration"),
        "{refused}"
    );
    // A session does not outlive its rights.
    let permit = house.permit("iam:DetachRolePolicy", &direct);
    let full = "arn:aws:iam::aws:policy/AmazonS3FullAccess".to_owned();
    let detached = house
        .identity
        .detach(&permit, HolderKind::Role, "Direct", full);
    detached.await.unwrap();
    assert!(house.permit_of(&wide, "s3:GetObject", OBJECT).is_err());
}

#[tokio::test]
async fn nobody_is_shown_under_the_name_of_a_user() {
    let house = House::new().await;
    house.user("alice").await;
    let root = house.identity.root_key().await.unwrap();
    let role = house.identity.default_role_arn();
    let permit = house.permit("iam:UpdateAssumeRolePolicy", role.as_str());
    let account = house.identity.account().to_string();
    let change = sightline_identity::RoleChange {
        trust: Some(trusting(json!({ "AWS": account })).to_string()),
        ..Default::default()
    };
    let changed = house
        .identity
        .change_role(&permit, "SightlineExecutionRole", change);
    changed.await.unwrap();
    let permit = house
        .permit_of(&root, "sts:AssumeRole", role.as_str())
        .unwrap();
    for name in ["alice", "root"] {
        let refused = house.identity.assume_role(&permit, named(name)).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{name}");
    }
    assert!(
        house
            .identity
            .assume_role(&permit, named("somebody"))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_role_is_passed_only_by_those_who_may_and_to_those_it_trusts() {
    let house = House::new().await;
    let alice = house.user("alice").await;
    house.attach("alice", "SightlineDataScientist").await;
    let pass = |key: &AccessKey, role: &str| {
        let cx = cx(&house.identity, &key.caller);
        house
            .identity
            .pass_role(&cx, role, "sagemaker.amazonaws.com")
    };
    let default = house.identity.default_role_arn().to_string();
    assert!(pass(&alice, &default).is_ok());
    let bob = house.user("bob").await;
    let denied = pass(&bob, &default).unwrap_err();
    assert!(denied.to_string().contains("iam:PassRole"), "{denied}");
    let missing = pass(&alice, &house.arn("role/Missing")).unwrap_err();
    assert_eq!(
        missing.to_string(),
        format!(
            "Could not assume role {}. Please ensure that the role exists and allows principal \
             'sagemaker.amazonaws.com' to assume the role.",
            house.arn("role/Missing")
        )
    );
    house
        .role("Other", trusting(json!({ "Service": "ec2.amazonaws.com" })))
        .await;
    let wrong = pass(&alice, &house.arn("role/Other"));
    assert!(matches!(wrong, Err(Error::CannotAssume { .. })));
}

#[tokio::test]
async fn what_is_in_use_is_not_deleted_and_quotas_hold() {
    let house = House::new().await;
    let alice = house.user("alice").await;
    let identity = &house.identity;
    let permit = house.permit("iam:DeleteUser", &house.arn("user/alice"));
    let text = |error: Error| error.to_string();
    let delete = identity
        .delete_holder(&permit, HolderKind::User, "alice")
        .await;
    assert!(text(delete.unwrap_err()).contains("must delete access keys first"));
    identity
        .create_access_key(&permit, Some("alice"))
        .await
        .unwrap();
    let third = identity.create_access_key(&permit, Some("ALICE")).await;
    assert_eq!(
        text(third.unwrap_err()),
        "Cannot exceed quota for AccessKeysPerUser: 2"
    );
    let again = identity.create_holder(&permit, holder("ALICE", None)).await;
    assert_eq!(
        text(again.unwrap_err()),
        "User with name ALICE already exists."
    );
    for key in identity.access_keys(&permit, Some("alice")) {
        let gone = identity.delete_access_key(&permit, Some("alice"), &key.id);
        gone.await.unwrap();
    }
    assert!(identity.key(&alice.id).is_none());
    house.attach("alice", "SightlineReader").await;
    let delete = identity
        .delete_holder(&permit, HolderKind::User, "alice")
        .await;
    assert!(text(delete.unwrap_err()).contains("must detach all policies first"));
    let arn = "arn:aws:iam::aws:policy/SightlineReader".to_owned();
    let detached = identity.detach(&permit, HolderKind::User, "alice", arn.clone());
    detached.await.unwrap();
    let again = identity
        .detach(&permit, HolderKind::User, "alice", arn)
        .await;
    assert!(matches!(again, Err(Error::NotFound { .. })));
    identity
        .delete_holder(&permit, HolderKind::User, "alice")
        .await
        .unwrap();
    let role = identity.delete_holder(&permit, HolderKind::Role, "SightlineExecutionRole");
    assert!(matches!(role.await, Err(Error::Unmodifiable(_))));
    let root = identity.root_key().await.unwrap();
    let last = identity.delete_access_key(&permit, None, &root.id).await;
    assert!(matches!(last, Err(Error::Unmodifiable(_))));
}

#[tokio::test]
async fn the_version_in_force_decides() {
    let house = House::new().await;
    let alice = house.user("alice").await;
    let identity = &house.identity;
    let permit = house.permit("iam:CreatePolicy", &house.arn("policy/p"));
    let allowing = |action: &str| {
        json!({ "Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Action": action, "Resource": "*",
        }})
        .to_string()
    };
    let new = NewPolicy {
        name: "p".to_owned(),
        path: "/team/".to_owned(),
        description: None,
        tags: BTreeMap::new(),
        document: allowing("s3:GetObject"),
    };
    let policy = identity.create_policy(&permit, new).await.unwrap();
    let arn = policy.arn.as_str();
    assert!(arn.ends_with(":policy/team/p"), "{arn}");
    let attached = identity.attach(&permit, HolderKind::User, "alice", arn.to_owned());
    attached.await.unwrap();
    assert!(house.permit_of(&alice, "s3:GetObject", OBJECT).is_ok());
    let made = identity.create_version(&permit, arn, allowing("s3:PutObject"), false);
    assert_eq!(made.await.unwrap(), 2);
    assert!(house.permit_of(&alice, "s3:PutObject", OBJECT).is_err());
    identity
        .set_default_version(&permit, arn, "v2")
        .await
        .unwrap();
    assert!(house.permit_of(&alice, "s3:PutObject", OBJECT).is_ok());
    assert!(house.permit_of(&alice, "s3:GetObject", OBJECT).is_err());
    let in_force = identity.delete_version(&permit, arn, "v2").await;
    assert!(matches!(in_force, Err(Error::InUse(_))));
    let held = identity.delete_policy(&permit, arn).await;
    assert!(matches!(held, Err(Error::InUse(_))));
    for _ in 0..3 {
        let more = identity.create_version(&permit, arn, allowing("s3:*"), false);
        more.await.unwrap();
    }
    let sixth = identity
        .create_version(&permit, arn, allowing("s3:*"), false)
        .await;
    assert!(matches!(sixth, Err(Error::VersionsFull(5))));
    let built_in = "arn:aws:iam::aws:policy/SightlineReader";
    let refused = identity
        .create_version(&permit, built_in, allowing("*"), true)
        .await;
    assert!(matches!(refused, Err(Error::Unmodifiable(_))));
}

#[tokio::test]
async fn what_another_server_changes_is_taken_up_at_a_refresh() {
    let house = House::new().await;
    let other = open(&house.dir).await;
    assert!(!other.refresh_if_changed().await.unwrap());
    let alice = house.user("alice").await;
    assert!(other.key(&alice.id).is_none());
    assert!(other.refresh_if_changed().await.unwrap());
    assert!(other.key(&alice.id).is_some());
    assert!(!other.refresh_if_changed().await.unwrap());
}

#[tokio::test]
async fn tags_of_principal_and_resource_are_facts() {
    let house = House::new().await;
    let alice = house.user("alice").await;
    let identity = &house.identity;
    let permit = house.permit("iam:TagUser", &house.arn("user/alice"));
    let same_team = json!({ "Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Action": "iam:GetRole", "Resource": "*",
        "Condition": { "StringEquals": { "aws:ResourceTag/team": "${aws:PrincipalTag/team}" } },
    }});
    let policy = ("same-team".to_owned(), same_team.to_string());
    let put = identity.put_inline(&permit, HolderKind::User, "alice", policy);
    put.await.unwrap();
    let tags = BTreeMap::from([("team".to_owned(), "red".to_owned())]);
    let tagged = identity.tag_holder(&permit, HolderKind::User, "alice", tags.clone());
    tagged.await.unwrap();
    let role: Arn = identity.default_role_arn();
    let cx = cx(identity, &alice.caller);
    let facts = identity.resource_facts(&cx, &role).await.unwrap();
    assert!(
        identity
            .permit_given(&cx, "iam:GetRole", role.clone(), &facts)
            .is_err()
    );
    let name = "SightlineExecutionRole";
    identity
        .tag_holder(&permit, HolderKind::Role, name, tags)
        .await
        .unwrap();
    let facts = identity.resource_facts(&cx, &role).await.unwrap();
    assert!(
        identity
            .permit_given(&cx, "iam:GetRole", role, &facts)
            .is_ok()
    );
}

#[tokio::test]
async fn a_simulation_says_which_statement_decides() {
    let house = House::new().await;
    house.user("alice").await;
    house.attach("alice", "SightlineReader").await;
    let permit = house.permit("iam:SimulatePrincipalPolicy", &house.arn("user/alice"));
    let simulation = Simulation {
        principal: Some(house.arn("user/alice")),
        actions: vec!["s3:GetObject".to_owned(), "s3:PutObject".to_owned()],
        resources: vec![OBJECT.to_owned()],
        context: Context::default(),
        ..Simulation::default()
    };
    let found = house.identity.simulate(&permit, &simulation).unwrap();
    let sightline_identity::policy::Decision::Allowed(reasons) = &found[0].decision else {
        panic!("{:?}", found[0]);
    };
    assert_eq!(reasons[0].policy, "arn:aws:iam::aws:policy/SightlineReader");
    assert_eq!(reasons[0].statement, "SeeWork");
    assert!(!found[1].decision.is_allowed());
}
