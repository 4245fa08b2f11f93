"""Users, keys, roles and policies, by unmodified boto3 and by the command."""

import json

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

ONCE = Config(retries={"max_attempts": 1})


def client(server, service, key=None):
    key = key or {}
    return boto3.client(
        service, endpoint_url=server.url, region_name="us-east-1", config=ONCE,
        aws_access_key_id=key.get("AccessKeyId", server.variables["AWS_ACCESS_KEY_ID"]),
        aws_secret_access_key=key.get("SecretAccessKey", server.variables["AWS_SECRET_ACCESS_KEY"]),
        aws_session_token=key.get("SessionToken"),
    )


def allow(action, resource="*", **rest):
    statement = {"Effect": "Allow", "Action": action, "Resource": resource, **rest}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def trust(principal):
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def code_of(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


@pytest.fixture
def user(server, request):
    """A user with a key; both are named after the test."""
    name = request.node.name[:60]
    iam = client(server, "iam")
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return name, key


def test_a_user_lives_from_creation_to_deletion(server):
    iam = client(server, "iam")
    made = iam.create_user(UserName="ada", Path="/team/", Tags=[{"Key": "team", "Value": "red"}])
    account = client(server, "sts").get_caller_identity()["Account"]
    assert made["User"]["Arn"] == "arn:aws:iam::%s:user/team/ada" % account
    assert code_of(iam.create_user, UserName="Ada") == "EntityAlreadyExists"
    assert iam.get_user(UserName="ada")["User"]["Tags"] == [{"Key": "team", "Value": "red"}]
    listed = iam.get_paginator("list_users").paginate(PathPrefix="/team/")
    assert [user["UserName"] for page in listed for user in page["Users"]] == ["ada"]
    key = iam.create_access_key(UserName="ada")["AccessKey"]
    whoami = client(server, "sts", key).get_caller_identity()
    assert whoami["Arn"].endswith(":assumed-role/SightlineExecutionRole/ada")
    assert whoami["UserId"].split(":")[0] == made["User"]["UserId"]
    assert code_of(iam.delete_user, UserName="ada") == "DeleteConflict"
    iam.update_access_key(UserName="ada", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    assert code_of(client(server, "sts", key).get_caller_identity) == "InvalidClientTokenId"
    iam.delete_access_key(UserName="ada", AccessKeyId=key["AccessKeyId"])
    iam.untag_user(UserName="ada", TagKeys=["team"])
    assert iam.list_user_tags(UserName="ada")["Tags"] == []
    iam.delete_user(UserName="ada")
    assert code_of(iam.get_user, UserName="ada") == "NoSuchEntity"


def test_rights_follow_the_policies_at_once(server, user):
    name, key = user
    iam, s3 = client(server, "iam"), client(server, "s3", key)
    assert code_of(s3.list_buckets) == "AccessDenied"
    reader = "arn:aws:iam::aws:policy/SightlineReader"
    iam.attach_user_policy(UserName=name, PolicyArn=reader)
    s3.list_buckets()
    bucket = "rights-follow-policies"
    assert code_of(s3.create_bucket, Bucket=bucket) == "AccessDenied"
    iam.put_user_policy(UserName=name, PolicyName="make", PolicyDocument=allow("s3:CreateBucket"))
    s3.create_bucket(Bucket=bucket)
    got = iam.get_user_policy(UserName=name, PolicyName="make")["PolicyDocument"]
    assert got == json.loads(allow("s3:CreateBucket"))
    attached = iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]
    assert [policy["PolicyArn"] for policy in attached] == [reader]
    entities = iam.list_entities_for_policy(PolicyArn=reader)["PolicyUsers"]
    assert name in [entity["UserName"] for entity in entities]
    iam.detach_user_policy(UserName=name, PolicyArn=reader)
    assert code_of(s3.list_buckets) == "AccessDenied"


def test_a_users_own_folder_is_all_it_lists_and_writes(server, user):
    name, key = user
    bucket = "home-folders"
    client(server, "s3").create_bucket(Bucket=bucket)
    home = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow", "Action": "s3:ListBucket",
                "Resource": "arn:aws:s3:::" + bucket,
                "Condition": {"StringLike": {"s3:prefix": "${aws:username}/*"}},
            },
            {
                "Effect": "Allow", "Action": ["s3:PutObject", "s3:GetObject"],
                "Resource": "arn:aws:s3:::%s/${aws:username}/*" % bucket,
            },
        ],
    }
    client(server, "iam").put_user_policy(
        UserName=name, PolicyName="home", PolicyDocument=json.dumps(home)
    )
    s3 = client(server, "s3", key)
    s3.put_object(Bucket=bucket, Key=name + "/a", Body=b"x")
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=name + "/")["Contents"]
    assert [item["Key"] for item in listed] == [name + "/a"]
    assert code_of(s3.list_objects_v2, Bucket=bucket) == "AccessDenied"
    assert code_of(s3.put_object, Bucket=bucket, Key="else/a", Body=b"x") == "AccessDenied"


def test_a_role_is_assumed_and_narrowed(server, user):
    name, key = user
    iam, sts = client(server, "iam"), client(server, "sts", key)
    user_arn = iam.get_user(UserName=name)["User"]["Arn"]
    made = iam.create_role(
        RoleName="narrowed", AssumeRolePolicyDocument=trust({"AWS": user_arn}),
        MaxSessionDuration=7200,
    )["Role"]
    assert made["AssumeRolePolicyDocument"] == json.loads(trust({"AWS": user_arn}))
    iam.attach_role_policy(
        RoleName="narrowed", PolicyArn="arn:aws:iam::aws:policy/AmazonS3FullAccess"
    )
    session = sts.assume_role(
        RoleArn=made["Arn"], RoleSessionName="s1", Policy=allow("s3:ListAllMyBuckets"),
    )
    s3 = client(server, "s3", session["Credentials"])
    s3.list_buckets()
    assert code_of(s3.create_bucket, Bucket="narrowed-no") == "AccessDenied"
    assert session["AssumedRoleUser"]["Arn"].endswith(":assumed-role/narrowed/s1")
    too_long = {"RoleArn": made["Arn"], "RoleSessionName": "s1", "DurationSeconds": 7201}
    assert code_of(sts.assume_role, **too_long) == "ValidationError"
    missing = {"RoleArn": made["Arn"] + "-not", "RoleSessionName": "s1"}
    assert code_of(sts.assume_role, **missing) == "AccessDenied"


def test_policies_have_versions_and_limits(server):
    iam = client(server, "iam")
    made = iam.create_policy(PolicyName="versions", PolicyDocument=allow("s3:GetObject"))["Policy"]
    arn = made["Arn"]
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=allow("s3:*"), SetAsDefault=True)
    assert iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"] == "v2"
    version = iam.get_policy_version(PolicyArn=arn, VersionId="v2")["PolicyVersion"]
    assert version["Document"] == json.loads(allow("s3:*"))
    assert code_of(iam.delete_policy_version, PolicyArn=arn, VersionId="v2") == "DeleteConflict"
    assert code_of(iam.delete_policy, PolicyArn=arn) == "DeleteConflict"
    iam.delete_policy_version(PolicyArn=arn, VersionId="v1")
    iam.delete_policy(PolicyArn=arn)
    malformed = {"PolicyName": "bad", "PolicyDocument": "{}"}
    assert code_of(iam.create_policy, **malformed) == "MalformedPolicyDocument"
    large = allow("s3:GetObject", ["arn:aws:s3:::b/%d" % n for n in range(1000)])
    too_large = {"PolicyName": "large", "PolicyDocument": large}
    assert code_of(iam.create_policy, **too_large) == "LimitExceeded"


def test_a_session_token_has_the_rights_of_its_user(server, user):
    name, key = user
    client(server, "iam").attach_user_policy(
        UserName=name, PolicyArn="arn:aws:iam::aws:policy/SightlineReader"
    )
    session = client(server, "sts", key).get_session_token(DurationSeconds=900)["Credentials"]
    client(server, "s3", session).list_buckets()
    assert code_of(client(server, "sts", session).get_session_token) == "AccessDenied"


def test_the_last_use_of_a_key_is_told(server, user):
    _, key = user
    iam = client(server, "iam")
    before = iam.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])["AccessKeyLastUsed"]
    assert before["ServiceName"] == "N/A"
    client(server, "sts", key).get_caller_identity()
    after = iam.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])["AccessKeyLastUsed"]
    assert after["ServiceName"] == "sts" and after["LastUsedDate"]


def test_a_simulation_names_the_statement(server, user):
    name, _ = user
    iam = client(server, "iam")
    iam.attach_user_policy(UserName=name, PolicyArn="arn:aws:iam::aws:policy/SightlineReader")
    arn = iam.get_user(UserName=name)["User"]["Arn"]
    results = iam.simulate_principal_policy(
        PolicySourceArn=arn, ActionNames=["s3:GetObject", "s3:PutObject"],
        ResourceArns=["arn:aws:s3:::b/k"],
    )["EvaluationResults"]
    assert [result["EvalDecision"] for result in results] == ["allowed", "implicitDeny"]
    matched = results[0]["MatchedStatements"][0]["SourcePolicyId"]
    assert matched == "arn:aws:iam::aws:policy/SightlineReader#SeeWork"


def test_secrets_are_nowhere_but_in_the_answer(own_server):
    iam = client(own_server, "iam")
    iam.create_user(UserName="eve")
    key = iam.create_access_key(UserName="eve")["AccessKey"]
    session = client(own_server, "sts", key).get_session_token()["Credentials"]
    own_server.stop()
    secrets = [key["SecretAccessKey"], session["SecretAccessKey"], session["SessionToken"]]
    files = [path for path in own_server.data_dir.rglob("*") if path.is_file()]
    said = [own_server.log.read_bytes()] + [path.read_bytes() for path in files]
    assert any(key["AccessKeyId"].encode() in text for text in said)
    for secret in secrets:
        assert not any(secret.encode() in text for text in said)


def test_a_bucket_policy_lets_in_and_keeps_out_and_goes_with_its_bucket(server, user):
    name, key = user
    owner, s3 = client(server, "s3"), client(server, "s3", key)
    bucket = "policy-of-a-bucket"
    user_arn = client(server, "iam").get_user(UserName=name)["User"]["Arn"]
    owner.create_bucket(Bucket=bucket)
    owner.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert code_of(owner.get_bucket_policy, Bucket=bucket) == "NoSuchBucketPolicy"
    assert code_of(s3.get_object, Bucket=bucket, Key="k") == "AccessDenied"
    policy = json.dumps({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow", "Principal": {"AWS": user_arn}, "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::%s/*" % bucket,
        }],
    })
    owner.put_bucket_policy(Bucket=bucket, Policy=policy)
    assert owner.get_bucket_policy(Bucket=bucket)["Policy"] == policy
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    assert code_of(s3.put_object, Bucket=bucket, Key="k", Body=b"y") == "AccessDenied"
    assert code_of(owner.put_bucket_policy, Bucket=bucket, Policy="{}") == "MalformedPolicy"
    owner.delete_object(Bucket=bucket, Key="k")
    owner.delete_bucket(Bucket=bucket)
    owner.create_bucket(Bucket=bucket)
    assert code_of(owner.get_bucket_policy, Bucket=bucket) == "NoSuchBucketPolicy"
    owner.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert code_of(s3.get_object, Bucket=bucket, Key="k") == "AccessDenied"


def test_the_command_tells_and_changes_access(own_server):
    command = lambda *words: own_server.command(*words).stdout
    iam = client(own_server, "iam")
    iam.create_user(UserName="max")
    iam.attach_user_policy(UserName="max", PolicyArn="arn:aws:iam::aws:policy/SightlineReader")
    made = command("keys", "create", "--user", "max")
    key_id = made.split()[3]
    assert key_id in command("keys", "list", "--user", "max")
    rotated = command("keys", "rotate", "--user", "max")
    assert rotated.split()[3] != key_id
    listed = {line.split()[0]: line.split()[1] for line in command("keys", "list", "--user", "max").splitlines()[1:]}
    assert listed[key_id] == "Inactive"
    assert "max" in command("access", "list") and "SightlineReader" in command("access", "list")
    asked = ["access", "simulate", "--principal", "max", "--resource", "arn:aws:s3:::b/k"]
    allowed = command(*asked, "--action", "s3:GetObject")
    assert allowed.startswith("allowed") and "statement SeeWork" in allowed
    denied = command(*asked, "--action", "s3:PutObject")
    assert denied.startswith("implicitDeny") and "no identity-based policy" in denied
    # The owner's key, too, and the command goes on with the new one.
    before = own_server.variables["AWS_ACCESS_KEY_ID"]
    command("keys", "rotate")
    assert before not in command("keys")
    assert "max" in command("access", "list")
