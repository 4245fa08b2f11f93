"""A server for the data libraries, and what the suites that two of them bring along need of it.

Runs in the environment of `requirements.txt` here, not in the one of the folder above.
"""

import json
import pathlib
import sys
from urllib.parse import urlsplit

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from running import Server  # noqa: E402

# Its options, groups and fixtures; the two of them that start another server are replaced below.
pytest_plugins = ["pyarrow.tests.conftest"]


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    shared = Server(tmp_path_factory.mktemp("data") / "server").start()
    yield shared
    shared.stop()


@pytest.fixture(scope="session")
def user_key(server):
    """The key of a user who may do everything, with a secret that can stand in a URI as it is,
    because pyarrow's tests write theirs there."""
    iam = server.client("iam")
    iam.create_user(UserName="analyst")
    iam.attach_user_policy(UserName="analyst", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    while True:
        key = iam.create_access_key(UserName="analyst")["AccessKey"]
        if key["SecretAccessKey"].isalnum():
            return key["AccessKeyId"], key["SecretAccessKey"]
        iam.delete_access_key(UserName="analyst", AccessKeyId=key["AccessKeyId"])


@pytest.fixture(scope="session")
def s3_connection(server, user_key):
    """What pyarrow's tests connect to: host, port and key."""
    address = urlsplit(server.url)
    return address.hostname, address.port, *user_key


@pytest.fixture(scope="session")
def s3_server(server, s3_connection, tmp_path_factory):
    return {"connection": s3_connection, "server": server, "tempdir": str(tmp_path_factory.getbasetemp())}


@pytest.fixture
def storage_options(server, user_key):
    """The options of every fsspec-based reader and writer."""
    key, secret = user_key
    return {"key": key, "secret": secret, "client_kwargs": {"endpoint_url": server.url, "region_name": server.region}}


@pytest.fixture
def bucket(server, request):
    name = "data-" + request.node.name.split("[")[0].replace("_", "-")[:50].strip("-")
    client = server.client("s3")
    client.create_bucket(Bucket=name)
    yield name
    empty(client, name)
    client.delete_bucket(Bucket=name)


def empty(client, bucket):
    """Deletes every object of a bucket, many with each request."""
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        keys = [{"Key": found["Key"]} for found in page.get("Contents", [])]
        if keys:
            failed = client.delete_objects(Bucket=bucket, Delete={"Objects": keys}).get("Errors")
            assert not failed, json.dumps(failed)


def pytest_collection_modifyitems(config, items):
    """Of pyarrow's tests, keeps those that speak to the S3 server of their fixtures."""

    def is_ours(item):
        if item.path.name != "test_arrow_suite.py":
            return True
        return "s3_server" in item.fixturenames and (
            "filesystem_config" not in item.fixturenames or item.get_closest_marker("s3") is not None
        )

    left_out = [item for item in items if not is_ours(item)]
    items[:] = [item for item in items if is_ours(item)]
    config.hook.pytest_deselected(items=left_out)
