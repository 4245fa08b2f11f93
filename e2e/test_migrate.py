"""From a file to PostgreSQL: everything arrives, the file stays as it was, and the way is encrypted."""

import json
import sqlite3

import pytest

from database import Database
from running import Server
from work import unique


def rows_of(data_dir):
    """Everything that the file of the metadata holds."""
    with sqlite3.connect(data_dir / "meta.sqlite") as file:
        return list(file.iterdump())


@pytest.fixture
def filled(tmp_path):
    """A server that has a bit of everything, and what it says of it."""
    server = Server(tmp_path / "data").start()
    s3, iam = server.client("s3"), server.client("iam")
    bucket = unique("moved")
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for number in range(250):
        s3.put_object(Bucket=bucket, Key="k/%03d" % number, Body=b"x" * number)
    s3.put_object(Bucket=bucket, Key="k/001", Body="caf\u00e9 \U0001f600".encode(), Metadata={"a": "b"})
    upload = s3.create_multipart_upload(Bucket=bucket, Key="half")["UploadId"]
    s3.upload_part(Bucket=bucket, Key="half", UploadId=upload, PartNumber=1, Body=b"part")
    iam.create_user(UserName="mover")
    allowed = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_user_policy(UserName="mover", PolicyName="p", PolicyDocument=policy)
    key = iam.create_access_key(UserName="mover")["AccessKey"]
    server.key, server.bucket, server.upload = key, bucket, upload
    yield server
    server.stop()


def state(server):
    """What its clients see of the server."""
    key = server.key
    s3 = server.client("s3", key["AccessKeyId"], key["SecretAccessKey"])
    versions = s3.list_object_versions(Bucket=server.bucket)["Versions"]
    parts = s3.list_parts(Bucket=server.bucket, Key="half", UploadId=server.upload)["Parts"]
    head = s3.get_object(Bucket=server.bucket, Key="k/001")
    policy = server.client("iam").get_user_policy(UserName="mover", PolicyName="p")
    return {
        "versions": [(v["Key"], v["VersionId"], v["ETag"], v["LastModified"]) for v in versions],
        "parts": [(p["PartNumber"], p["ETag"]) for p in parts],
        "body": head["Body"].read(),
        "metadata": head["Metadata"],
        "policy": policy["PolicyDocument"],
    }


def event_ids(server):
    pages = server.client("cloudtrail").get_paginator("lookup_events").paginate()
    return {event["EventId"] for page in pages for event in page["Events"]}


def test_everything_arrives_and_the_file_stays_as_it_was(filled):
    database = Database()
    try:
        before, events = state(filled), event_ids(filled)
        refused = filled.command("migrate", "--to", database.url, check=False)
        assert refused.returncode == 1 and "another server uses" in refused.stderr
        filled.stop()
        rows = rows_of(filled.data_dir)
        told = filled.command("migrate", "--to", database.url).stdout
        assert "whose chain holds" in told
        assert rows_of(filled.data_dir) == rows

        again = filled.command("migrate", "--to", database.url, check=False)
        assert again.returncode == 1 and "give an empty database" in again.stderr

        (filled.data_dir / "sightline.toml").write_text('[metadata]\nurl = "%s"\n' % database.url)
        filled.start()
        assert state(filled) == before
        assert events <= event_ids(filled)
        assert "0 findings" in filled.command("audit", "verify").stdout
        filled.client("s3").put_object(Bucket=filled.bucket, Key="after", Body=b"goes on")
        filled.stop()
        refused = filled.command("migrate", "--to", database.make("other"), check=False)
        assert refused.returncode == 1 and "no metadata in a file" in refused.stderr
    finally:
        database.stop()


def test_a_chain_that_does_not_hold_is_not_moved(filled):
    database = Database()
    try:
        filled.stop()
        with sqlite3.connect(filled.data_dir / "meta.sqlite") as file:
            changed = file.execute(
                "UPDATE event_blocks SET records = replace(records, 'CreateUser', 'DeleteUser')"
                " WHERE records LIKE '%CreateUser%'"
            )
            assert 0 < changed.rowcount
        refused = filled.command("migrate", "--to", database.url, check=False)
        assert refused.returncode == 1 and "the chain of events does not hold" in refused.stderr
        assert database.sql("SELECT count(*) FROM objects") == [["0"]]
    finally:
        database.stop()


def test_the_way_to_the_database_is_encrypted_and_verified(tmp_path):
    authority = Server(tmp_path / "authority", "--set", "tls.enabled=true").start()
    authority.stop()
    other = Server(tmp_path / "other", "--set", "tls.enabled=true").start()
    other.stop()
    tls = authority.data_dir / "tls"
    database = Database(certificates=tls)
    try:
        place = "postgres://sightline@%s:%d/postgres?sslmode=%s"
        full = "verify-full&sslrootcert=" + str(tls / "ca.pem")

        def start(name, url):
            return Server(tmp_path / name, "--set", "metadata.url=" + url)

        server = start("data", place % ("localhost", database.port, full)).start()
        server.client("s3").create_bucket(Bucket="encrypted")
        rows = database.sql(
            "SELECT DISTINCT ssl, version FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
            " WHERE application_name = 'sightline'"
        )
        assert rows == [["t", "TLSv1.3"]]
        server.stop()
        stranger = "verify-full&sslrootcert=" + str(other.data_dir / "tls" / "ca.pem")
        for name, url, reason in [
            ("in-the-clear", place % ("localhost", database.port, "disable"), "no encryption"),
            ("stranger", place % ("localhost", database.port, stranger), "UnknownIssuer"),
            ("another-name", place % ("127.0.0.2", database.port, full), "not valid for name"),
        ]:
            refused = start(name, url)
            with pytest.raises(AssertionError) as failed:
                refused.start()
            assert reason in str(failed.value), str(failed.value)
    finally:
        database.stop()
