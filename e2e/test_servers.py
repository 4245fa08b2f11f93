"""Two servers on one PostgreSQL and one directory of objects: one service, whichever dies."""

import concurrent.futures
import threading
import time

import botocore.exceptions
import pytest

from database import Database
from running import Server, until
from test_trail import Trail, listed_files
from work import ENDED, processing_request, unique

JOBS = 20


@pytest.fixture
def database():
    running = Database()
    yield running
    running.stop()


@pytest.fixture
def servers(database, tmp_path):
    """Two servers that share everything but their data directories."""
    pair = [member(database, tmp_path, name) for name in ("a", "b")]
    yield pair
    for server in pair:
        server.stop()


def member(database, tmp_path, name, objects="objects", settings=""):
    data = tmp_path / name
    data.mkdir(mode=0o700)
    (data / "sightline.toml").write_text(
        '[metadata]\nurl = "%s"\n[objects]\ndir = "%s"\n[identity]\nsecret_key_file = "%s"\n'
        % (database.url, tmp_path / objects, tmp_path / "secret.key") + settings
    )
    return Server(data).start()


def events_without_gaps(database):
    """The number of events, after checking that their blocks follow each other."""
    rows = database.sql("SELECT first_seq, last_seq FROM event_blocks ORDER BY last_seq")
    last = 0
    for first, end in ((int(first), int(end)) for first, end in rows):
        assert first == last + 1, "events %d to %d are missing" % (last + 1, first - 1)
        last = end
    assert [str(last)] == database.sql("SELECT seq FROM event_head")[0]
    return last


def test_the_trail_stays_valid_when_the_server_that_delivers_dies(database, tmp_path):
    settings = "[activity]\ndelivery_seconds = 1\ndigest_seconds = 2\n"
    first = member(database, tmp_path, "a", settings=settings)
    trail = Trail(first)
    until("a digest of the first", lambda: listed_files(trail), 30, 0.3)
    second = member(database, tmp_path, "b", settings=settings)
    for server in (first, second):
        server.client("sts").get_caller_identity()
    first.kill()

    trail, names = Trail(second), second.client("cloudtrail").list_public_keys
    until("a key of the second", lambda: len(names()["PublicKeyList"]) == 2, 60, 0.3)
    seen = len(listed_files(trail))
    second.client("sts").get_caller_identity()
    until("a digest of the second", lambda: seen < len(listed_files(trail)), 30, 0.3)
    code, said = trail.validate()
    assert code == 0 and "INVALID" not in said and "digest files valid" in said, said
    for server in (first, second):
        assert " 0 findings" in server.command("audit", "verify").stdout
    second.stop()


def test_what_one_server_makes_the_other_has_at_once(servers, database):
    a, b = servers
    assert a.account == b.account
    bucket = unique("both")
    a.client("s3").create_bucket(Bucket=bucket)
    b.client("s3").put_object(Bucket=bucket, Key="k", Body=b"from b")
    assert a.client("s3").get_object(Bucket=bucket, Key="k")["Body"].read() == b"from b"
    a.client("s3").put_object(Bucket=bucket, Key="k", Body=b"from a")
    assert b.client("s3").get_object(Bucket=bucket, Key="k")["Body"].read() == b"from a"
    a.client("s3").delete_object(Bucket=bucket, Key="k")
    with pytest.raises(botocore.exceptions.ClientError, match="NoSuchKey"):
        b.client("s3").get_object(Bucket=bucket, Key="k")
    assert events_without_gaps(database) > 0


def test_a_server_with_other_objects_does_not_start(servers, database, tmp_path):
    with pytest.raises(AssertionError, match="give every server the same"):
        member(database, tmp_path, "c", objects="elsewhere")


def test_jobs_outlive_the_server_that_dies(servers, database):
    a, b = servers
    request = processing_request(a, "import time; time.sleep(5)")
    names = [unique("shared") for _ in range(JOBS)]
    clients = [server.client("sagemaker") for server in servers]
    for number, name in enumerate(names):
        clients[number % 2].create_processing_job(**dict(request, ProcessingJobName=name))

    def described(name):
        return clients[1].describe_processing_job(ProcessingJobName=name)

    def runs_at_a():
        owner = (a.data_dir / "server.id").read_text().strip()
        where = "server = '%s' AND phase = 'running'" % owner
        return database.sql("SELECT name FROM jobs WHERE %s" % where)

    until("a job to run at the server that will die", runs_at_a)
    a.kill()

    def all_ended():
        return all(described(name)["ProcessingJobStatus"] in ENDED for name in names)

    until("every job to end", all_ended, 240, 1.0)
    ended = [described(name) for name in names]
    failed = [job for job in ended if job["ProcessingJobStatus"] == "Failed"]
    # The dead server had room for four.
    assert 1 <= len(failed) <= 4, [job.get("FailureReason") for job in failed]
    for job in failed:
        assert "server" in job["FailureReason"], job["FailureReason"]
    completed = [job for job in ended if job["ProcessingJobStatus"] == "Completed"]
    assert len(completed) == JOBS - len(failed)
    trail = b.client("cloudtrail")
    for name in names:
        attribute = {"AttributeKey": "ResourceName", "AttributeValue": name}
        found = trail.lookup_events(LookupAttributes=[attribute])["Events"]
        ends = [event for event in found if event["EventName"] == "ProcessingJobStateChange"]
        assert len(ends) == 1, "%s ended %d times" % (name, len(ends))
    events_without_gaps(database)
    a.start()
    a.client("sagemaker").describe_processing_job(ProcessingJobName=names[0])


def test_a_job_is_stopped_and_its_log_read_at_the_other_server(servers, database):
    a, b = servers
    request = processing_request(a, "import time; print('it runs', flush=True); time.sleep(600)")
    name = request["ProcessingJobName"]
    a.client("sagemaker").create_processing_job(**request)
    logs = b.client("logs")
    group = "/aws/sagemaker/ProcessingJobs"

    def lines():
        try:
            streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=name + "/")
        except logs.exceptions.ResourceNotFoundException:
            return []
        found = []
        for stream in streams["logStreams"]:
            read = logs.get_log_events(
                logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
            )
            found += [event["message"] for event in read["events"]]
        return found

    until("the line to be seen at the other server", lambda: "it runs" in lines())
    b.client("sagemaker").stop_processing_job(ProcessingJobName=name)

    def status():
        job = a.client("sagemaker").describe_processing_job(ProcessingJobName=name)
        return job["ProcessingJobStatus"]

    until("the job to stop", lambda: status() == "Stopped")


def test_a_crash_of_the_database_loses_nothing_and_service_returns_by_itself(servers, database):
    bucket = unique("crash")
    servers[0].client("s3").create_bucket(Bucket=bucket)
    kept, refused, over = {}, [], threading.Event()

    def write(number):
        server = servers[number % 2]
        s3 = server.client("s3")
        count = 0
        while not over.is_set():
            key, body = "%d/%d" % (number, count), b"%d" % count
            count += 1
            try:
                s3.put_object(Bucket=bucket, Key=key, Body=body)
                kept[key] = body
            except botocore.exceptions.ClientError as error:
                refused.append(error.response["ResponseMetadata"]["HTTPStatusCode"])
                time.sleep(0.05)

    with concurrent.futures.ThreadPoolExecutor() as pool:
        writers = [pool.submit(write, number) for number in range(4)]
        until("writes before the crash", lambda: len(kept) > 40)
        database.kill()
        until("refusals while the database is away", lambda: len(refused) > 8)
        before = len(kept)
        database.start()
        until("writes after the crash", lambda: len(kept) > before + 40)
        over.set()
        for writer in writers:
            writer.result()
    assert set(refused) <= {500, 503}, set(refused)
    s3 = servers[1].client("s3")
    for key, body in kept.items():
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == body, key
    events_without_gaps(database)
