"""Backups of a server that goes on writing, restored and compared."""

import concurrent.futures
import hashlib
import io
import os
import threading

from running import Server, until
from work import process, processing_end


def write_until(stop, server, bucket, number, acknowledged):
    """Puts, replaces and deletes; keeps what was acknowledged last for each key."""
    s3 = server.client("s3")
    turn = 0
    while not stop.is_set():
        key = "load/%d/%d" % (number, turn % 7)
        if turn % 5 == 4:
            s3.delete_object(Bucket=bucket, Key=key)
            acknowledged.pop(key, None)
        else:
            body = os.urandom(1 + (turn * 7919) % 40_000)
            s3.put_object(Bucket=bucket, Key=key, Body=body)
            acknowledged[key] = hashlib.sha256(body).hexdigest()
        turn += 1
    return turn


def test_a_backup_under_load_holds_all_that_was_acknowledged_before_it(own_server, tmp_path):
    server = own_server
    s3 = server.client("s3")
    bucket = "sagemaker-%s-%s" % (server.region, server.account)
    before = {}
    for number in range(40):
        body = os.urandom(10_000 + number)
        s3.put_object(Bucket=bucket, Key="before/%d" % number, Body=body)
        before["before/%d" % number] = hashlib.sha256(body).hexdigest()
    s3.upload_fileobj(io.BytesIO(b"part" * (5 << 20)), bucket, "before/large")
    before["before/large"] = hashlib.sha256(b"part" * (5 << 20)).hexdigest()
    job = process(server, "print('kept')")
    processing_end(server, job)
    events = len(all_events(server, "PutObject"))

    stop, states = threading.Event(), [{} for _ in range(3)]
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        running = [pool.submit(write_until, stop, server, bucket, n, states[n]) for n in range(3)]
        try:
            until("each writer to write", lambda: all(states))
            for _ in range(3):
                told = server.command("backup", "--to", str(tmp_path / "backup"), "--include-secrets")
                assert "blobs of" in told.stdout
        finally:
            stop.set()
        turns = [one.result() for one in running]
    assert min(turns) > 0, turns

    # What was deleted while the backup ran is made up for, and nothing else.
    for key, digest in {**before, **states[0], **states[1], **states[2]}.items():
        assert digest_of(s3, bucket, key) == digest, key

    restored = Server(tmp_path / "restored")
    done = restore(restored, tmp_path / "backup")
    assert done.returncode == 0, done.stderr
    restored.start()
    try:
        copy = restored.client("s3")
        for key, digest in before.items():
            assert digest_of(copy, bucket, key) == digest, key
        # Each object that the copy lists is whole: the metadata names no hole.
        for page in copy.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for entry in page.get("Contents", []):
                body = copy.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
                assert len(body) == entry["Size"]
                if "-" not in entry["ETag"]:
                    assert hashlib.md5(body).hexdigest() == entry["ETag"].strip('"'), entry
        assert restored.account == server.account
        described = restored.client("sagemaker").describe_processing_job(ProcessingJobName=job)
        assert described["ProcessingJobStatus"] == "Completed"
        assert len(all_events(restored, "PutObject")) >= events
        process_again = process(restored, "print('goes on')")
        processing_end(restored, process_again)
    finally:
        restored.stop()


def test_a_backup_without_secrets_says_what_it_left_out(own_server, tmp_path):
    told = own_server.command("backup", "--to", str(tmp_path / "b.tar"))
    assert "credentials" in told.stdout and "--include-secrets" in told.stdout
    assert (tmp_path / "b.tar").stat().st_mode & 0o077 == 0
    secret = own_server.variables["AWS_SECRET_ACCESS_KEY"].encode()
    assert secret not in (tmp_path / "b.tar").read_bytes()
    done = restore(Server(tmp_path / "r"), tmp_path / "b.tar")
    assert "put these into" in done.stdout and "credentials" in done.stdout
    again = restore(Server(tmp_path / "r"), tmp_path / "b.tar")
    assert again.returncode == 1 and "not empty" in again.stderr


def restore(server, source):
    return server.command("restore", "--from", str(source), check=False)


def digest_of(s3, bucket, key):
    return hashlib.sha256(s3.get_object(Bucket=bucket, Key=key)["Body"].read()).hexdigest()


def all_events(server, name):
    trail = server.client("cloudtrail")
    attribute = {"AttributeKey": "EventName", "AttributeValue": name}
    pages = trail.get_paginator("lookup_events").paginate(LookupAttributes=[attribute])
    return [event for page in pages for event in page["Events"]]
