"""A server that dies in the middle: nothing acknowledged is lost, nothing stays InProgress."""

from work import (
    bucket_of, log_lines, process, processing_end, train, training_end,
)
from test_jobs import WAITS, runs


def test_after_a_kill_no_job_stays_in_progress(own_server):
    server = own_server
    done = process(server, "print('done')")
    assert processing_end(server, done)["ProcessingJobStatus"] == "Completed"
    names = process(server, WAITS), train(server, WAITS)
    runs(server, "ProcessingJobs", names[0])
    runs(server, "TrainingJobs", names[1])
    server.kill()
    server.start()
    ends = processing_end(server, names[0]), training_end(server, names[1])
    for info, status in zip(ends, ("ProcessingJobStatus", "TrainingJobStatus")):
        assert info[status] == "Failed", info
        assert "the server ended while the job ran" in info["FailureReason"], info
    kept = server.client("sagemaker").describe_processing_job(ProcessingJobName=done)
    assert kept["ProcessingJobStatus"] == "Completed"
    (lines,) = log_lines(server, "ProcessingJobs", done).values()
    assert lines[-1] == "done"
    for summaries in (
        server.client("sagemaker").list_processing_jobs(StatusEquals="InProgress")["ProcessingJobSummaries"],
        server.client("sagemaker").list_training_jobs(StatusEquals="InProgress")["TrainingJobSummaries"],
    ):
        assert summaries == []


def test_a_job_created_just_before_the_kill_still_ends(own_server):
    """It had no time to start: it runs after the restart, or says why it does not."""
    server = own_server
    name = process(server, "print('ran')")
    server.kill()
    server.start()
    info = processing_end(server, name)
    assert info["ProcessingJobStatus"] == "Completed" or info["FailureReason"], info


def test_what_was_acknowledged_survives_a_kill(own_server):
    server = own_server
    before, bucket = server.account, bucket_of(server)
    s3 = server.client("s3")
    for number in range(20):
        s3.put_object(Bucket=bucket, Key="k%d" % number, Body=b"%d" % number * 1000)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, Body=b"part")
    keys = server.variables["AWS_ACCESS_KEY_ID"]
    server.kill()
    server.start()
    assert (server.account, server.variables["AWS_ACCESS_KEY_ID"]) == (before, keys)
    s3 = server.client("s3")
    for number in range(20):
        got = s3.get_object(Bucket=bucket, Key="k%d" % number)["Body"].read()
        assert got == b"%d" % number * 1000
    s3.complete_multipart_upload(
        Bucket=bucket, Key="parts", UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    )
    assert s3.get_object(Bucket=bucket, Key="parts")["Body"].read() == b"part"
    events = server.client("cloudtrail").lookup_events(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "CreateBucket"}]
    )["Events"]
    assert events


def test_a_server_that_is_asked_to_end_ends_and_leaves_no_process(own_server):
    server = own_server
    name = process(server, WAITS)
    runs(server, "ProcessingJobs", name)
    server.stop()
    server.start()
    info = processing_end(server, name)
    assert info["ProcessingJobStatus"] in ("Failed", "Stopped"), info


def test_a_second_server_on_the_same_data_is_refused(own_server):
    again = own_server.command("serve", "--listen", "127.0.0.1:0", check=False, timeout=30)
    assert again.returncode != 0
    assert str(own_server.data_dir) in again.stderr, again.stderr
