"""Wrong signatures get the error that SDKs understand at once."""

import datetime
import http.client
import time
import urllib.error
import urllib.parse
import urllib.request

import botocore.auth
import pytest
from botocore.config import Config
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


def at(address, method="GET", body=None):
    """Asks for an address with no header of one's own, as `curl` and `requests` do."""
    parts = urllib.parse.urlsplit(address)
    connection = http.client.HTTPConnection(parts.netloc)
    connection.request(method, parts.path + "?" + parts.query, body)
    response = connection.getresponse()
    return response.status, response.read()


@pytest.fixture(params=[None, "s3v4"], ids=["botocores-default", "version-4"])
def signing(server, request):
    """An S3 client that presigns in one of the two ways, and a bucket."""
    return server.client("s3", config=Config(signature_version=request.param)), bucket_of(server)


def test_presigned_addresses_work_until_they_expire(signing, monkeypatch):
    s3, bucket = signing
    wanted = {"Bucket": bucket, "Key": "signed/ä b+c"}
    assert at(s3.generate_presigned_url("put_object", wanted, 60), "PUT", b"by address")[0] == 200
    address = s3.generate_presigned_url("get_object", wanted, 60)
    assert at(address) == (200, b"by address")
    assert at(s3.generate_presigned_url("head_object", wanted, 60), "HEAD") == (200, b"")

    real, past = botocore.auth.get_current_datetime, datetime.timedelta(minutes=-5)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *a, **k: real(*a, **k) + past)
    monkeypatch.setattr(botocore.auth.time, "time", lambda now=time.time: now() - 300)
    status, body = at(s3.generate_presigned_url("get_object", wanted, 60))
    assert status == 403
    assert b"<Code>AccessDenied</Code>" in body and b"Request has expired" in body


def test_a_presigned_address_is_good_for_its_own_object_and_method_only(signing):
    s3, bucket = signing
    for key in ("mine", "other"):
        s3.put_object(Bucket=bucket, Key="own/" + key, Body=key.encode())
    address = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "own/mine"}, 60)
    assert at(address) == (200, b"mine")
    for changed in ((address.replace("own/mine", "own/other"),), (address, "PUT", b"x"), (address, "DELETE")):
        status, body = at(*changed)
        assert status == 403 and b"<Code>SignatureDoesNotMatch</Code>" in body, body
    assert at(address) == (200, b"mine")


def test_a_form_put_to_a_presigned_address_is_an_object(server):
    """A body whose kind says `form` is an object like any other, not a query."""
    s3, bucket = server.client("s3", config=Config(signature_version="s3v4")), bucket_of(server)
    address = s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "form"}, 60)
    urllib.request.urlopen(urllib.request.Request(address, data=b"Action=x&b=c", method="PUT"))
    got = s3.get_object(Bucket=bucket, Key="form")
    assert got["Body"].read() == b"Action=x&b=c"
    assert got["ContentType"] == "application/x-www-form-urlencoded"
