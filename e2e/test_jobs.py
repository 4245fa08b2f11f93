"""Jobs that run for real, and jobs that go wrong: each ends with a status and a reason."""

import io
import json
import re
import tarfile

import pytest
from botocore.exceptions import ClientError

from running import until
from work import (
    bucket_of, log_lines, output, process, processing_end, processing_request, train,
    training_end, training_request, unique,
)


def error_of(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]


def body_of(server, uri):
    bucket, _, key = uri[len("s3://"):].partition("/")
    return server.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()


def test_a_processing_job_sees_its_configuration_and_its_outputs_are_kept(server):
    name = unique("proc")
    script = """
        import json, os, socket
        seen = {
            "job": json.load(open("/opt/ml/config/processingjobconfig.json"))["ProcessingJobName"],
            "resources": json.load(open("/opt/ml/config/resourceconfig.json")),
            "mode": os.environ["MODE"],
            "host": socket.gethostname(),
            "empty output folder": os.listdir("/opt/ml/processing/result"),
        }
        json.dump(seen, open("/opt/ml/processing/result/seen.json", "w"))
        os.makedirs("/opt/ml/processing/result/deep/er")
        open("/opt/ml/processing/result/deep/er/x", "w").close()
        print("done")
    """
    outputs = {"Outputs": [output(server, name, "result")]}
    process(server, script, name=name, ProcessingOutputConfig=outputs, Environment={"MODE": "test"})
    info = processing_end(server, name)
    assert info["ProcessingJobStatus"] == "Completed", info
    assert info["ProcessingOutputConfig"] == outputs
    assert info["ProcessingEndTime"] >= info["ProcessingStartTime"] >= info["CreationTime"]
    uri = outputs["Outputs"][0]["S3Output"]["S3Uri"]
    seen = json.loads(body_of(server, uri + "/seen.json"))
    assert seen == {
        "job": name,
        "resources": {"current_host": "algo-1", "hosts": ["algo-1"]},
        "mode": "test",
        "host": "algo-1",
        "empty output folder": [],
    }
    assert body_of(server, uri + "/deep/er/x") == b""
    (stream, lines), = log_lines(server, "ProcessingJobs", name).items()
    assert re.fullmatch(re.escape(name) + r"/algo-1-\d{10}", stream)
    assert lines[-1] == "done"


def test_a_failing_script_fails_the_job_with_its_exit_code(server):
    name = process(server, "import sys\nprint('before')\nsys.exit(7)")
    info = processing_end(server, name)
    assert info["ProcessingJobStatus"] == "Failed"
    assert "7" in info["FailureReason"], info["FailureReason"]
    (lines,) = log_lines(server, "ProcessingJobs", name).values()
    assert "before" in lines


def test_what_a_failing_processing_script_leaves_as_message_is_told(server):
    script = """
        import os, sys
        os.makedirs("/opt/ml/output", exist_ok=True)
        open("/opt/ml/output/message", "w").write("the third column is empty")
        sys.exit(1)
    """
    info = processing_end(server, process(server, script))
    assert info["ProcessingJobStatus"] == "Failed"
    assert info["ExitMessage"] == "the third column is empty"


def test_a_failing_training_script_fails_as_the_toolkit_says_and_logs_its_own_words(server):
    name = train(server, "raise ValueError('label has one class only')")
    info = training_end(server, name)
    assert info["TrainingJobStatus"] == info["SecondaryStatus"] == "Failed"
    assert info["FailureReason"].startswith("AlgorithmError: ExecuteUserScriptError:")
    assert info["FailureReason"].endswith("exit code: 1")
    (lines,) = log_lines(server, "TrainingJobs", name).values()
    assert "ValueError: label has one class only" in lines
    steps = [step["Status"] for step in info["SecondaryStatusTransitions"]]
    assert steps[0] == "Starting" and steps[-1] == "Failed"
    assert "EndTime" in info["SecondaryStatusTransitions"][-1]


def test_a_training_job_gives_a_model_metrics_and_typed_hyperparameters(server):
    script = """
        import argparse, json, os
        parser = argparse.ArgumentParser()
        parser.add_argument("--rate", type=float)
        parser.add_argument("--deep-name")
        got = parser.parse_args()
        for step in range(3):
            print("loss=%.1f;" % (3 - step))
        out = {"rate": got.rate, "name": got.deep_name, "hps": json.loads(os.environ["SM_HPS"])}
        json.dump(out, open(os.path.join(os.environ["SM_MODEL_DIR"], "model.json"), "w"))
    """
    request = training_request(server, script, hyperparameters={"rate": 0.5, "deep-name": "a b"})
    request["AlgorithmSpecification"]["MetricDefinitions"] = [{"Name": "loss", "Regex": "loss=([0-9.]+);"}]
    server.client("sagemaker").create_training_job(**request)
    info = training_end(server, request["TrainingJobName"])
    assert info["TrainingJobStatus"] == "Completed", info.get("FailureReason")
    assert info["HyperParameters"] == request["HyperParameters"]
    assert [(m["MetricName"], m["Value"]) for m in info["FinalMetricDataList"]] == [("loss", 1.0)]
    steps = [step["Status"] for step in info["SecondaryStatusTransitions"]]
    assert steps == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    archive = body_of(server, info["ModelArtifacts"]["S3ModelArtifacts"])
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        model = json.load(tar.extractfile("model.json"))
    assert model == {"rate": 0.5, "name": "a b", "hps": {"rate": 0.5, "deep-name": "a b"}}


def test_an_unknown_image_fails_with_a_reason_that_says_how_to_map_it(server):
    image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/nobody-knows-this:3"
    info = processing_end(server, process(server, "print(1)", image=image))
    assert info["ProcessingJobStatus"] == "Failed"
    assert "nobody-knows-this" in info["FailureReason"]
    assert "environment" in info["FailureReason"].lower(), info["FailureReason"]


def test_a_replaced_image_is_said_in_the_log(server):
    image = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:0.20.0-cpu-py3"
    name = process(server, "import sklearn; print('version', sklearn.__version__)", image=image)
    info = processing_end(server, name)
    assert info["ProcessingJobStatus"] == "Completed", info.get("FailureReason")
    (lines,) = log_lines(server, "ProcessingJobs", name).values()
    version = lines[-1].split()[1]
    told = [line for line in lines[:-1] if "0.20.0" in line]
    assert told and any(version in line for line in told), lines


def test_a_missing_input_fails_the_processing_job_and_refuses_the_training_job(server):
    uri = "s3://%s/never-there" % bucket_of(server)
    request = processing_request(server, "print(1)")
    request["ProcessingInputs"].append({
        "InputName": "data",
        "S3Input": {
            "S3Uri": uri, "LocalPath": "/opt/ml/processing/data", "S3DataType": "S3Prefix",
            "S3InputMode": "File",
        },
    })
    server.client("sagemaker").create_processing_job(**request)
    info = processing_end(server, request["ProcessingJobName"])
    text = 'No S3 objects found under S3 URL "%s"' % uri
    assert info["ProcessingJobStatus"] == "Failed" and text in info["FailureReason"]
    channel = {
        "ChannelName": "train",
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}},
    }
    refused = training_request(server, "print(1)", InputDataConfig=[channel])
    error = error_of(server.client("sagemaker").create_training_job, **refused)
    assert error["Code"] == "ValidationException" and text in error["Message"]


def test_two_instances_share_the_objects_of_a_sharded_input(server):
    name, bucket, s3 = unique("proc"), bucket_of(server), server.client("s3")
    for number in range(5):
        s3.put_object(Bucket=bucket, Key="%s/parts/%d.txt" % (name, number), Body=b"%d" % number)
    script = """
        import json, os
        host = json.load(open("/opt/ml/config/resourceconfig.json"))["current_host"]
        names = sorted(os.listdir("/opt/ml/processing/data"))
        json.dump(names, open("/opt/ml/processing/result/%s.json" % host, "w"))
    """
    outputs = {"Outputs": [output(server, name, "result")]}
    request = processing_request(server, script, name=name, instances=2, ProcessingOutputConfig=outputs)
    request["ProcessingInputs"].append({
        "InputName": "data",
        "S3Input": {
            "S3Uri": "s3://%s/%s/parts" % (bucket, name), "LocalPath": "/opt/ml/processing/data",
            "S3DataType": "S3Prefix", "S3InputMode": "File", "S3DataDistributionType": "ShardedByS3Key",
        },
    })
    server.client("sagemaker").create_processing_job(**request)
    info = processing_end(server, name)
    assert info["ProcessingJobStatus"] == "Completed", info.get("FailureReason")
    uri = outputs["Outputs"][0]["S3Output"]["S3Uri"]
    first, second = (json.loads(body_of(server, "%s/algo-%d.json" % (uri, n))) for n in (1, 2))
    assert first and second
    assert sorted(first + second) == ["%d.txt" % number for number in range(5)]
    assert len(log_lines(server, "ProcessingJobs", name)) == 2


WAITS = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print("told to stop", flush=True), sys.exit(0)))
print("waiting", flush=True)
while True:
    time.sleep(0.05)
"""


def runs(server, kind, name):
    def waiting():
        try:
            return any("waiting" in lines for lines in log_lines(server, kind, name).values())
        except ClientError:
            return False

    until("job %s to run" % name, waiting, 180)


def test_a_stopped_processing_job_ends_stopped_and_cannot_be_stopped_again(server):
    sagemaker = server.client("sagemaker")
    name = process(server, WAITS)
    runs(server, "ProcessingJobs", name)
    sagemaker.stop_processing_job(ProcessingJobName=name)
    info = processing_end(server, name)
    assert info["ProcessingJobStatus"] == "Stopped"
    (lines,) = log_lines(server, "ProcessingJobs", name).values()
    assert lines[-1] == "told to stop"
    error = error_of(sagemaker.stop_processing_job, ProcessingJobName=name)
    assert error["Code"] == "ValidationException"
    assert sagemaker.describe_processing_job(ProcessingJobName=name)["ProcessingJobStatus"] == "Stopped"


def test_a_stopped_training_job_ends_stopped(server):
    name = train(server, WAITS)
    runs(server, "TrainingJobs", name)
    server.client("sagemaker").stop_training_job(TrainingJobName=name)
    info = training_end(server, name)
    assert (info["TrainingJobStatus"], info["SecondaryStatus"]) == ("Stopped", "Stopped")


def test_a_job_that_runs_too_long_is_stopped_for_that(server):
    condition = {"MaxRuntimeInSeconds": 1}
    name = train(server, WAITS, StoppingCondition=condition)
    info = training_end(server, name)
    assert info["TrainingJobStatus"] == "Stopped"
    assert info["SecondaryStatus"] == "MaxRuntimeExceeded"


def test_a_jobs_name_stays_taken(server):
    sagemaker = server.client("sagemaker")
    request = processing_request(server, "print(1)")
    arn = sagemaker.create_processing_job(**request)["ProcessingJobArn"]
    assert arn.endswith(":processing-job/" + request["ProcessingJobName"])
    for _ in ("while it runs", "when it has ended"):
        error = error_of(sagemaker.create_processing_job, **request)
        assert error["Code"] == "ResourceInUse"
        assert error["Message"] == (
            "Job name must be unique within an AWS account and region, and a job with this name "
            "already exists (%s)" % arn
        )
        processing_end(server, request["ProcessingJobName"])


def test_lists_filter_sort_and_page(server):
    sagemaker, mark = server.client("sagemaker"), unique("listed")
    names = ["%s-%d" % (mark, n) for n in range(5)]
    for number, name in enumerate(names):
        process(server, "import sys; sys.exit(%d)" % (number == 4), name=name)
    for name in names:
        processing_end(server, name)
    pages = list(
        sagemaker.get_paginator("list_processing_jobs").paginate(
            NameContains=mark, SortBy="Name", SortOrder="Descending", PaginationConfig={"PageSize": 2}
        )
    )
    found = [[job["ProcessingJobName"] for job in page["ProcessingJobSummaries"]] for page in pages]
    assert found == [[names[4], names[3]], [names[2], names[1]], [names[0]]]
    failed = sagemaker.list_processing_jobs(NameContains=mark, StatusEquals="Failed")
    assert [job["ProcessingJobName"] for job in failed["ProcessingJobSummaries"]] == [names[4]]
    oldest_first = sagemaker.list_processing_jobs(NameContains=mark)["ProcessingJobSummaries"]
    assert [job["ProcessingJobName"] for job in oldest_first] == names
    after = sagemaker.list_processing_jobs(NameContains=mark, CreationTimeAfter=oldest_first[1]["CreationTime"])
    assert names[0] not in [job["ProcessingJobName"] for job in after["ProcessingJobSummaries"]]
    bad = error_of(sagemaker.list_processing_jobs, NextToken="not-a-token")
    assert bad["Code"] == "ValidationException"


def test_tags_are_added_replaced_listed_and_deleted(server):
    sagemaker = server.client("sagemaker")
    request = processing_request(server, "print(1)", Tags=[{"Key": "team", "Value": "a"}])
    arn = sagemaker.create_processing_job(**request)["ProcessingJobArn"]

    def own():
        tags = sagemaker.list_tags(ResourceArn=arn)["Tags"]
        return {t["Key"]: t["Value"] for t in tags if t["Key"] in ("team", "stage", "empty")}

    assert own() == {"team": "a"}
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": "b"}, {"Key": "empty", "Value": ""}])
    assert own() == {"team": "b", "empty": ""}
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["team", "never"])
    assert own() == {"empty": ""}
    processing_end(server, request["ProcessingJobName"])
    missing = arn.replace(request["ProcessingJobName"], "nowhere")
    error = error_of(sagemaker.list_tags, ResourceArn=missing)
    assert error["Code"] in ("ResourceNotFound", "ValidationException") and missing in error["Message"]


def test_many_jobs_started_at_once_all_end_well(server):
    names = [process(server, "print(%d * %d)" % (n, n)) for n in range(8)]
    for number, name in enumerate(names):
        info = processing_end(server, name, 300)
        assert info["ProcessingJobStatus"] == "Completed", info.get("FailureReason")
        (lines,) = log_lines(server, "ProcessingJobs", name).values()
        assert lines[-1] == str(number * number)


def test_a_job_can_reach_the_server_and_nothing_else(server):
    script = """
        import os, socket, urllib.request, urllib.error
        try:
            urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"])
        except urllib.error.HTTPError as answer:
            print("server answers", answer.code in (400, 403))
        try:
            socket.create_connection(("1.1.1.1", 53), timeout=2)
            print("the network is open")
        except OSError:
            print("the network is closed")
        print("secrets", sorted(k for k in os.environ if k.startswith("SIGHTLINE_")))
    """
    name = process(server, script)
    assert processing_end(server, name)["ProcessingJobStatus"] == "Completed"
    (lines,) = log_lines(server, "ProcessingJobs", name).values()
    assert lines[-3:] == ["server answers True", "the network is closed", "secrets []"]
