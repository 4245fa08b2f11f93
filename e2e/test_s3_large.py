"""An object far larger than the memory that the server may take for it."""

import hashlib
import os
from pathlib import Path

from work import unique


def test_a_gibibyte_goes_in_and_out_whole_and_in_constant_memory(server, tmp_path):
    """By the transfer manager of boto3, in parts sent and ranges read in parallel."""
    client, bucket = server.client("s3"), unique("gib")
    client.create_bucket(Bucket=bucket)
    source, target = tmp_path / "source", tmp_path / "target"
    block, sent = os.urandom(8 << 20), hashlib.sha256()
    with source.open("wb") as file:
        for number in range(128):
            piece = number.to_bytes(8, "big") + block[8:]
            file.write(piece)
            sent.update(piece)
    before = peak_memory(server)
    client.upload_file(str(source), bucket, "gib")
    client.download_file(bucket, "gib", str(target))
    with target.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").digest() == sent.digest()
    assert peak_memory(server) - before < 256 << 20
    client.delete_object(Bucket=bucket, Key="gib")
    client.delete_bucket(Bucket=bucket)


def peak_memory(server):
    """The most memory, in bytes, that the server has had resident."""
    status = Path("/proc/%d/status" % server.process.pid).read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) << 10
