"""The trail: delivered and signed so that the stock AWS CLI validates it, and sees every tampering."""

import datetime
import gzip
import json
import pathlib
import re
import subprocess
import sys

import pytest

from running import Server, clean_environment, until

AWS = pathlib.Path(sys.executable).parent / "aws"


class Trail:
    """A server whose digests cover two seconds each, and its trail."""

    def __init__(self, server):
        self.server = server
        self.s3 = server.client("s3")
        (trail,) = server.client("cloudtrail").describe_trails()["trailList"]
        self.arn, self.bucket = trail["TrailARN"], trail["S3BucketName"]
        self.start = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)

    def keys(self, part):
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return sorted(o["Key"] for page in pages for o in page.get("Contents", []) if part in o["Key"])

    def validate(self, end=None):
        """What `aws cloudtrail validate-logs` says, and whether it is content."""
        words = ["--trail-arn", self.arn, "--start-time", self.start.strftime("%Y-%m-%dT%H:%M:%SZ"), "--verbose"]
        done = subprocess.run(
            [str(AWS), "cloudtrail", "validate-logs", *words, *(["--end-time", end] if end else [])],
            capture_output=True, text=True, timeout=120, env=dict(clean_environment(), **self.server.variables),
        )
        return done.returncode, done.stdout + done.stderr

    def get(self, key):
        found = self.s3.get_object(Bucket=self.bucket, Key=key)
        return found["Body"].read(), found["Metadata"]

    def put(self, key, body, metadata):
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body, Metadata=metadata)


@pytest.fixture(scope="module")
def trail(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("trail") / "data"
    data_dir.mkdir()
    settings = "[activity]\ndelivery_seconds = 1\ndigest_seconds = 2\n"
    (data_dir / "sightline.toml").write_text(settings)
    server = Server(data_dir).start()
    trail = Trail(server)
    for number in range(4):
        server.client("sts").get_caller_identity()
        listing = lambda: len({digest for digest, _ in listed_files(trail)})  # noqa: E731
        until("a digest that lists a file", lambda: listing() > number, 30, 0.3)
    # From here on hours are long: what follows tampers with what is there.
    server.stop()
    (data_dir / "sightline.toml").write_text("")
    server.start()
    trail.s3 = server.client("s3")
    yield trail
    server.stop()


def listed_files(trail):
    try:
        digests = [json.loads(gzip.decompress(trail.get(key)[0])) for key in trail.keys("CloudTrail-Digest")]
    except trail.s3.exceptions.NoSuchBucket:
        return []
    return [(digest["digestS3Object"], file["s3Object"]) for digest in digests for file in digest["logFiles"]]


def test_the_stock_cli_finds_every_digest_and_log_file_valid(trail):
    code, said = trail.validate()
    assert code == 0, said
    valid, total = map(int, re.search(r"(\d+)/(\d+) digest files valid", said).groups())
    assert valid == total == len(trail.keys("CloudTrail-Digest"))
    valid, total = map(int, re.search(r"(\d+)/(\d+) log files valid", said).groups())
    assert valid == total == len(listed_files(trail)) >= 3
    assert "INVALID" not in said


def repacked(change):
    """A tampering that changes the text in a file."""
    return lambda trail, key: trail.put(
        key, gzip.compress(change(gzip.decompress(trail.get(key)[0]))), trail.get(key)[1]
    )


def reordered(text):
    log = json.loads(text)
    log["Records"].reverse()
    return json.dumps(log).encode()


def without_last(text):
    log = json.loads(text)
    log["Records"].pop()
    return json.dumps(log).encode()


def flipped(place):
    def tamper(trail, key):
        body, metadata = trail.get(key)
        at = int(len(body) * place)
        trail.put(key, body[:at] + bytes([body[at] ^ 1]) + body[at + 1:], metadata)
    return tamper


def removed(trail, key):
    trail.s3.delete_object(Bucket=trail.bucket, Key=key)


def unsigned(trail, key):
    trail.put(key, trail.get(key)[0], {})


def signed_otherwise(trail, key):
    body, metadata = trail.get(key)
    signature = metadata["signature"]
    other = ("0" if signature[0] != "0" else "1") + signature[1:]
    trail.put(key, body, dict(metadata, signature=other))


def swapped(trail, key):
    other = next(file for _, file in listed_files(trail) if file != key)
    trail.put(key, *trail.get(other))


def moved(trail, key):
    other = next(digest for digest in trail.keys("CloudTrail-Digest") if digest != key)
    trail.put(key, *trail.get(other))


@pytest.mark.parametrize(
    "kind, tamper",
    [
        ("log", flipped(0.5)),
        ("log", flipped(0.8)),
        ("log", repacked(lambda text: text.replace(b"Get", b"Got", 1))),
        ("log", repacked(lambda text: text + b" ")),
        ("log", repacked(without_last)),
        ("log", repacked(reordered)),
        ("log", removed),
        ("log", swapped),
        ("digest", flipped(0.5)),
        ("digest", repacked(lambda text: text.replace(b"hashValue", b"hashvalue", 1))),
        ("digest", repacked(lambda text: text.replace(b"Z", b"z", 1))),
        ("digest", removed),
        ("digest", unsigned),
        ("digest", signed_otherwise),
        ("digest", moved),
    ],
)
def test_the_stock_cli_sees_every_tampering(trail, kind, tamper):
    # Its walk begins with the newest digest, so that one's absence alone would not show to it.
    digest, log = listed_files(trail)[1]
    assert digest != trail.keys("CloudTrail-Digest")[-1]
    key = log if kind == "log" else digest
    body, metadata = trail.get(key)
    tamper(trail, key)
    try:
        code, said = trail.validate()
        assert code == 1 and "INVALID" in said, said
    finally:
        trail.put(key, body, metadata)
    code, said = trail.validate()
    assert code == 0, said


def test_the_trail_describes_itself(trail):
    cloudtrail = trail.server.client("cloudtrail")
    assert cloudtrail.get_trail(Name=trail.arn)["Trail"]["LogFileValidationEnabled"] is True
    status = cloudtrail.get_trail_status(Name="sightline")
    assert status["IsLogging"] and status["LatestDeliveryTime"] and status["LatestDigestDeliveryTime"]
    assert [t["TrailARN"] for t in cloudtrail.list_trails()["Trails"]] == [trail.arn]
    with pytest.raises(cloudtrail.exceptions.TrailNotFoundException):
        cloudtrail.get_trail(Name="another")
    (key,) = cloudtrail.list_public_keys()["PublicKeyList"]
    assert len(key["Fingerprint"]) == 32 and key["Value"]


def test_the_operators_commands_agree_with_the_stock_cli(trail):
    said = trail.server.command("audit", "verify").stdout
    assert re.search(r"\d+ events, \d+ log files and \d+ digests checked, 0 findings", said), said
    digest, log = listed_files(trail)[0]
    body, metadata = trail.get(log)
    flipped(0.5)(trail, log)
    done = trail.server.command("audit", "verify", check=False)
    assert done.returncode == 1 and "INVALID log file " + log in done.stdout
    trail.put(log, body, metadata)
    # What only the operator's verifier can see: the newest digest is gone.
    newest = trail.keys("CloudTrail-Digest")[-1]
    body, metadata = trail.get(newest)
    removed(trail, newest)
    done = trail.server.command("audit", "verify", check=False)
    assert done.returncode == 1 and "INVALID digest file " + newest in done.stdout
    trail.put(newest, body, metadata)
    assert "0 findings" in trail.server.command("audit", "verify").stdout


def test_events_are_exported_whole_and_in_order(trail):
    lines = trail.server.command("audit", "export").stdout.splitlines()
    numbers = [int(json.loads(line)["eventID"].replace("-", "")[:12], 16) for line in lines]
    assert numbers == list(range(1, len(lines) + 1))
    none = trail.server.command("audit", "export", "--to", "2020-01-01T00:00:00Z").stdout
    assert none == ""
    trail.server.client("sts").get_caller_identity()
    last = json.loads(trail.server.command("audit", "tail").stdout.splitlines()[-1])
    assert last["eventName"] == "GetCallerIdentity"


def test_a_rotated_key_signs_and_the_old_signatures_hold(trail):
    before = trail.server.client("cloudtrail").list_public_keys()["PublicKeyList"]
    trail.server.command("audit", "rotate-key")
    after = trail.server.client("cloudtrail").list_public_keys()["PublicKeyList"]
    assert before[0]["Fingerprint"] != after[0]["Fingerprint"]
    code, said = trail.validate()
    assert code == 0, said


def test_what_left_the_store_is_still_validated_in_the_bucket(tmp_path):
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    (data_dir / "sightline.toml").write_text(
        "[activity]\ndelivery_seconds = 1\ndigest_seconds = 1\nbytes_max = 200000\n"
    )
    server = Server(data_dir).start()
    try:
        s3 = server.client("s3")
        for _ in range(300):
            s3.list_buckets()
        exported = lambda: server.command("audit", "export").stdout.splitlines()  # noqa: E731
        until("the bound to hold", lambda: len("".join(exported())) <= 200_000, 30, 0.5)
        trail = Trail(server)
        code, said = trail.validate()
        assert code == 0 and "INVALID" not in said, said
        delivered = [trail.get(file)[0] for _, file in listed_files(trail)]
        names = [r["eventName"] for body in delivered for r in json.loads(gzip.decompress(body))["Records"]]
        assert names.count("ListBuckets") == 300
        said = server.command("audit", "verify").stdout
        assert re.search(r"has the events from number \d+ on, from .*Z on", said) and "0 findings" in said, said
        found = server.client("cloudtrail").lookup_events(
            LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "RemoveDeliveredEvents"}]
        )["Events"]
        assert found and found[0]["Username"] == "cloudtrail.amazonaws.com"
    finally:
        server.stop()
