"""What the one port says to requests that it cannot serve, and to requests that break a rule."""

import json
import urllib.error
import urllib.request

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from work import processing_request, training_request

LOOSE = Config(parameter_validation=False, retries={"total_max_attempts": 1})


def error_of(call, *arguments, **more):
    with pytest.raises(ClientError) as caught:
        call(*arguments, **more)
    return caught.value.response["Error"]


@pytest.mark.parametrize(
    "service, call, arguments",
    [
        ("sagemaker", "create_auto_ml_job_v2", None),
        ("sagemaker", "list_notebook_instances", {}),
        ("logs", "describe_metric_filters", {}),
        ("cloudtrail", "create_trail", {"Name": "trail-1", "S3BucketName": "some-bucket"}),
        ("sts", "get_federation_token", {"Name": "nn"}),
        ("iam", "list_groups", {}),
        ("s3", "put_bucket_logging", {"Bucket": "some-bucket", "BucketLoggingStatus": {}}),
        ("s3", "get_object_torrent", {"Bucket": "some-bucket", "Key": "k"}),
    ],
)
def test_an_operation_outside_the_list_is_named_in_the_error(server, service, call, arguments):
    client = server.client(service, config=LOOSE)
    error = error_of(getattr(client, call), **(arguments or {}))
    name = client.meta.method_to_api_mapping[call]
    assert name in error["Message"], error
    assert error["Code"] not in ("", "404", "500", "AccessDenied"), error


def test_a_service_that_is_not_served_is_named_in_the_error(server):
    error = error_of(server.client("dynamodb").list_tables)
    assert "dynamodb" in error["Message"] and error["Code"] != "AccessDenied", error


def test_a_page_that_is_no_api_is_not_html(server):
    for path in ("/favicon.ico", "/index.html", "/v1/unknown"):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(server.url + path)
        assert b"<html" not in caught.value.read().lower(), path


def test_a_broken_pattern_has_the_services_own_text(server):
    request = processing_request(server, "print(1)")
    request["ProcessingJobName"] = "a b"
    sagemaker = server.client("sagemaker")
    pattern = sagemaker.meta.service_model.shape_for("ProcessingJobName").metadata["pattern"]
    error = error_of(sagemaker.create_processing_job, **request)
    assert error["Code"] == "ValidationException"
    assert error["Message"] == (
        "1 validation error detected: Value 'a b' at 'processingJobName' failed to satisfy "
        "constraint: Member must satisfy regular expression pattern: " + pattern
    )


def test_several_broken_rules_are_counted_and_all_told(server):
    request = training_request(server, "print(1)")
    request["TrainingJobName"] = "-x"
    request["ResourceConfig"]["InstanceType"] = "ml.none"
    error = error_of(server.client("sagemaker").create_training_job, **request)
    assert error["Code"] == "ValidationException"
    assert error["Message"].startswith("2 validation errors detected: "), error["Message"]
    assert "Value '-x' at 'trainingJobName' failed to satisfy constraint: " in error["Message"]
    assert "Value 'ml.none' at 'resourceConfig.instanceType' failed" in error["Message"]
    assert "Member must satisfy enum value set: [" in error["Message"]


def test_a_missing_member_is_refused_although_the_client_did_not_check(server):
    sagemaker = server.client("sagemaker", config=LOOSE)
    error = error_of(sagemaker.describe_training_job)
    assert error["Code"] == "ValidationException"
    assert "'trainingJobName' failed to satisfy constraint: Member must not be null" in error["Message"]


def test_a_body_that_is_no_json_is_a_client_error(server):
    sagemaker = server.client("sagemaker")

    def garble(request, **_):
        request.data = b'{"MaxResults": '

    sagemaker.meta.events.register("before-sign.sagemaker.ListTrainingJobs", garble)
    assert error_of(sagemaker.list_training_jobs)["Code"] == "SerializationException"


def test_missing_jobs_have_the_services_own_text(server):
    sagemaker = server.client("sagemaker")
    training = error_of(sagemaker.describe_training_job, TrainingJobName="nowhere")
    assert (training["Code"], training["Message"]) == ("ValidationException", "Requested resource not found.")
    processing = error_of(sagemaker.describe_processing_job, ProcessingJobName="nowhere")
    assert processing["Code"] == "ValidationException"
    assert processing["Message"] == "Could not find requested job with name: nowhere"


def test_every_answer_carries_a_request_id_of_its_own(server):
    sagemaker = server.client("sagemaker")
    ids = {sagemaker.list_training_jobs()["ResponseMetadata"]["RequestId"] for _ in range(3)}
    assert len(ids) == 3


def test_the_caller_is_an_assumed_role(server):
    identity = server.client("sts").get_caller_identity()
    assert identity["Arn"].startswith("arn:aws:sts::%s:assumed-role/" % identity["Account"])
    assert len(identity["Account"]) == 12 and identity["Account"].isdigit()
    name = identity["Arn"].split("/")[1]
    role = server.client("iam").get_role(RoleName=name)["Role"]
    assert role["RoleName"] == name
    assert role["Arn"].startswith("arn:aws:iam::%s:role/" % identity["Account"])
    trust = role["AssumeRolePolicyDocument"]
    assert isinstance(trust, dict) and trust["Statement"], json.dumps(trust)


def test_a_missing_role_is_missing(server):
    error = error_of(server.client("iam").get_role, RoleName="nobody")
    assert error["Code"] == "NoSuchEntity"


@pytest.mark.parametrize(
    "service, call, named",
    [
        ("sagemaker-runtime", lambda c: c.invoke_endpoint(EndpointName="e", Body=b"1,2"), "invocations"),
        (
            "sagemaker-featurestore-runtime",
            lambda c: c.get_record(FeatureGroupName="g", RecordIdentifierValueAsString="1"),
            "/FeatureGroup/g",
        ),
        ("athena", lambda c: c.list_work_groups(), "ListWorkGroups"),
        ("lambda", lambda c: c.list_functions(), "functions"),
    ],
)
def test_services_that_are_not_served_are_refused_by_name_and_on_record(server, service, call, named):
    with pytest.raises(ClientError) as refused:
        call(server.client(service))
    error = refused.value.response["Error"]
    assert error["Code"] == "UnknownOperationException", error
    assert named in error["Message"], error
    request_id = refused.value.response["ResponseMetadata"]["RequestId"]
    events = server.client("cloudtrail").lookup_events(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "UnknownOperation"}]
    )["Events"]
    assert any(request_id in event["CloudTrailEvent"] for event in events)
