"""How long a job that does nothing takes, from the call that creates it to its end.

    sightline run -- python bench/jobs.py [RUNS]

The first job may build its environment and is not counted.
"""

import statistics
import sys
import time

import boto3

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
sagemaker = boto3.client("sagemaker")
identity = boto3.client("sts").get_caller_identity()
role = boto3.client("iam").get_role(RoleName=identity["Arn"].split("/")[1])["Role"]["Arn"]


def run(name, instances):
    """Seconds from the request to the end as a client that asks all the time sees it."""
    started = time.monotonic()
    sagemaker.create_processing_job(
        ProcessingJobName=name,
        RoleArn=role,
        AppSpecification={"ImageUri": IMAGE, "ContainerEntrypoint": ["python3", "-c", "pass"]},
        ProcessingResources={
            "ClusterConfig": {
                "InstanceCount": instances, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1,
            }
        },
    )
    while True:
        info = sagemaker.describe_processing_job(ProcessingJobName=name)
        if info["ProcessingJobStatus"] != "InProgress":
            assert info["ProcessingJobStatus"] == "Completed", info
            return time.monotonic() - started
        time.sleep(0.01)


runs = int(sys.argv[1]) if len(sys.argv) > 1 else 7
stamp = int(time.time())
run("bench-%d-warm" % stamp, 1)
for instances in (1, 2):
    took = sorted(run("bench-%d-%d-%d" % (stamp, instances, n), instances) for n in range(runs))
    name = "warm job that does nothing, %d instance%s" % (instances, "s" * (instances > 1))
    print("%-46s %6.0f ms  (%.0f ms to %.0f ms, %d runs)" % (
        name, 1000 * statistics.median(took), 1000 * took[0], 1000 * took[-1], runs))
