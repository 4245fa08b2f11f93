"""The servers under test: ours, and two others that speak S3, all started on free ports."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import boto3
from botocore.config import Config

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "e2e"))
from running import BINARY, Server, clean_environment  # noqa: E402

CACHE = pathlib.Path(os.environ["SIGHTLINE_BENCH_CACHE"])
KEY, SECRET = "AKIABENCHBENCHBENCH1", "bench-secret-bench-secret-bench-secret-1"
START_LIMIT_S = 60
STARTS = 3


class Peer:
    """A running server with a bucket for the measurements."""

    def __init__(self, name, folder):
        self.name, self.folder = name, folder
        folder.mkdir(parents=True)
        self.starts_s = [self.time_to_start(folder / ("start-%d" % run)) for run in range(STARTS)]
        self.start()
        self.rss_mib = resident_mib(self.pid)
        self.s3 = boto3.client(
            "s3", endpoint_url=self.url, region_name="us-east-1",
            aws_access_key_id=self.key, aws_secret_access_key=self.secret,
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )
        self.s3.create_bucket(Bucket="bench")

    def time_to_start(self, folder):
        """Seconds from the command to the first answer of a server that has nothing yet."""
        folder.mkdir()
        port = free_port()
        with (folder / "log").open("wb") as log:
            started = time.monotonic()
            process = subprocess.Popen(
                self.command(port, folder), stdout=log, stderr=log, cwd=folder,
                env=clean_environment())
            try:
                wait_for_answer("http://127.0.0.1:%d" % port, process, self.name)
                return time.monotonic() - started
            finally:
                end(process)

    def targets(self, operation, keys, **parameters):
        """Presigned paths, so that the load generator need not sign."""
        return [self.target(operation, Key=key, **parameters) for key in keys]

    def target(self, operation, **parameters):
        url = self.s3.generate_presigned_url(
            operation, Params=dict(parameters, Bucket="bench"), ExpiresIn=7200)
        return url[len(self.url):]

    @property
    def address(self):
        host, port = self.url.removeprefix("http://").split(":")
        return host, int(port)


class Sightline(Peer):
    """Ours."""

    def __init__(self, folder):
        super().__init__("sightline", folder)

    def command(self, port, folder):
        return [BINARY, "serve", "--listen", "127.0.0.1:%d" % port, "--data-dir", folder / "data"]

    def start(self):
        self.server = Server(self.folder / "data").start()
        self.url, self.pid = self.server.url, self.server.process.pid
        self.key = self.server.variables["AWS_ACCESS_KEY_ID"]
        self.secret = self.server.variables["AWS_SECRET_ACCESS_KEY"]

    def restart_after(self, work):
        """Runs `work` on the data while no server holds it."""
        self.server.stop()
        work(self.folder / "data")
        self.start()
        self.s3 = boto3.client(
            "s3", endpoint_url=self.url, region_name="us-east-1",
            aws_access_key_id=self.key, aws_secret_access_key=self.secret)

    def large_files(self):
        files = (self.folder / "data" / "blobs").rglob("*")
        return [file for file in files if file.is_file() and file.stat().st_size > 1 << 20]

    def stop(self):
        self.server.stop()


class Other(Peer):
    """Another server, started by its own command."""

    key, secret = KEY, SECRET

    def start(self):
        port = free_port()
        self.url = "http://127.0.0.1:%d" % port
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                self.command(port, self.folder), stdout=log, stderr=log, cwd=self.folder)
        self.pid = self.process.pid
        wait_for_answer(self.url, self.process, self.name)

    def large_files(self):
        return []

    def stop(self):
        end(self.process)


class Moto(Other):
    """A mock of AWS in Python, which keeps everything in memory and believes every signature."""

    def __init__(self, folder):
        super().__init__("moto_server", folder)

    def command(self, port, folder):
        return [CACHE / "moto" / "bin" / "moto_server", "-p", str(port)]


class S3sFs(Other):
    """S3 on a directory in Rust: verifies signatures, flushes nothing, records nothing."""

    def __init__(self, folder):
        super().__init__("s3s-fs", folder)

    def command(self, port, folder):
        root = folder / "root"
        root.mkdir()
        return [
            CACHE / "s3s-fs" / "bin" / "s3s-fs", "--host", "127.0.0.1", "--port", str(port),
            "--access-key", KEY, "--secret-key", SECRET, root,
        ]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_answer(url, process, name):
    deadline = time.monotonic() + START_LIMIT_S
    while not answers(url):
        assert process.poll() is None, "%s ended at start" % name
        assert time.monotonic() < deadline, "%s does not answer" % name
        time.sleep(0.002)


def end(process):
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def answers(url):
    try:
        urllib.request.urlopen(url, timeout=5)
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def resident_mib(pid):
    for line in pathlib.Path("/proc/%d/status" % pid).read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise LookupError("no VmRSS")


def start_all(folder):
    shutil.rmtree(folder, ignore_errors=True)
    servers = []
    for make, name in ((Sightline, "sightline"), (S3sFs, "s3s-fs"), (Moto, "moto")):
        servers.append(make(folder / name))
    return servers


__all__ = ["BINARY", "Moto", "S3sFs", "Sightline", "start_all"]
