"""Wrong signatures get the error that SDKs understand at once."""

import datetime
import urllib.error
import urllib.request

import botocore.auth
import pytest
from botocore.exceptions import ClientError

from work import bucket_of

ASK = {
    "sagemaker": lambda client: client.list_training_jobs(),
    "logs": lambda client: client.describe_log_groups(),
    "cloudtrail": lambda client: client.lookup_events(),
    "sts": lambda client: client.get_caller_identity(),
    "iam": lambda client: client.get_role(RoleName="x"),
    "s3": lambda client: client.list_buckets(),
}
JSON_SERVICES = ["sagemaker", "logs", "cloudtrail"]


def refusal(service, client):
    with pytest.raises(ClientError) as caught:
        ASK[service](client)
    response = caught.value.response
    assert response["ResponseMetadata"]["RequestId"], response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def check_codes(server, codes, **credentials):
    for service in ASK:
        client = server.client(service, **credentials)
        family = service if service in codes else "json" if service in JSON_SERVICES else "query"
        assert refusal(service, client) == codes[family], service


def test_every_service_answers_a_good_signature(server):
    for service in ["sagemaker", "logs", "cloudtrail", "sts", "s3"]:
        answer = ASK[service](server.client(service))
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200, service


def test_an_unknown_key_is_named_as_such(server):
    codes = {
        "json": ("UnrecognizedClientException", 400),
        "query": ("InvalidClientTokenId", 403),
        "s3": ("InvalidAccessKeyId", 403),
    }
    check_codes(server, codes, key="AKIAIOSFODNN7EXAMPLE")


def test_a_wrong_secret_does_not_match(server):
    codes = {
        "json": ("InvalidSignatureException", 400),
        "query": ("SignatureDoesNotMatch", 403),
        "s3": ("SignatureDoesNotMatch", 403),
    }
    check_codes(server, codes, secret="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_skewed_clock_is_named_as_such(server, monkeypatch, hours):
    real = botocore.auth.get_current_datetime
    skew = datetime.timedelta(hours=hours)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *a, **k: real(*a, **k) + skew)
    codes = {
        "json": ("InvalidSignatureException", 400),
        "query": ("SignatureDoesNotMatch", 403),
        "s3": ("RequestTimeTooSkewed", 403),
    }
    check_codes(server, codes)


def test_a_request_without_a_signature_is_refused(server):
    for path in ["/", "/some-bucket", "/some-bucket/some/key"]:
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(server.url + path)
        assert caught.value.code in (400, 403), path
        assert b"<html" not in caught.value.read().lower()


def test_a_changed_body_does_not_match(server):
    """The signature covers what was sent, not only who sent it."""
    sagemaker = server.client("sagemaker")

    def change(request, **_):
        request.body = request.body.replace(b"10", b"11")

    sagemaker.meta.events.register("before-send.sagemaker.ListTrainingJobs", change)
    with pytest.raises(ClientError) as caught:
        sagemaker.list_training_jobs(MaxResults=10)
    assert caught.value.response["Error"]["Code"] == "InvalidSignatureException"


def test_presigned_addresses_work_until_they_expire(server, monkeypatch):
    s3, bucket = server.client("s3"), bucket_of(server)
    put = s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "signed/ä b+c"}, 60)
    urllib.request.urlopen(urllib.request.Request(put, data=b"by address", method="PUT"))
    get = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "signed/ä b+c"}, 60)
    assert urllib.request.urlopen(get).read() == b"by address"

    real = botocore.auth.get_current_datetime
    past = datetime.timedelta(minutes=-5)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *a, **k: real(*a, **k) + past)
    expired = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "signed/ä b+c"}, 60)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(expired)
    body = caught.value.read()
    assert caught.value.code == 403
    assert b"<Code>AccessDenied</Code>" in body and b"Request has expired" in body


def test_a_presigned_address_is_good_for_its_own_object_only(server):
    s3, bucket = server.client("s3"), bucket_of(server)
    for key in ("mine", "other"):
        s3.put_object(Bucket=bucket, Key="own/" + key, Body=key.encode())
    address = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "own/mine"}, 60)
    assert urllib.request.urlopen(address).read() == b"mine"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(address.replace("own/mine", "own/other"))
    assert b"<Code>SignatureDoesNotMatch</Code>" in caught.value.read()
