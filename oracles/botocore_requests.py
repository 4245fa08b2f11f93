"""Lets botocore's own clients write the requests of every operation that the server answers.

Writes botocore_requests.json beside this file: for each case the request as it would be sent,
without what signing adds, and the parameters from which botocore made it in the canonical form
of documents (times as epoch seconds, streams left out). Needs botocore (the output names the
version used):

    python -m venv venv && venv/bin/pip install botocore && venv/bin/python oracles/botocore_requests.py
"""

import datetime
import json
import pathlib
import re
from urllib.parse import urlsplit

import botocore
import botocore.session
from botocore.config import Config

TIME = datetime.datetime(2026, 11, 23, 19, 4, 49, 250000, tzinfo=datetime.timezone.utc)
WHOLE = TIME.replace(microsecond=0)
ROLE = "arn:aws:iam::123456789012:role/service-role/SightlineExecution"
JOB_ARN = "arn:aws:sagemaker:us-east-1:123456789012:processing-job/job-1"
SKLEARN = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:0.20.0-cpu-py3"

# Added by signing and retrying; the signature itself is the matter of sigv4.py.
SIGNING = re.compile(
    r"^(authorization|x-amz-date|x-amz-content-sha256|amz-sdk-.*|user-agent|host)$", re.I
)

# Members that botocore fills in as headers after it has serialized the parameters.
AFTERWARDS = {
    "x-amz-checksum-crc32": "ChecksumCRC32",
    "x-amz-sdk-checksum-algorithm": "ChecksumAlgorithm",
    "content-length": "ContentLength",
}

PROCESSING = {
    "ProcessingJobName": "sagemaker-scikit-learn-2026-11-23-19-04-49-250",
    "RoleArn": ROLE,
    "ProcessingResources": {
        "ClusterConfig": {
            "InstanceType": "ml.m5.xlarge",
            "InstanceCount": 2,
            "VolumeSizeInGB": 30,
        }
    },
    "AppSpecification": {
        "ImageUri": SKLEARN,
        "ContainerEntrypoint": ["python3", "/opt/ml/processing/input/code/preproc.py"],
        "ContainerArguments": ["--train-test-split-ratio", "0.2"],
    },
    "ProcessingInputs": [
        {
            "InputName": "input-1",
            "AppManaged": False,
            "S3Input": {
                "S3Uri": "s3://sagemaker-us-east-1-123456789012/raw",
                "LocalPath": "/opt/ml/processing/input",
                "S3DataType": "S3Prefix",
                "S3InputMode": "File",
                "S3DataDistributionType": "FullyReplicated",
                "S3CompressionType": "None",
            },
        }
    ],
    "ProcessingOutputConfig": {
        "Outputs": [
            {
                "OutputName": "train_data",
                "AppManaged": False,
                "S3Output": {
                    "S3Uri": "s3://sagemaker-us-east-1-123456789012/out/train_data",
                    "LocalPath": "/opt/ml/processing/train",
                    "S3UploadMode": "EndOfJob",
                },
            }
        ]
    },
    "Environment": {"LANG": "de_DE.UTF-8", "EMPTY": ""},
    "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    "NetworkConfig": {"EnableNetworkIsolation": True},
    "Tags": [{"Key": "team", "Value": "größe"}],
}

TRAINING = {
    "TrainingJobName": "train-1",
    "RoleArn": ROLE,
    "AlgorithmSpecification": {
        "TrainingInputMode": "File",
        "TrainingImage": SKLEARN,
        "MetricDefinitions": [{"Name": "accuracy", "Regex": "accuracy=([0-9.]+)"}],
    },
    "HyperParameters": {
        "C": '"0.01"',
        "sagemaker_program": '"train.py"',
        "sagemaker_container_log_level": "20",
    },
    "InputDataConfig": [
        {
            "ChannelName": "train",
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": "S3Prefix",
                    "S3Uri": "s3://sagemaker-us-east-1-123456789012/out/train_data",
                    "S3DataDistributionType": "FullyReplicated",
                }
            },
        }
    ],
    "OutputDataConfig": {"S3OutputPath": "s3://sagemaker-us-east-1-123456789012/"},
    "ResourceConfig": {
        "InstanceCount": 1,
        "InstanceType": "ml.m5.xlarge",
        "VolumeSizeInGB": 30,
    },
    "StoppingCondition": {"MaxRuntimeInSeconds": 86400},
    "DebugHookConfig": {"S3OutputPath": "s3://b/debug", "CollectionConfigurations": []},
    "ProfilerConfig": {"DisableProfiler": False, "S3OutputPath": "s3://b/profile"},
    "ExperimentConfig": {"ExperimentName": "e", "TrialName": "t", "RunName": "r"},
}

LIST = {
    "MaxResults": 100,
    "NameContains": "train",
    "SortBy": "CreationTime",
    "SortOrder": "Descending",
    "StatusEquals": "Failed",
    "CreationTimeAfter": TIME,
    "LastModifiedTimeBefore": WHOLE,
    "NextToken": "abc==",
}

BUCKET = {"Bucket": "bucket-1"}
OBJECT = BUCKET | {"Key": "a/b.csv"}
UPLOAD = OBJECT | {"UploadId": "u+/=1"}
OWNER = {"ExpectedBucketOwner": "123456789012"}

# Keys that a careless server decodes twice, normalises or splits.
AWKWARD_KEYS = [
    "a//b",
    "a/../b",
    "./a",
    "trailing/",
    "plus+and space",
    "50%25.txt",
    "größe/ключ/\U0001f600",
    "a?b=c&d#e",
    "quote\"'<>&;",
    "tab\tline",
]

CASES = [
    ("sts", "GetCallerIdentity", [{}]),
    ("iam", "GetRole", [{"RoleName": "SightlineExecution"}, {"RoleName": "a+=,.@-_b"}]),
    (
        "sagemaker",
        "CreateProcessingJob",
        [PROCESSING],
    ),
    ("sagemaker", "DescribeProcessingJob", [{"ProcessingJobName": "job-1"}]),
    ("sagemaker", "StopProcessingJob", [{"ProcessingJobName": "job-1"}]),
    ("sagemaker", "ListProcessingJobs", [{}, LIST]),
    ("sagemaker", "CreateTrainingJob", [TRAINING]),
    ("sagemaker", "DescribeTrainingJob", [{"TrainingJobName": "train-1"}]),
    ("sagemaker", "StopTrainingJob", [{"TrainingJobName": "train-1"}]),
    ("sagemaker", "ListTrainingJobs", [{}, LIST | {"WarmPoolStatusEquals": "InUse"}]),
    (
        "sagemaker",
        "AddTags",
        [{"ResourceArn": JOB_ARN, "Tags": [{"Key": "a", "Value": ""}, {"Key": "b", "Value": "c"}]}],
    ),
    ("sagemaker", "ListTags", [{"ResourceArn": JOB_ARN, "MaxResults": 50}]),
    ("sagemaker", "DeleteTags", [{"ResourceArn": JOB_ARN, "TagKeys": ["a", "b"]}]),
    ("logs", "DescribeLogGroups", [{}, {"logGroupNamePrefix": "/aws/sagemaker/", "limit": 50}]),
    (
        "logs",
        "DescribeLogStreams",
        [
            {
                "logGroupName": "/aws/sagemaker/ProcessingJobs",
                "logStreamNamePrefix": "job-1/",
                "orderBy": "LogStreamName",
                "limit": 2,
            },
            {"logGroupIdentifier": "/aws/sagemaker/TrainingJobs", "descending": True},
        ],
    ),
    (
        "logs",
        "GetLogEvents",
        [
            {
                "logGroupName": "/aws/sagemaker/ProcessingJobs",
                "logStreamName": "job-1/algo-1-1795460689",
                "startTime": 1795460689250,
                "startFromHead": True,
                "nextToken": "f/0123/s",
            }
        ],
    ),
    (
        "cloudtrail",
        "LookupEvents",
        [
            {},
            {
                "LookupAttributes": [
                    {"AttributeKey": "EventName", "AttributeValue": "CreateTrainingJob"}
                ],
                "StartTime": TIME,
                "EndTime": WHOLE,
                "MaxResults": 50,
            },
        ],
    ),
    ("cloudtrail", "DescribeTrails", [{}, {"trailNameList": ["trail-1"], "includeShadowTrails": False}]),
    ("cloudtrail", "GetTrail", [{"Name": "trail-1"}]),
    ("cloudtrail", "GetTrailStatus", [{"Name": "trail-1"}]),
    ("cloudtrail", "ListPublicKeys", [{}, {"StartTime": TIME, "EndTime": WHOLE, "NextToken": "n"}]),
    ("cloudtrail", "ListTrails", [{}, {"NextToken": "n"}]),
    ("s3", "ListBuckets", [{}, {"Prefix": "sage", "MaxBuckets": 10, "BucketRegion": "us-east-1"}]),
    (
        "s3",
        "CreateBucket",
        [
            {"Bucket": "bucket-1"},
            {
                "Bucket": "bucket-1",
                "ACL": "private",
                "CreateBucketConfiguration": {
                    "LocationConstraint": "eu-west-1",
                    "Tags": [{"Key": "a<b", "Value": "c&d"}],
                },
            },
        ],
    ),
    ("s3", "HeadBucket", [{"Bucket": "bucket-1"} | OWNER]),
    ("s3", "GetBucketLocation", [{"Bucket": "bucket-1"} | OWNER]),
    (
        "s3",
        "PutObject",
        [
            OBJECT | OWNER | {"Body": b"x,y\n1,2\n"},
            OBJECT
            | {
                "Body": b"",
                "ContentType": "text/csv; charset=utf-8",
                "CacheControl": "max-age=60",
                "Expires": WHOLE,
                "Metadata": {"Owner": "me", "job-name": "a b"},
                "StorageClass": "STANDARD",
                "ServerSideEncryption": "AES256",
                "BucketKeyEnabled": True,
                "Tagging": "a=b&c=d%20e",
                "IfNoneMatch": "*",
                "ChecksumSHA256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            },
        ]
        + [{"Bucket": "bucket-1", "Key": key, "Body": b"1"} for key in AWKWARD_KEYS],
    ),
    (
        "s3",
        "GetObject",
        [
            OBJECT | {"Range": "bytes=0-8388607", "IfMatch": '"abc"'},
            OBJECT
            | {
                "IfModifiedSince": WHOLE,
                "PartNumber": 3,
                "ResponseContentDisposition": 'attachment; filename="a b.csv"',
                "ResponseExpires": WHOLE,
                "VersionId": "null",
            },
        ]
        + [{"Bucket": "bucket-1", "Key": key} for key in AWKWARD_KEYS],
    ),
    ("s3", "HeadObject", [OBJECT | OWNER, OBJECT | {"ChecksumMode": "ENABLED"}]),
    ("s3", "DeleteObject", [OBJECT, OBJECT | {"IfMatchLastModifiedTime": WHOLE}]),
    (
        "s3",
        "ListObjects",
        [{"Bucket": "bucket-1", "Prefix": "a+b/ü ", "Delimiter": "/", "Marker": "m", "MaxKeys": 7}],
    ),
    (
        "s3",
        "ListObjectsV2",
        [
            {"Bucket": "bucket-1"},
            {
                "Bucket": "bucket-1",
                "Prefix": "raw/",
                "ContinuationToken": "t+/=",
                "StartAfter": "raw/a",
                "FetchOwner": True,
                "OptionalObjectAttributes": ["RestoreStatus"],
                "RequestPayer": "requester",
            },
        ],
    ),
    ("s3", "CreateMultipartUpload", [OBJECT | {"Metadata": {"a": "b"}, "ContentType": "a/b"}]),
    ("s3", "UploadPart", [UPLOAD | {"PartNumber": 2, "Body": b"part"}]),
    (
        "s3",
        "CompleteMultipartUpload",
        [
            UPLOAD
            | {
                "MultipartUpload": {
                    "Parts": [
                        {"ETag": '"a"', "PartNumber": 1, "ChecksumCRC32": "AAAAAA=="},
                        {"ETag": '"b"', "PartNumber": 2},
                    ]
                },
                "MpuObjectSize": 9000000000,
            }
        ],
    ),
    ("s3", "AbortMultipartUpload", [UPLOAD]),
    ("s3", "ListParts", [UPLOAD | {"MaxParts": 10, "PartNumberMarker": 3}]),
    (
        "s3",
        "ListMultipartUploads",
        [
            BUCKET | OWNER,
            BUCKET
            | {
                "Prefix": "a+b/ü ",
                "Delimiter": "/",
                "KeyMarker": "k",
                "UploadIdMarker": "u+/=1",
                "MaxUploads": 7,
            },
        ],
    ),
    (
        "s3",
        "UploadPartCopy",
        [
            UPLOAD
            | {
                "PartNumber": 2,
                "CopySource": {"Bucket": "bucket-1", "Key": "a b+c", "VersionId": "v1"},
                "CopySourceRange": "bytes=0-8",
                "CopySourceIfMatch": '"abc"',
            }
        ],
    ),
    ("s3", "DeleteBucket", [BUCKET | OWNER]),
    ("s3", "GetBucketTagging", [BUCKET]),
    ("s3", "PutBucketTagging", [BUCKET | {"Tagging": {"TagSet": [{"Key": "a<b", "Value": "c&d"}]}}]),
    ("s3", "DeleteBucketTagging", [BUCKET]),
    ("s3", "GetBucketVersioning", [BUCKET]),
    ("s3", "PutBucketVersioning", [BUCKET | {"VersioningConfiguration": {"Status": "Enabled"}}]),
    (
        "s3",
        "CopyObject",
        [
            OBJECT | {"CopySource": "bucket-1/größe/a b+c"},
            OBJECT
            | {
                "CopySource": {"Bucket": "bucket-1", "Key": "a b+c", "VersionId": "v1"},
                "CopySourceIfNoneMatch": '"abc"',
                "CopySourceIfModifiedSince": WHOLE,
                "MetadataDirective": "REPLACE",
                "Metadata": {"a": "b"},
                "TaggingDirective": "REPLACE",
                "Tagging": "a=b",
                "ChecksumAlgorithm": "SHA256",
                "ExpectedSourceBucketOwner": "123456789012",
            },
        ],
    ),
    (
        "s3",
        "DeleteObjects",
        [
            BUCKET | {"Delete": {"Objects": [{"Key": key} for key in AWKWARD_KEYS]}},
            BUCKET
            | {
                "Delete": {
                    "Objects": [{"Key": "a", "VersionId": "v1", "ETag": '"abc"'}],
                    "Quiet": True,
                }
            },
        ],
    ),
    (
        "s3",
        "GetObjectAttributes",
        [
            OBJECT
            | {
                "ObjectAttributes": ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"],
                "MaxParts": 10,
                "PartNumberMarker": 3,
                "VersionId": "v1",
            }
        ],
    ),
    (
        "s3",
        "ListObjectVersions",
        [
            BUCKET,
            BUCKET
            | {"Prefix": "a", "Delimiter": "/", "KeyMarker": "a+b", "VersionIdMarker": "v1", "MaxKeys": 7},
        ],
    ),
    ("s3", "GetObjectTagging", [OBJECT | {"VersionId": "v1"}]),
    (
        "s3",
        "PutObjectTagging",
        [OBJECT | {"Tagging": {"TagSet": [{"Key": "a", "Value": ""}, {"Key": "b", "Value": "ü"}]}}],
    ),
    ("s3", "DeleteObjectTagging", [OBJECT]),
    ("s3", "GetObjectAcl", [OBJECT]),
    ("s3", "PutObjectAcl", [OBJECT | {"ACL": "bucket-owner-full-control"}]),
    (
        "s3",
        "PutBucketAcl",
        [
            BUCKET | {"ACL": "private"},
            BUCKET
            | {
                "AccessControlPolicy": {
                    "Owner": {"ID": "123456789012"},
                    "Grants": [
                        {
                            "Grantee": {"ID": "123456789012", "Type": "CanonicalUser"},
                            "Permission": "FULL_CONTROL",
                        }
                    ],
                }
            },
        ],
    ),
] + [
    ("s3", operation, [BUCKET])
    for operation in (
        "GetBucketAccelerateConfiguration",
        "GetBucketAcl",
        "GetBucketCors",
        "GetBucketEncryption",
        "GetBucketLifecycleConfiguration",
        "GetBucketLogging",
        "GetBucketNotificationConfiguration",
        "GetBucketOwnershipControls",
        "GetBucketReplication",
        "GetBucketRequestPayment",
        "GetBucketWebsite",
        "GetObjectLockConfiguration",
        "GetPublicAccessBlock",
    )
]

# Operations without traps of their own: each is asked once with every member that the model has.
WHOLE_REQUESTS = [
    ("s3", "DeleteBucketPolicy"), ("s3", "GetBucketPolicy"), ("s3", "PutBucketPolicy"),
    ("sts", "AssumeRole"), ("sts", "GetAccessKeyInfo"), ("sts", "GetSessionToken"),
] + [
    ("iam", operation)
    for operation in """
        AttachRolePolicy AttachUserPolicy CreateAccessKey CreatePolicy CreatePolicyVersion
        CreateRole CreateUser DeleteAccessKey DeletePolicy DeletePolicyVersion DeleteRole
        DeleteRolePermissionsBoundary DeleteRolePolicy DeleteUser DeleteUserPermissionsBoundary
        DeleteUserPolicy DetachRolePolicy DetachUserPolicy
        GetAccessKeyLastUsed GetContextKeysForCustomPolicy GetPolicy GetPolicyVersion
        GetRolePolicy GetUser GetUserPolicy ListAccessKeys ListAccountAliases
        ListAttachedRolePolicies ListAttachedUserPolicies ListEntitiesForPolicy ListPolicies
        ListPolicyVersions ListRolePolicies ListRoles ListRoleTags ListUserPolicies ListUsers
        ListUserTags PutRolePermissionsBoundary PutRolePolicy PutUserPermissionsBoundary
        PutUserPolicy SetDefaultPolicyVersion SimulateCustomPolicy
        SimulatePrincipalPolicy TagRole TagUser UntagRole UntagUser UpdateAccessKey
        UpdateAssumeRolePolicy UpdateRole UpdateUser
    """.split()
]


def whole(shape):
    """A value of a shape with every member, each list and map with one value."""
    if shape.type_name == "structure":
        return {name: whole(member) for name, member in shape.members.items()}
    if shape.type_name == "list":
        return [whole(shape.member)]
    if shape.type_name == "map":
        return {"key": whole(shape.value)}
    if shape.type_name == "timestamp":
        return TIME
    if shape.type_name == "boolean":
        return True
    if shape.type_name in ("integer", "long"):
        return max(shape.metadata.get("min", 1), 1)
    enum = shape.metadata.get("enum")
    least = max(shape.metadata.get("min", 1), 1)
    # What re lacks of the models' expressions stands for any text here.
    pattern = re.sub(r"\[\\p.*\]|\[\\u.*\]", ".", shape.metadata.get("pattern", ".*"))
    fitting = [text for text in ("v" * least, "1" * least, "v1", "/") if re.fullmatch(pattern, text, re.ASCII)]
    return enum[0] if enum else fitting[0]


def whole_cases():
    session = botocore.session.Session()
    for service, operation in WHOLE_REQUESTS:
        shape = session.get_service_model(service).operation_model(operation).input_shape
        value = whole(shape)
        if service == "s3":
            value = {"Bucket": "bucket-1"} | ({"Policy": "{}"} if "Policy" in value else {})
        if operation in ("SimulatePrincipalPolicy", "SimulateCustomPolicy"):
            value.pop("PolicyExclusionList", None)
            value.pop("OrderedOrganizationPolicyInputList", None)
        yield service, operation, [value]


CASES += whole_cases()


class Captured(Exception):
    """Stops a call when its request is complete."""


def main():
    session = botocore.session.Session()
    session.set_credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    cases = []
    for service, operation, inputs in CASES:
        for number, parameters in enumerate(inputs):
            name = f"{service} {operation} {number}"
            cases.append({"name": name, "service": service, "operation": operation}
                         | capture(session, service, operation, parameters))
    output = {"botocore": botocore.__version__, "cases": cases}
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(output, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def capture(session, service, operation, parameters):
    client = session.create_client(
        service,
        region_name="us-east-1",
        endpoint_url="http://127.0.0.1:7070",
        config=Config(s3={"addressing_style": "path"}),
    )
    final, sent = {}, []
    serialize = client._serializer.serialize_to_request

    def record_parameters(api_params, operation_model):
        final.update(api_params)
        return serialize(api_params, operation_model)

    def stop(request, **_):
        sent.append(request)
        raise Captured

    client._serializer.serialize_to_request = record_parameters
    client.meta.events.register("before-send", stop)
    method = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", operation).lower()
    if not hasattr(client, method):
        method = next(m for m, o in client.meta.method_to_api_mapping.items() if o == operation)
    try:
        getattr(client, method)(**parameters)
    except Captured:
        pass
    members = client.meta.service_model.operation_model(operation).input_shape
    return describe(sent[0], final, members.members if members else {})


def describe(request, parameters, members):
    url = urlsplit(request.url)
    headers = [
        [name, value.decode() if isinstance(value, bytes) else value]
        for name, value in request.headers.items()
        if not SIGNING.match(name)
    ]
    document = {name: canonical(value) for name, value in parameters.items() if name != "Body"}
    # Metadata travels in the names of headers, which have no case.
    if "Metadata" in document:
        document["Metadata"] = {key.lower(): value for key, value in document["Metadata"].items()}
    # S3's model says text, so that clients may send what they like; botocore also takes a time.
    if "Expires" in document:
        document["Expires"] = dict(headers)["Expires"]
    for name, value in headers:
        member = AFTERWARDS.get(name.lower())
        if member in members and member not in document:
            document[member] = int(value) if member == "ContentLength" else value
    body = request.body
    if hasattr(body, "read"):
        body = body.read()
    if isinstance(body, str):
        body = body.encode()
    return {
        "request": {
            "method": request.method,
            "path": url.path,
            "query": url.query,
            "headers": headers,
            "body": (body or b"").decode(),
        },
        "document": document,
    }


def canonical(value):
    if isinstance(value, datetime.datetime):
        return value.timestamp()
    if isinstance(value, dict):
        return {key: canonical(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [canonical(inner) for inner in value]
    return value


if __name__ == "__main__":
    main()
