"""Jobs for the tests: small scripts handed to the server as the SDK would hand them."""

import io
import itertools
import json
import os
import tarfile
import textwrap

from running import until

ENDED = ("Completed", "Failed", "Stopped")
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
_numbers = itertools.count(1)


def unique(prefix):
    return "%s-%d-%d" % (prefix, os.getpid(), next(_numbers))


def bucket_of(server):
    """A bucket that every test of this server may use."""
    name = "e2e-%s" % server.account
    s3 = server.client("s3")
    if name not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket=name)
    return name


def processing_request(server, script, name=None, instances=1, image=IMAGE, **more):
    """Uploads the script and returns the request that runs it."""
    name = name or unique("proc")
    bucket = bucket_of(server)
    key = "%s/input/code/main.py" % name
    server.client("s3").put_object(Bucket=bucket, Key=key, Body=textwrap.dedent(script).encode())
    code = {
        "InputName": "code",
        "S3Input": {
            "S3Uri": "s3://%s/%s" % (bucket, key),
            "LocalPath": "/opt/ml/processing/input/code",
            "S3DataType": "S3Prefix",
            "S3InputMode": "File",
        },
    }
    request = {
        "ProcessingJobName": name,
        "RoleArn": server.role,
        "AppSpecification": {
            "ImageUri": image,
            "ContainerEntrypoint": ["python3", "/opt/ml/processing/input/code/main.py"],
        },
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": instances, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1,
            }
        },
        "ProcessingInputs": [code],
    }
    request.update(more)
    return request


def output(server, job, name):
    """An output entry that uploads /opt/ml/processing/NAME when the job ends."""
    uri = "s3://%s/%s/output/%s" % (bucket_of(server), job, name)
    return {
        "OutputName": name,
        "S3Output": {
            "S3Uri": uri, "LocalPath": "/opt/ml/processing/" + name, "S3UploadMode": "EndOfJob",
        },
    }


def process(server, script, **more):
    """Starts a processing job and returns its name."""
    request = processing_request(server, script, **more)
    server.client("sagemaker").create_processing_job(**request)
    return request["ProcessingJobName"]


def processing_end(server, name, limit_s=180):
    sagemaker = server.client("sagemaker")

    def ended():
        info = sagemaker.describe_processing_job(ProcessingJobName=name)
        return info if info["ProcessingJobStatus"] in ENDED else None

    return until("job %s to end" % name, ended, limit_s)


def training_request(server, script, name=None, hyperparameters=None, image=IMAGE, **more):
    """Uploads the script as sourcedir.tar.gz and returns the request that runs it."""
    name = name or unique("train")
    bucket = bucket_of(server)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        body = textwrap.dedent(script).encode()
        member = tarfile.TarInfo("main.py")
        member.size = len(body)
        tar.addfile(member, io.BytesIO(body))
    key = "%s/source/sourcedir.tar.gz" % name
    server.client("s3").put_object(Bucket=bucket, Key=key, Body=archive.getvalue())
    values = {
        "sagemaker_program": "main.py",
        "sagemaker_submit_directory": "s3://%s/%s" % (bucket, key),
        **(hyperparameters or {}),
    }
    request = {
        "TrainingJobName": name,
        "RoleArn": server.role,
        "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"},
        "HyperParameters": {key: json.dumps(value) for key, value in values.items()},
        "OutputDataConfig": {"S3OutputPath": "s3://%s/" % bucket},
        "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }
    request.update(more)
    return request


def train(server, script, **more):
    """Starts a training job and returns its name."""
    request = training_request(server, script, **more)
    server.client("sagemaker").create_training_job(**request)
    return request["TrainingJobName"]


def training_end(server, name, limit_s=180):
    sagemaker = server.client("sagemaker")

    def ended():
        info = sagemaker.describe_training_job(TrainingJobName=name)
        return info if info["TrainingJobStatus"] in ENDED else None

    return until("job %s to end" % name, ended, limit_s)


def log_lines(server, kind, job):
    """The job's whole log as {stream: [message]}, read as a log tailer reads it."""
    logs = server.client("logs")
    group = "/aws/sagemaker/" + kind
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=job + "/")
    return {
        stream["logStreamName"]: [event["message"] for event in follow(logs, group, stream)]
        for stream in streams["logStreams"]
    }


def follow(logs, group, stream, limit=1000, **first):
    """Follows nextForwardToken until it stops changing."""
    events, arguments = [], dict(first)
    while True:
        page = logs.get_log_events(
            logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True,
            limit=limit, **arguments
        )
        events += page["events"]
        if page["nextForwardToken"] == arguments.get("nextToken"):
            return events
        arguments["nextToken"] = page["nextForwardToken"]
