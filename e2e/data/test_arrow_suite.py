"""The tests of pyarrow's own S3 file system, as its wheel brings them, against this server.

`conftest.py` gives them their server and leaves out the cases for other stores and for AWS itself.
"""

import pyarrow.fs
import pytest
from pyarrow.tests import test_fs
from pyarrow.tests.test_fs import *  # noqa: F403


@pytest.fixture(autouse=True)
def limited_user(request, monkeypatch):
    """Makes the limited user that one test asks for. The test chooses the user's key itself; this
    server draws it, and the file system is made with the key drawn."""
    if "limited" not in request.node.name:
        return
    keys = {}
    real = pyarrow.fs.S3FileSystem

    def make_user(s3_server, policy, name, _secret):
        server = s3_server["server"]
        for bucket in ("existing-bucket", "no-delete-bucket"):
            server.client("s3").create_bucket(Bucket=bucket)
        iam = server.client("iam")
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="limited", PolicyDocument=policy)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        keys[name] = {"access_key": key["AccessKeyId"], "secret_key": key["SecretAccessKey"]}

    monkeypatch.setattr(test_fs, "_configure_s3_limited_user", make_user)
    monkeypatch.setattr(
        pyarrow.fs, "S3FileSystem", lambda **options: real(**{**options, **keys[options["access_key"]]})
    )
