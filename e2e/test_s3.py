"""Objects and buckets as boto3 and the AWS command line use them."""

import hashlib
import io
import os
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest
import requests
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

from work import unique

ODD_KEYS = [
    "plain.txt",
    "with space.txt",
    "plus+and&and=and?.txt",
    "percent%20%2F.txt",
    "ünïcødé/数据/🙂.csv",
    "a//double//slash",
    "trailing/slash/",
    "dots/../are/./names",
    "quote'\"<>.xml",
    "semi;colon,comma:colon",
    "tilde~star*bang!(paren)",
    "x" * 1024,
]


@pytest.fixture
def s3(server):
    return server.client("s3")


@pytest.fixture
def bucket(server, s3):
    name = unique("bucket")
    s3.create_bucket(Bucket=name)
    return name


def error_of(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]


@pytest.mark.parametrize("key", ODD_KEYS)
def test_a_key_comes_back_as_it_went(s3, bucket, key):
    body = key.encode() * 3
    put = s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="text/x-odd", Metadata={"a": "b c"})
    got = s3.get_object(Bucket=bucket, Key=key)
    assert got["Body"].read() == body
    assert (got["ContentType"], got["Metadata"], got["ContentLength"]) == ("text/x-odd", {"a": "b c"}, len(body))
    assert put["ETag"] == got["ETag"] == '"%s"' % hashlib.md5(body).hexdigest()
    head = s3.head_object(Bucket=bucket, Key=key)
    assert (head["ContentLength"], head["ETag"]) == (len(body), put["ETag"])
    for listing in (s3.list_objects_v2, s3.list_objects):
        assert [item["Key"] for item in listing(Bucket=bucket)["Contents"]] == [key]
    s3.delete_object(Bucket=bucket, Key=key)
    assert error_of(s3.get_object, Bucket=bucket, Key=key)["Code"] == "NoSuchKey"


@pytest.mark.parametrize("size", [0, 1, 65536, 5 * 1024 * 1024 + 7])
def test_a_body_of_any_size_comes_back(s3, bucket, size):
    body = os.urandom(size)
    s3.put_object(Bucket=bucket, Key="k", Body=body)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == body


def test_the_last_of_two_writes_stays(s3, bucket):
    for body in (b"long first body", b"short"):
        s3.put_object(Bucket=bucket, Key="k", Body=body)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"short"


@pytest.mark.parametrize(
    "asked, want, content_range",
    [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=4-", b"456789", "bytes 4-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=8-99", b"89", "bytes 8-9/10"),
        ("bytes=-99", b"0123456789", "bytes 0-9/10"),
    ],
)
def test_a_range_gives_those_bytes(s3, bucket, asked, want, content_range):
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    got = s3.get_object(Bucket=bucket, Key="k", Range=asked)
    assert got["Body"].read() == want
    assert got["ContentRange"] == content_range
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206


def test_a_range_outside_the_object_is_refused(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    assert error_of(s3.get_object, Bucket=bucket, Key="k", Range="bytes=10-")["Code"] == "InvalidRange"


def test_twenty_megabytes_travel_in_parts(s3, bucket, tmp_path):
    body = os.urandom(20 * 1024 * 1024)
    config = TransferConfig(multipart_threshold=8 << 20, multipart_chunksize=8 << 20)
    s3.upload_fileobj(io.BytesIO(body), bucket, "big", Config=config)
    head = s3.head_object(Bucket=bucket, Key="big")
    parts = [body[start : start + (8 << 20)] for start in range(0, len(body), 8 << 20)]
    of_parts = hashlib.md5(b"".join(hashlib.md5(part).digest() for part in parts)).hexdigest()
    assert head["ETag"] == '"%s-%d"' % (of_parts, len(parts))
    assert head["ContentLength"] == len(body)
    s3.download_file(bucket, "big", str(tmp_path / "big"), Config=config)
    assert (tmp_path / "big").read_bytes() == body


def test_an_upload_in_parts_is_invisible_until_it_is_complete(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", ContentType="text/parts", Metadata={"m": "1"})["UploadId"]
    first = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"a" * (5 << 20))
    last = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=7, Body=b"end")
    assert error_of(s3.get_object, Bucket=bucket, Key="k")["Code"] == "NoSuchKey"
    listed = s3.list_parts(Bucket=bucket, Key="k", UploadId=upload)["Parts"]
    assert [(p["PartNumber"], p["Size"], p["ETag"]) for p in listed] == [
        (1, 5 << 20, first["ETag"]), (7, 3, last["ETag"]),
    ]
    parts = [{"PartNumber": 1, "ETag": first["ETag"]}, {"PartNumber": 7, "ETag": last["ETag"]}]
    s3.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": parts})
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == b"a" * (5 << 20) + b"end"
    assert (got["ContentType"], got["Metadata"]) == ("text/parts", {"m": "1"})
    assert error_of(s3.list_parts, Bucket=bucket, Key="k", UploadId=upload)["Code"] == "NoSuchUpload"


def test_parts_must_be_those_that_were_uploaded(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"x")
    small = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=2, Body=b"y")
    def complete(*parts):
        entries = [{"PartNumber": number, "ETag": etag} for number, etag in parts]
        return error_of(
            s3.complete_multipart_upload, Bucket=bucket, Key="k", UploadId=upload,
            MultipartUpload={"Parts": entries},
        )["Code"]

    assert complete((1, '"00000000000000000000000000000000"')) == "InvalidPart"
    assert complete((3, part["ETag"])) == "InvalidPart"
    assert complete((2, small["ETag"]), (1, part["ETag"])) == "InvalidPartOrder"
    assert complete((1, part["ETag"]), (2, small["ETag"])) == "EntityTooSmall"
    s3.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload)
    assert complete((1, part["ETag"])) == "NoSuchUpload"


def test_lists_come_in_pages_in_byte_order(s3, bucket):
    keys = sorted(["a/%02d" % n for n in range(7)] + ["b", "a", "Z", "ä", "a-"], key=str.encode)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda key: s3.put_object(Bucket=bucket, Key=key, Body=b"x"), keys))
    for operation in ("list_objects_v2", "list_objects"):
        pages = list(s3.get_paginator(operation).paginate(Bucket=bucket, PaginationConfig={"PageSize": 5}))
        assert [item["Key"] for page in pages for item in page["Contents"]] == keys, operation
        assert [len(page["Contents"]) for page in pages] == [5, 5, 2], operation
        assert [page["IsTruncated"] for page in pages] == [True, True, False], operation
    page = s3.list_objects_v2(Bucket=bucket, Prefix="a", Delimiter="/")
    assert [item["Key"] for item in page["Contents"]] == ["a", "a-"]
    assert [item["Prefix"] for item in page["CommonPrefixes"]] == ["a/"]
    assert page["KeyCount"] == 3
    after = s3.list_objects_v2(Bucket=bucket, StartAfter="a/05")
    assert [item["Key"] for item in after["Contents"]] == ["a/06", "b", "ä"]


def test_missing_things_are_missing_in_s3s_words(s3, bucket):
    nowhere = unique("nowhere")
    assert error_of(s3.get_object, Bucket=nowhere, Key="k")["Code"] == "NoSuchBucket"
    assert error_of(s3.put_object, Bucket=nowhere, Key="k", Body=b"")["Code"] == "NoSuchBucket"
    assert error_of(s3.list_objects_v2, Bucket=nowhere)["Code"] == "NoSuchBucket"
    missing = error_of(s3.head_bucket, Bucket=nowhere)
    assert (missing["Code"], missing["Message"]) == ("404", "Not Found")
    assert error_of(s3.head_object, Bucket=bucket, Key="k")["Code"] == "404"
    s3.delete_object(Bucket=bucket, Key="never-there")


def test_a_bucket_is_made_once_and_listed(server, s3, bucket):
    names = [entry["Name"] for entry in s3.list_buckets()["Buckets"]]
    assert bucket in names and names == sorted(names)
    s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=server.account)
    assert error_of(s3.head_bucket, Bucket=bucket, ExpectedBucketOwner="000000000000")["Code"] == "403"
    for wrong in ("UPPER", "ab", "under_score", "192.168.0.1"):
        again = server.client("s3")
        again.meta.events.unregister("before-parameter-build.s3.CreateBucket")
        assert error_of(again.create_bucket, Bucket=wrong)["Code"] == "InvalidBucketName", wrong


def test_a_wrong_checksum_is_refused_and_changes_nothing(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"good")
    error = error_of(s3.put_object, Bucket=bucket, Key="k", Body=b"bad", ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==")
    assert error["Code"] == "BadDigest"
    error = error_of(s3.put_object, Bucket=bucket, Key="k", Body=b"bad", ChecksumCRC32="AAAAAA==")
    assert error["Code"] in ("BadDigest", "InvalidRequest")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"good"


def test_writers_of_many_keys_and_of_one_key_do_not_disturb_each_other(server, bucket):
    """Whatever order the writers take, a reader sees one whole body."""
    clients = [server.client("s3") for _ in range(4)]
    bodies = [bytes([65 + n]) * 200_000 for n in range(4)]

    def write(n):
        for turn in range(8):
            clients[n].put_object(Bucket=bucket, Key="one", Body=bodies[n])
            clients[n].put_object(Bucket=bucket, Key="many/%d-%d" % (n, turn), Body=bodies[n])
            assert clients[n].get_object(Bucket=bucket, Key="one")["Body"].read() in bodies

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    listed = clients[0].list_objects_v2(Bucket=bucket, Prefix="many/")
    assert listed["KeyCount"] == 32
    assert {item["Size"] for item in listed["Contents"]} == {200_000}


def test_the_aws_command_line_copies_and_lists(server, bucket, tmp_path):
    aws = str(Path(sys.executable).parent / "aws")

    def run(*arguments):
        done = server.run(aws, *arguments, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    small, big = tmp_path / "small file.txt", tmp_path / "big.bin"
    small.write_bytes(b"small")
    big.write_bytes(os.urandom(20 << 20))
    run("s3", "cp", small, "s3://%s/in/small file.txt" % bucket)
    run("s3", "cp", big, "s3://%s/in/big.bin" % bucket)
    listing = run("s3", "ls", "s3://%s/in/" % bucket).splitlines()
    assert [line.split(None, 2)[2] for line in listing] == ["20971520 big.bin", "       5 small file.txt".strip()]
    assert "PRE in/" in run("s3", "ls", "s3://" + bucket)
    assert bucket in run("s3", "ls")
    run("s3", "sync", "s3://%s/in" % bucket, tmp_path / "out")
    assert (tmp_path / "out" / "big.bin").read_bytes() == big.read_bytes()
    assert (tmp_path / "out" / "small file.txt").read_bytes() == b"small"
    run("s3", "rm", "s3://%s/in/small file.txt" % bucket)
    assert "small file.txt" not in run("s3", "ls", "s3://%s/in/" % bucket)


def test_versions_come_and_go_as_on_aws(s3, bucket):
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    assert "VersionId" not in s3.put_object(Bucket=bucket, Key="k", Body=b"zero")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    one = s3.put_object(Bucket=bucket, Key="k", Body=b"one")["VersionId"]
    two = s3.put_object(Bucket=bucket, Key="k", Body=b"two")["VersionId"]
    read = lambda **version: s3.get_object(Bucket=bucket, Key="k", **version)["Body"].read()
    assert (read(), read(VersionId=one), read(VersionId="null")) == (b"two", b"one", b"zero")
    marker = s3.delete_object(Bucket=bucket, Key="k")
    assert marker["DeleteMarker"]
    assert error_of(s3.get_object, Bucket=bucket, Key="k")["Code"] == "NoSuchKey"
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, PaginationConfig={"PageSize": 1})
    pages = list(pages)
    versions = [version for page in pages for version in page.get("Versions", [])]
    assert [version["VersionId"] for version in versions] == [two, one, "null"]
    assert [m["IsLatest"] for page in pages for m in page.get("DeleteMarkers", [])] == [True]
    s3.delete_object(Bucket=bucket, Key="k", VersionId=marker["VersionId"])
    assert read() == b"two"
    named = [{"Key": "k", "VersionId": version} for version in (one, two, "null")]
    done = s3.delete_objects(Bucket=bucket, Delete={"Objects": named})
    assert len(done["Deleted"]) == 3 and "Errors" not in done
    s3.delete_bucket(Bucket=bucket)


def test_copies_of_any_size_keep_what_is_said_of_them(s3, bucket):
    body = os.urandom(20 * 1024 * 1024 + 3)
    said = {"ContentType": "text/x-odd", "Metadata": {"a": "b"}, "Tagging": "team=fraud&x=a%20b"}
    s3.put_object(Bucket=bucket, Key="from/ü +%", Body=body, **said)
    source = {"Bucket": bucket, "Key": "from/ü +%"}
    s3.copy_object(Bucket=bucket, Key="to", CopySource=source)
    s3.copy(source, bucket, "in parts", Config=TransferConfig(multipart_threshold=1, multipart_chunksize=5 * 1024 * 1024))
    s3.delete_object(Bucket=bucket, Key=source["Key"])
    for key in ("to", "in parts"):
        got = s3.get_object(Bucket=bucket, Key=key)
        assert got["Body"].read() == body
    got = s3.head_object(Bucket=bucket, Key="to")
    assert (got["ContentType"], got["Metadata"]) == ("text/x-odd", {"a": "b"})
    tags = s3.get_object_tagging(Bucket=bucket, Key="to")["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"team": "fraud", "x": "a b"}


def test_tags_are_set_and_taken_away(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    tags = [{"Key": "a", "Value": "1"}, {"Key": "ü", "Value": ""}]
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": tags})
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == tags
    s3.delete_object_tagging(Bucket=bucket, Key="k")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags
    s3.delete_bucket_tagging(Bucket=bucket)
    assert error_of(s3.get_bucket_tagging, Bucket=bucket)["Code"] == "NoSuchTagSet"


@pytest.mark.parametrize("version", [None, "s3v4"])
def test_a_form_uploads_what_its_policy_allows(server, bucket, version):
    s3 = server.client("s3", config=Config(signature_version=version) if version else None)
    fields = {"Content-Type": "text/csv", "success_action_status": "201"}
    conditions = [{"Content-Type": "text/csv"}, {"success_action_status": "201"}, ["content-length-range", 1, 10]]
    post = s3.generate_presigned_post(bucket, "in/${filename}", Fields=fields, Conditions=conditions)
    send = lambda body: requests.post(post["url"], data=post["fields"], files={"file": ("a.csv", body)}, timeout=30)
    sent = send(b"x,y")
    assert (sent.status_code, "<Key>in/a.csv</Key>" in sent.text) == (201, True), sent.text
    got = s3.get_object(Bucket=bucket, Key="in/a.csv")
    assert (got["Body"].read(), got["ContentType"]) == (b"x,y", "text/csv")
    assert "EntityTooLarge" in send(b"x" * 11).text
    post["fields"]["key"] = "out/a.csv"
    assert "AccessDenied" in send(b"x,y").text


def test_a_bucket_may_be_named_by_the_host(server, s3, bucket, monkeypatch):
    # Not every resolver knows names below localhost, so this test does.
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: resolve("127.0.0.1", *rest, **more))
    s3.put_object(Bucket=bucket, Key="a//b c", Body=b"hello")
    virtual = boto3.client(
        "s3",
        endpoint_url=server.url.replace("127.0.0.1", "localhost"),
        aws_access_key_id=server.variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=server.variables["AWS_SECRET_ACCESS_KEY"],
        region_name=server.region,
        config=Config(s3={"addressing_style": "virtual"}),
    )
    hosts = []
    virtual.meta.events.register("before-send", lambda request, **_: hosts.append(urlsplit(request.url).netloc))
    assert virtual.get_object(Bucket=bucket, Key="a//b c")["Body"].read() == b"hello"
    assert [item["Key"] for item in virtual.list_objects_v2(Bucket=bucket)["Contents"]] == ["a//b c"]
    assert hosts[0].startswith(f"{bucket}.localhost:")
    url = virtual.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a//b c"})
    assert requests.get(url, timeout=30).content == b"hello"


def test_what_no_bucket_has_is_said_not_to_be_configured(s3, bucket):
    asked = {
        "get_bucket_cors": "NoSuchCORSConfiguration",
        "get_bucket_lifecycle_configuration": "NoSuchLifecycleConfiguration",
        "get_bucket_encryption": "ServerSideEncryptionConfigurationNotFoundError",
        "get_public_access_block": "NoSuchPublicAccessBlockConfiguration",
    }
    for method, code in asked.items():
        assert error_of(getattr(s3, method), Bucket=bucket)["Code"] == code
    acl = s3.get_bucket_acl(Bucket=bucket)
    assert [grant["Permission"] for grant in acl["Grants"]] == ["FULL_CONTROL"]
    refused = error_of(s3.put_bucket_acl, Bucket=bucket, ACL="public-read")
    assert refused["Code"] == "AccessControlListNotSupported"
    rules = {"Rules": [{"ID": "a", "Status": "Enabled", "Filter": {}, "Expiration": {"Days": 1}}]}
    refused = error_of(s3.put_bucket_lifecycle_configuration, Bucket=bucket, LifecycleConfiguration=rules)
    assert refused["Code"] == "NotImplemented"
