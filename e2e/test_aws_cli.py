"""The AWS command line on this server, as people type it."""

import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from work import unique

AWS = Path(sys.executable).with_name("aws")


@pytest.fixture
def aws(server, tmp_path):
    def run(*words, check=True):
        done = server.run(sys.executable, AWS, *words, cwd=tmp_path, AWS_PAGER="")
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def bucket(aws):
    name = unique("cli")
    assert "make_bucket: %s" % name in aws("s3", "mb", "s3://%s" % name).stdout
    yield name
    aws("s3", "rb", "--force", "s3://%s" % name)


def tree(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def plant(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


FILES = {
    "a.csv": b"1,2,3\n",
    "empty": b"",
    "deep/er/b.bin": os.urandom(300_000),
    "with space/and+plus/%41.txt": b"odd",
    "ünïcødé/数据.txt": "täxt".encode(),
    "large.bin": os.urandom(20 << 20),
}


def test_sync_makes_both_sides_alike_and_then_does_nothing(aws, bucket, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    plant(here, FILES)
    first = aws("s3", "sync", "here", "s3://%s/tree" % bucket)
    assert first.stdout.count("upload:") == len(FILES)
    assert aws("s3", "sync", "here", "s3://%s/tree" % bucket).stdout == ""
    aws("s3", "sync", "s3://%s/tree" % bucket, "there")
    assert tree(there) == FILES
    (here / "a.csv").unlink()
    plant(here, {"deep/new.txt": b"new"})
    second = aws("s3", "sync", "--no-progress", "--delete", "here", "s3://%s/tree" % bucket).stdout
    assert sorted(line.split(":")[0] for line in second.splitlines() if line.strip()) == ["delete", "upload"]
    aws("s3", "sync", "s3://%s/tree" % bucket, "s3://%s/copy" % bucket)
    aws("s3", "sync", "--delete", "s3://%s/copy" % bucket, "there")
    assert tree(there) == tree(here)


def test_cp_mv_ls_and_rm_work_on_files_prefixes_and_pipes(aws, bucket, tmp_path):
    plant(tmp_path, {"one.txt": b"one", "many/a": b"a", "many/b": b"bb", "many/c.log": b"ccc"})
    aws("s3", "cp", "one.txt", "s3://%s/" % bucket, "--metadata", "colour=blue", "--content-type", "text/x-one")
    head = aws("s3api", "head-object", "--bucket", bucket, "--key", "one.txt", "--output", "text",
               "--query", "[ContentType,Metadata.colour,ContentLength]").stdout.split()
    assert head == ["text/x-one", "blue", "3"]
    aws("s3", "cp", "--recursive", "--exclude", "*.log", "many", "s3://%s/many" % bucket)
    listing = aws("s3", "ls", "--recursive", "--summarize", "s3://%s" % bucket).stdout
    assert [line.split()[-1] for line in listing.splitlines() if line[:2] == "20"] == ["many/a", "many/b", "one.txt"]
    assert "Total Objects: 3" in listing and "Total Size: 6" in listing
    assert "PRE many/" in aws("s3", "ls", "s3://%s" % bucket).stdout
    aws("s3", "mv", "s3://%s/one.txt" % bucket, "s3://%s/moved/two.txt" % bucket)
    assert aws("s3", "cp", "s3://%s/moved/two.txt" % bucket, "-").stdout == "one"
    aws("s3", "rm", "--recursive", "s3://%s/many" % bucket)
    assert aws("s3", "ls", "--recursive", "s3://%s" % bucket).stdout.split()[-1] == "moved/two.txt"
    absent = aws("s3", "cp", "s3://%s/none" % bucket, "-", check=False)
    assert absent.returncode == 1 and "404" in absent.stderr


def test_a_presigned_address_opens_one_object_without_keys(aws, bucket, tmp_path):
    plant(tmp_path, {"open.txt": b"to all"})
    aws("s3", "cp", "open.txt", "s3://%s/a b/open+1.txt" % bucket)
    address = aws("s3", "presign", "s3://%s/a b/open+1.txt" % bucket).stdout.strip()
    with urllib.request.urlopen(address) as answer:
        assert answer.read() == b"to all"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(address.replace("open%2B1", "open%2B2"))
    assert refused.value.code == 403


def test_rb_refuses_a_bucket_that_holds_something(aws, tmp_path):
    name = unique("cli")
    aws("s3", "mb", "s3://%s" % name)
    plant(tmp_path, {"x": b"x"})
    aws("s3", "cp", "x", "s3://%s" % name)
    refused = aws("s3", "rb", "s3://%s" % name, check=False)
    assert refused.returncode == 1 and "BucketNotEmpty" in refused.stderr
    aws("s3", "rb", "--force", "s3://%s" % name)
    assert name not in aws("s3", "ls").stdout
