"""Every action is recorded: who did what to what, refusals included."""

import json

import pytest
import requests
from botocore.exceptions import ClientError

from work import bucket_of, process, processing_end, unique


def events_of(server, **attribute):
    ((key, value),) = attribute.items()
    pages = server.client("cloudtrail").get_paginator("lookup_events").paginate(
        LookupAttributes=[{"AttributeKey": key, "AttributeValue": value}]
    )
    return [dict(e, detail=json.loads(e["CloudTrailEvent"])) for page in pages for e in page["Events"]]


def test_a_job_leaves_its_actions_in_their_order(server):
    sagemaker = server.client("sagemaker")
    name = process(server, "print(1)", Tags=[{"Key": "a", "Value": "b"}])
    info = processing_end(server, name)
    sagemaker.add_tags(ResourceArn=info["ProcessingJobArn"], Tags=[{"Key": "c", "Value": "d"}])
    sagemaker.delete_tags(ResourceArn=info["ProcessingJobArn"], TagKeys=["c"])
    created = [e for e in events_of(server, EventName="CreateProcessingJob")
               if (e["detail"]["requestParameters"] or {}).get("processingJobName") == name]
    assert len(created) == 1
    event = created[0]
    assert event["EventSource"] == "sagemaker.amazonaws.com"
    assert event["AccessKeyId"] == server.variables["AWS_ACCESS_KEY_ID"]
    assert event["detail"]["recipientAccountId"] == server.account
    assert event["detail"]["awsRegion"] == server.region
    assert "errorCode" not in event["detail"]
    named = [r["ResourceName"] for r in event["Resources"]]
    assert any(name in resource for resource in named), named
    for action in ("AddTags", "DeleteTags"):
        arns = [json.dumps(e["detail"]["requestParameters"]) for e in events_of(server, EventName=action)]
        assert any(info["ProcessingJobArn"] in arn for arn in arns), action


@pytest.mark.parametrize(
    "action, call",
    [
        ("DescribeTrainingJob", lambda s: s.client("sagemaker").describe_training_job(TrainingJobName="nowhere")),
        ("GetCallerIdentity", lambda s: s.client("sts").get_caller_identity()),
        ("GetRole", lambda s: s.client("iam").get_role(RoleName="nobody")),
        ("ListBuckets", lambda s: s.client("s3").list_buckets()),
        ("DescribeLogGroups", lambda s: s.client("logs").describe_log_groups()),
        ("LookupEvents", lambda s: s.client("cloudtrail").lookup_events()),
    ],
)
def test_reads_and_failures_are_actions_too(server, action, call):
    before = len(events_of(server, EventName=action))
    try:
        call(server)
        code = None
    except ClientError as error:
        code = error.response["Error"]["Code"]
    events = events_of(server, EventName=action)
    own = 1 if action != "LookupEvents" else len(events) - before
    assert len(events) == before + own and own >= 1
    assert events[0]["detail"].get("errorCode") == code


def test_objects_written_and_deleted_are_actions(server):
    s3, bucket, key = server.client("s3"), bucket_of(server), unique("seen")
    s3.put_object(Bucket=bucket, Key=key, Body=b"a body that no event may hold")
    s3.get_object(Bucket=bucket, Key=key)
    s3.delete_object(Bucket=bucket, Key=key)
    for action in ("PutObject", "GetObject", "DeleteObject"):
        details = [e["CloudTrailEvent"] for e in events_of(server, EventName=action)]
        mine = [detail for detail in details if key in detail]
        assert len(mine) == 1, action
        assert "a body that no event may hold" not in mine[0]


def test_events_hold_no_secret(server):
    secret = server.variables["AWS_SECRET_ACCESS_KEY"]
    process(server, "print(1)", Environment={"API_TOKEN": "hunter2-hunter2"})
    for event in events_of(server, EventName="CreateProcessingJob"):
        assert secret not in event["CloudTrailEvent"]
        assert "hunter2" not in event["CloudTrailEvent"]


def test_events_of_s3_tell_how_they_were_signed_and_of_no_other_service(server):
    s3 = server.client("s3")
    bucket, key = bucket_of(server), unique("signed")
    where = {"Bucket": bucket, "Key": key}
    form = s3.generate_presigned_post(**where)
    assert requests.post(form["url"], data=form["fields"], files={"file": b"x"}).status_code == 204
    assert requests.get(s3.generate_presigned_url("get_object", Params=where)).text == "x"
    s3.head_object(**where)
    told = {e["EventName"]: e["detail"]["additionalEventData"]["AuthenticationMethod"]
            for e in events_of(server, ResourceName="arn:aws:s3:::%s/%s" % (bucket, key))}
    assert told == {"PostObject": "HtmlForm", "GetObject": "QueryString", "HeadObject": "AuthHeader"}
    server.client("sts").get_caller_identity()
    assert all("additionalEventData" not in e["detail"]
               for e in events_of(server, EventName="GetCallerIdentity"))
