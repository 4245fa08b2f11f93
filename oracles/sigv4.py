"""Signs varied requests with botocore's own signers and clients, at a frozen time.

Writes sigv4.json beside this file. Needs botocore (the output names the version used):

    python -m venv venv && venv/bin/pip install botocore && venv/bin/python oracles/sigv4.py
"""

import datetime
import io
import json
import pathlib
import re
import uuid
from urllib.parse import urlsplit

# Clients sign an identifier that they draw; the same one each time keeps the file the same.
uuid.uuid4 = lambda: uuid.UUID(int=7)

import botocore
import botocore.auth
import botocore.session
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

NOW = datetime.datetime(2026, 11, 23, 19, 4, 49, tzinfo=datetime.timezone.utc)
KEY = "AKIDEXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = "IQoJb3JpZ2luX2VjE+a/b==" * 8
HOST = "127.0.0.1:7070"

botocore.auth.get_current_datetime = lambda remove_tzinfo=True: (
    NOW.replace(tzinfo=None) if remove_tzinfo else NOW
)

cases = []


def record(name, method, url, headers, body):
    parts = urlsplit(url)
    target = parts.path or "/"
    if parts.query:
        target += "?" + parts.query
    pairs = [[key.lower(), text(value)] for key, value in headers]
    for pair in pairs:
        # It tells of this machine and is never signed.
        if pair[0] == "user-agent":
            pair[1] = "client"
    if not any(key == "host" for key, _ in pairs):
        pairs.append(["host", botocore.auth._host_from_url(url)])
    cases.append(
        {"name": name, "method": method, "target": target, "headers": pairs, "body": runs(body)}
    )


def runs(body):
    """A body as pairs of hexadecimal bytes and how often they follow each other."""
    pairs = []
    for match in re.finditer(rb"(.)\1{99,}|(?:(?!(.)\2{99,}).)+", body, re.DOTALL):
        run = match.group(1)
        pairs.append([run.hex(), len(match.group())] if run else [match.group().hex(), 1])
    return pairs


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def body_bytes(body):
    if body is None:
        return b""
    if hasattr(body, "read"):
        return body.read()
    return body if isinstance(body, bytes) else body.encode()


def sign(name, signer, method, url, *, headers=(), data=b"", params=None, context=None):
    request = AWSRequest(method=method, url=url, data=data, params=params)
    for key, value in headers:
        request.headers.add_header(key, value)
    request.context.update(context or {})
    signer.add_auth(request)
    final = request.prepare().url if params else request.url
    # Signing a query moves the form into it.
    record(name, method, final, request.headers.items(), body_bytes(request.data))


def keys(token=None):
    return Credentials(KEY, SECRET, token)


def plain(service, region="us-east-1", token=None):
    return botocore.auth.SigV4Auth(keys(token), service, region)


def s3(region="us-east-1", token=None):
    return botocore.auth.S3SigV4Auth(keys(token), "s3", region)


def query(service, region="us-east-1", token=None, expires=60):
    return botocore.auth.SigV4QueryAuth(keys(token), service, region, expires=expires)


def s3_query(region="us-east-1", token=None, expires=3600):
    return botocore.auth.S3SigV4QueryAuth(keys(token), "s3", region, expires=expires)


def signed_by_signers():
    base = f"http://{HOST}"
    target = [
        ("Content-Type", "application/x-amz-json-1.1"),
        ("X-Amz-Target", "SageMaker.ListTrainingJobs"),
    ]
    for service, region in [
        ("sagemaker", "us-east-1"),
        ("logs", "eu-west-1"),
        ("cloudtrail", "ap-southeast-2"),
        ("monitoring", "eu-central-1"),
        ("athena", "us-west-2"),
    ]:
        sign(f"json {service}", plain(service, region), "POST", base + "/", headers=target, data=b"{}")
    form = b"Action=GetCallerIdentity&Version=2011-06-15"
    kind = [("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")]
    sign("form", plain("sts"), "POST", base + "/", headers=kind, data=form)
    sign("form with token", plain("sts", token=TOKEN), "POST", base + "/", headers=kind, data=form)
    sign("date header", plain("iam"), "POST", base + "/", headers=[("Date", "now")], data=form)
    sign("large body", plain("sagemaker"), "POST", base + "/", headers=target, data=b"x" * 70_000)
    sign("binary body", plain("sagemaker"), "POST", base + "/", data=bytes(range(256)))

    paths = [
        "/a//b",
        "/a/../b",
        "/a/./b/",
        "/../..",
        "//",
        "/a%2Fb",
        "/a%20b",
        "/%E2%82%AC/%C3%BC",
        "/~user/-._",
        "/a+b",
        "/a%2Bb",
        "/a=b,c;d:e@f",
        "/endpoints/my-endpoint/invocations",
        "/a%252Fb",
        "/trailing/",
    ]
    for path in paths:
        sign(f"plain path {path}", plain("sagemaker"), "POST", base + path, data=b"body")
    # S3 paths as clients spell them: reserved bytes are escaped, except the slash.
    for path in paths:
        if "=" not in path and "+" not in path:
            sign(f"s3 path {path}", s3(), "GET", base + "/bucket" + path)
    sign("s3 reserved bytes", s3(), "GET", base + "/b/%21%27%28%29%2A%3D%40%3A%2C%3B%24%26%2B")

    queries = [
        "list-type=2&prefix=a%2Fb&delimiter=%2F",
        "uploads",
        "uploads=",
        "acl&versionId=1",
        "b=2&a=1&B=3&A=0",
        "a=2&a=1&a=&a",
        "a-b=1&a=2&a.b=3&a%20b=4",
        "key=%E2%82%AC&%C3%BC=1",
        "plus=%2B&space=%20&tilde=~&slash=%2F",
        "prefix=&marker=&max-keys=1000",
        "partNumber=1&uploadId=VXBsb2FkIElE.x-_y~z",
    ]
    for text_of_query in queries:
        sign(f"s3 query {text_of_query}", s3(), "GET", f"{base}/bucket?{text_of_query}")
        sign(f"plain query {text_of_query}", plain("sagemaker"), "GET", f"{base}/?{text_of_query}")
    # As parameters, botocore signs a space as %20 and sends it as +.
    sign("parameters", plain("monitoring"), "GET", base + "/", params={"a b": "c d+e", "z": "ü"})
    sign("parameters s3", s3(), "GET", base + "/bucket", params={"prefix": "my folder/x+y"})

    sign("many spaces", plain("sagemaker"), "GET", base + "/", headers=[("X-Amz-Meta-A", "  a   b  c ")])
    sign("tab", plain("sagemaker"), "GET", base + "/", headers=[("X-Amz-Meta-A", "a\t b")])
    sign("quoted", s3(), "PUT", base + "/b/k", headers=[("x-amz-meta-q", '"a  b"')], data=b"1")
    sign("empty header", s3(), "PUT", base + "/b/k", headers=[("x-amz-meta-e", "")], data=b"1")
    twice = [("X-Amz-Meta-B", "z"), ("x-amz-meta-b", " a "), ("X-Amz-Meta-A", "1")]
    sign("repeated header", s3(), "PUT", base + "/b/k", headers=twice, data=b"1")
    sign("unicode header", s3(), "PUT", base + "/b/k", headers=[("x-amz-meta-u", "grün")], data=b"1")
    extra = [("User-Agent", "u"), ("Expect", "100-continue"), ("Content-MD5", "rL0Y20zC+Fzt72VPzMSk2A==")]
    sign("unsigned extras", s3(), "PUT", base + "/b/k", headers=extra, data=b"foo")
    sign("delete", s3("eu-west-1"), "DELETE", base + "/bucket/key?versionId=null")
    sign("head with token", s3(token=TOKEN), "HEAD", base + "/bucket")
    sign("other port", s3(), "GET", "http://localhost:80/bucket")
    unsigned = {"payload_signing_enabled": False, "has_streaming_input": True}
    md5 = [("Content-MD5", "rL0Y20zC+Fzt72VPzMSk2A==")]
    sign("unsigned payload", s3(), "PUT", f"https://{HOST}/b/k", headers=md5, data=b"foo", context=unsigned)

    for seconds in (1, 900, 604_800):
        sign(f"presigned {seconds}", s3_query(expires=seconds), "GET", base + "/bucket/key")
    sign("presigned put", s3_query(), "PUT", base + "/bucket/a%20b%2Bc", data=b"")
    sign("presigned token", s3_query("eu-west-1", TOKEN), "GET", base + "/bucket/key?response-content-type=text%2Fplain")
    sign("presigned header", s3_query(), "PUT", base + "/b/k", headers=[("x-amz-acl", "private")])
    sign("presigned odd path", s3_query(), "GET", base + "/bucket/a//b/../c%2Fd")
    sign("presigned form", query("sts"), "GET", base + "/",
         data={"Action": "GetCallerIdentity", "Version": "2011-06-15", "Note": "a b"})
    sign("presigned cluster", query("sts", "eu-west-1", TOKEN), "GET",
         base + "/?Action=GetCallerIdentity&Version=2011-06-15", headers=[("x-k8s-aws-id", "c1")])
    sign("presigned path", query("execute-api"), "GET", base + "/a//b/../c%20d?x=1")


class Sent(Exception):
    """Stops a client before its socket."""


def signed_by_clients():
    """Requests that botocore's clients build and sign by themselves, up to the socket."""
    session = botocore.session.Session()
    session.set_credentials(KEY, SECRET, TOKEN)

    def client(service, region="us-east-1", scheme="http"):
        made = session.create_client(service, region_name=region, endpoint_url=f"{scheme}://{HOST}")
        made.meta.events.register("before-send.*", capture)
        return made

    pending = {}

    def capture(request, **_):
        record(
            pending["name"],
            request.method,
            request.url,
            request.headers.items(),
            body_bytes(request.body),
        )
        raise Sent

    def call(service, operation, region="us-east-1", scheme="http", **arguments):
        pending["name"] = f"client {service} {operation} {scheme} {len(cases)}"
        try:
            getattr(client(service, region, scheme), operation)(**arguments)
        except Sent:
            return
        raise AssertionError("the client sent nothing")

    call("sts", "get_caller_identity")
    call("iam", "get_role", region="eu-west-1", RoleName="sightline")
    call("sagemaker", "list_training_jobs", NameContains="x", MaxResults=5)
    call("sagemaker", "describe_endpoint", region="eu-west-1", EndpointName="e")
    call("sagemaker-runtime", "invoke_endpoint", EndpointName="my-endpoint", Body=b"1,2",
         ContentType="text/csv", CustomAttributes="a=b; c")
    call("sagemaker-featurestore-runtime", "get_record", FeatureGroupName="g",
         RecordIdentifierValueAsString="a b/ü+~", FeatureNames=["x", "y"])
    call("logs", "get_log_events", logGroupName="/aws/sagemaker/TrainingJobs", logStreamName="j/algo-1-1")
    call("cloudtrail", "lookup_events")
    call("cloudwatch", "list_metrics", Namespace="/aws/sagemaker")
    call("s3", "list_buckets")
    call("s3", "create_bucket", region="eu-west-1", Bucket="bucket",
         CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    call("s3", "list_objects_v2", Bucket="bucket", Prefix="a b/ü+~'()*!", Delimiter="/")
    call("s3", "get_object", Bucket="bucket", Key="a b//ü+~'()*!/../%2F:@=,;$&?#", Range="bytes=0-9")
    call("s3", "put_object", Bucket="bucket", Key="k", Body=b"hello", Metadata={"note": "a  b"})
    call("s3", "put_object", scheme="https", Bucket="bucket", Key="k", Body=b"hello" * 10)
    call("s3", "put_object", scheme="https", Bucket="bucket", Key="k", Body=b"")
    call("s3", "upload_part", scheme="https", Bucket="bucket", Key="k", PartNumber=2,
         UploadId="u-_.~/+=", Body=io.BytesIO(b"z" * 1_100_000), ChecksumAlgorithm="SHA256")
    call("s3", "copy_object", Bucket="bucket", Key="k", CopySource={"Bucket": "b", "Key": "ü k"})
    call("s3", "delete_objects", Bucket="bucket", Delete={"Objects": [{"Key": "a&b"}]})

    # Without this, botocore falls back to signature version 2 for presigned URLs.
    presigned = session.create_client(
        "s3", region_name="eu-west-1", endpoint_url=f"http://{HOST}",
        config=Config(signature_version="s3v4"),
    )
    url = presigned.generate_presigned_url("get_object", {"Bucket": "bucket", "Key": "a b/ü+c"})
    record("client presigned get", "GET", url, [], b"")
    url = presigned.generate_presigned_url(
        "upload_part", {"Bucket": "bucket", "Key": "k", "PartNumber": 1, "UploadId": "u/="}, 604_800
    )
    record("client presigned part", "PUT", url, [], b"anything")
    url = client("sts").generate_presigned_url("get_caller_identity", HttpMethod="GET")
    record("client presigned identity", "GET", url, [], b"")


def main():
    signed_by_signers()
    signed_by_clients()
    document = {
        "made_by": f"oracles/sigv4.py with botocore {botocore.__version__}",
        "now": NOW.strftime("%Y%m%dT%H%M%SZ"),
        "secret": SECRET,
        "token": TOKEN,
        "cases": cases,
    }
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    print(f"{len(cases)} cases")


main()
