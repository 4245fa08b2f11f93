"""A server whose objects' bytes lie in a bucket of another server."""

import subprocess

import pytest
from botocore.exceptions import ClientError

from running import BINARY, Server, clean_environment

LARGE = bytes(range(256)) * 60_000


@pytest.fixture
def pair(tmp_path, own_server):
    """The server with the bucket, and one that keeps its bytes there."""
    bucket = own_server.client("s3").list_buckets()["Buckets"][0]["Name"]
    data = tmp_path / "front"
    data.mkdir()
    (data / "sightline.toml").write_text(
        "[objects]\nstore = 's3'\ns3_endpoint = '%s'\ns3_bucket = '%s'\ns3_prefix = 'team'\n"
        "s3_access_key_id = '%s'\ns3_secret_access_key = '%s'\n" % (
            own_server.url, bucket, own_server.variables["AWS_ACCESS_KEY_ID"],
            own_server.variables["AWS_SECRET_ACCESS_KEY"]))
    front = Server(data).start()
    yield front, own_server, bucket
    front.stop()


def sizes(back, bucket):
    """How large what the other server keeps is; the files of the trail are there too."""
    listed = back.client("s3").list_objects_v2(Bucket=bucket, Prefix="team/blobs/")
    return [entry["Size"] for entry in listed.get("Contents", [])]


def test_objects_live_in_the_other_server_and_survive_both(pair):
    front, back, bucket = pair
    s3 = front.client("s3")
    own = s3.list_buckets()["Buckets"][0]["Name"]
    s3.put_object(Bucket=own, Key="large", Body=LARGE, Metadata={"who": "me"})
    assert len(LARGE) in sizes(back, bucket)
    front.kill()
    front.start()
    s3 = front.client("s3")
    got = s3.get_object(Bucket=own, Key="large")
    assert got["Body"].read() == LARGE and got["Metadata"] == {"who": "me"}
    part = s3.get_object(Bucket=own, Key="large", Range="bytes=5000000-5000099")["Body"].read()
    assert part == LARGE[5_000_000:5_000_100]
    s3.delete_object(Bucket=own, Key="large")
    assert len(LARGE) not in sizes(back, bucket)


def test_while_the_other_server_is_away_nothing_is_claimed(pair):
    front, back, bucket = pair
    s3 = front.client("s3")
    own = s3.list_buckets()["Buckets"][0]["Name"]
    s3.put_object(Bucket=own, Key="kept", Body=LARGE)
    back.stop()
    for refused in (
        lambda: s3.put_object(Bucket=own, Key="lost", Body=LARGE),
        lambda: s3.get_object(Bucket=own, Key="kept"),
    ):
        with pytest.raises(ClientError) as failed:
            refused()
        assert failed.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket=own)["Contents"]]
    assert [key for key in keys if not key.startswith("AWSLogs/")] == ["kept"]
    said = front.log.read_text()
    assert back.variables["AWS_SECRET_ACCESS_KEY"] not in said


def test_a_bucket_that_cannot_be_used_stops_the_start_and_says_why(tmp_path):
    def serve(settings):
        data = tmp_path / "data"
        data.mkdir(exist_ok=True)
        (data / "sightline.toml").write_text("[objects]\nstore = 's3'\n" + settings)
        return subprocess.run(
            [BINARY, "serve", "--listen", "127.0.0.1:0", "--data-dir", str(data)],
            capture_output=True, text=True, timeout=60, env=clean_environment())

    served = serve("s3_bucket = 'b'\n")
    assert served.returncode == 1
    assert 'objects.store = "s3" needs objects.s3_endpoint too' in served.stderr
    served = serve(
        "s3_endpoint = 'http://127.0.0.1:9'\ns3_bucket = 'b'\ns3_access_key_id = 'AK'\n"
        "s3_secret_access_key = 'not-to-be-told'\n")
    assert served.returncode == 1
    assert "could not use the bucket that objects.s3_endpoint and objects.s3_bucket name" in served.stderr
    assert "not-to-be-told" not in served.stdout + served.stderr
