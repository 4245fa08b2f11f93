"""Presigned URLs of signature version 2, as botocore's S3 clients make them by default.

Writes sigv2.json beside this file. Needs botocore (the output names the version used):

    python -m venv venv && venv/bin/pip install botocore && venv/bin/python oracles/sigv2.py
"""

import datetime
import json
import pathlib
import types
from urllib.parse import urlsplit

import botocore
import botocore.auth
import botocore.session
from botocore.auth import HmacV1Auth

NOW = datetime.datetime(2026, 11, 23, 19, 4, 49, tzinfo=datetime.timezone.utc)
KEY = "AKIDEXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = "IQoJb3JpZ2luX2VjE+a/b==" * 8
MD5 = "rL0Y20zC+Fzt72VPzMSk2A=="

botocore.auth.time = types.SimpleNamespace(time=NOW.timestamp)

signed_strings = []
sign_string = HmacV1Auth.sign_string


def remember(self, string_to_sign):
    signed_strings.append(string_to_sign)
    return sign_string(self, string_to_sign)


HmacV1Auth.sign_string = remember

cases = []


def client(region="us-east-1", token=None, endpoint="http://127.0.0.1:7070"):
    session = botocore.session.Session()
    session.set_credentials(KEY, SECRET, token)
    return session.create_client("s3", region_name=region, endpoint_url=endpoint)


def presign(made, operation, seconds=3600, sent=(), **arguments):
    """`sent` is what a client of the URL sends with it, beside what the URL itself says."""
    url = made.generate_presigned_url(operation, arguments, seconds)
    parts = urlsplit(url)
    if "AWSAccessKeyId=" not in parts.query:
        raise AssertionError(f"not version 2: {url}")
    string_to_sign = signed_strings.pop()
    cases.append(
        {
            "name": f"{operation} {len(cases)}",
            "method": string_to_sign.split("\n")[0],
            "target": f"{parts.path}?{parts.query}",
            "headers": [list(pair) for pair in sent],
            "string_to_sign": string_to_sign,
            "expires": int(NOW.timestamp()) + seconds,
        }
    )


def objects():
    us, eu, temporary = client(), client("eu-west-1"), client(token=TOKEN)
    here = {"Bucket": "bucket", "Key": "k"}
    presign(us, "get_object", **here)
    presign(us, "get_object", seconds=1, **here)
    presign(us, "get_object", seconds=30 * 86_400, **here)
    presign(eu, "get_object", **here)
    presign(client("ap-southeast-2", endpoint="http://localhost:7070"), "get_object", **here)
    presign(client(endpoint="https://sightline.internal"), "get_object", **here)
    presign(temporary, "get_object", **here)
    for key in [
        "a b/ü+c//../~(x)*'!&=?#%2F",
        "日本語/データ.csv",
        "train/part-00000.snappy.parquet",
        "a/./b/",
        "/leading",
        "$;:@,[]{}|\\^`\"<>",
        "acl",
    ]:
        presign(us, "get_object", Bucket="bucket", Key=key)
    presign(us, "get_object", VersionId="v+1/=", **here)
    presign(
        temporary,
        "get_object",
        VersionId="null",
        ResponseContentDisposition='attachment; filename="a&b = +.csv"',
        ResponseContentType="text/csv; charset=utf-8",
        ResponseContentLanguage="de",
        ResponseContentEncoding="gzip",
        ResponseCacheControl="no-cache, max-age=0",
        ResponseExpires=NOW,
        **here,
    )
    presign(us, "get_object", ResponseContentDisposition="attachment; filename*=UTF-8''%E2%82%AC ü", **here)
    presign(us, "get_object", RequestPayer="requester", PartNumber=2, **here)
    presign(us, "head_object", **here)
    presign(eu, "delete_object", VersionId="1", **here)
    presign(us, "get_object_tagging", **here)

    presign(us, "put_object", **here)
    presign(us, "put_object", ContentType="text/csv; charset=utf-8", **here)
    sent = [("content-type", "text/csv; charset=utf-8")]
    presign(us, "put_object", sent=sent, ContentType="text/csv; charset=utf-8", **here)
    metadata = {"Zebra": "1", "Note": "a  b", "empty": ""}
    presign(temporary, "put_object", Metadata=metadata, ContentMD5=MD5, ACL="private", **here)
    sent = [("x-amz-meta-note", " a  b "), ("content-md5", MD5), ("user-agent", "curl/8")]
    presign(temporary, "put_object", sent=sent, Metadata=metadata, ContentMD5=MD5, **here)
    presign(us, "copy_object", CopySource={"Bucket": "b", "Key": "ü k"}, **here)


def uploads_and_buckets():
    us, temporary = client(), client(token=TOKEN)
    here = {"Bucket": "bucket", "Key": "k"}
    upload = {"UploadId": "u-_.~/+=&", **here}
    presign(us, "create_multipart_upload", ContentType="text/plain", **here)
    presign(temporary, "upload_part", PartNumber=7, **upload)
    presign(us, "complete_multipart_upload", **upload)
    presign(us, "abort_multipart_upload", **upload)
    presign(us, "list_parts", MaxParts=5, PartNumberMarker=3, **upload)
    presign(us, "list_buckets")
    presign(us, "create_bucket", Bucket="bucket")
    presign(us, "head_bucket", Bucket="bucket")
    presign(us, "get_bucket_location", Bucket="bucket")
    presign(us, "list_objects", Bucket="bucket", Prefix="", Marker="a+b", MaxKeys=10)
    presign(temporary, "list_objects_v2", Bucket="bucket", Prefix="a b/ü", Delimiter="/", FetchOwner=True)
    presign(us, "list_object_versions", Bucket="bucket", KeyMarker="k", VersionIdMarker="v")
    presign(us, "delete_objects", Bucket="bucket", Delete={"Objects": [{"Key": "k"}]})


def parameters():
    """All names that S3's operations have in queries: their own words, and members."""
    model = client().meta.service_model
    words, members = set(), set()
    for name in model.operation_names:
        operation = model.operation_model(name)
        _, _, fixed = operation.http["requestUri"].partition("?")
        words.update(pair.partition("=")[0] for pair in fixed.split("&") if pair)
        shapes = operation.input_shape.members.values() if operation.input_shape else []
        members.update(
            shape.serialization["name"]
            for shape in shapes
            if shape.serialization.get("location") == "querystring"
        )
    return sorted(words), sorted(members)


def main():
    objects()
    uploads_and_buckets()
    words, members = parameters()
    document = {
        "made_by": f"oracles/sigv2.py with botocore {botocore.__version__}",
        "now": NOW.strftime("%Y%m%dT%H%M%SZ"),
        "access_key_id": KEY,
        "secret": SECRET,
        "token": TOKEN,
        "signed_parameters": sorted(set(HmacV1Auth.QSAOfInterest)),
        "operation_words": words,
        "member_parameters": members,
        "cases": cases,
    }
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    print(f"{len(cases)} cases")


main()
