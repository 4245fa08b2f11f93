"""The real `sightline` binary on a data directory of its own, and clients that talk to it."""

import os
import pathlib
import re
import shlex
import signal
import subprocess
import time

import boto3
from botocore.config import Config

ROOT = pathlib.Path(__file__).resolve().parent.parent
BINARY = os.environ.get("SIGHTLINE_BIN", str(ROOT / "target" / "debug" / "sightline"))
START_LIMIT_S = 30


def until(what, probe, limit_s=120.0, every_s=0.1):
    """Asks until the probe answers something true; fails when it does not in time."""
    deadline = time.monotonic() + limit_s
    while True:
        value = probe()
        if value:
            return value
        assert time.monotonic() < deadline, "timed out after %ds waiting for %s" % (limit_s, what)
        time.sleep(every_s)


class Server:
    """One server. It can be stopped, killed and started again on the same data."""

    def __init__(self, data_dir, *flags):
        self.flags = flags
        self.data_dir = pathlib.Path(data_dir)
        self.log = self.data_dir.with_suffix(".log")
        self.process = None
        self.variables = {}

    def start(self, listen="127.0.0.1:0"):
        started_at = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [BINARY, "serve", "--listen", listen, "--data-dir", str(self.data_dir), *map(str, self.flags)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=clean_environment(),
            )
        until("the server to listen", lambda: self._listens(started_at), START_LIMIT_S, 0.02)
        self.variables = self._environment()
        return self

    def _listens(self, started_at):
        said = self.log.read_bytes()[started_at:]
        assert self.process.poll() is None, "the server ended at start:\n" + said.decode()
        return re.search(rb"listening on https?://", said)

    def _environment(self):
        text = self.command("env", "--format", "posix").stdout
        variables = {}
        for line in text.splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["export"]:
                variables.update(word.split("=", 1) for word in words[1:])
        return variables

    @property
    def url(self):
        return self.variables["AWS_ENDPOINT_URL"]

    def kill(self):
        """Ends the server as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """Asks the server to end, and expects it to do so well."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        assert code == 0, "the server ended with %s" % code

    def command(self, *words, check=True, timeout=60):
        """Runs `sightline WORDS --data-dir …`."""
        done = subprocess.run(
            [BINARY, *words, "--data-dir", str(self.data_dir)],
            capture_output=True, text=True, env=clean_environment(), timeout=timeout,
        )
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    def run(self, *command, timeout=600, cwd=None, **variables):
        """Runs a program as `sightline run -- PROGRAM` does for a user."""
        return subprocess.run(
            [BINARY, "run", "--data-dir", str(self.data_dir), "--", *map(str, command)],
            capture_output=True, text=True, env=dict(clean_environment(), **variables),
            timeout=timeout, cwd=cwd,
        )

    def client(self, service, key=None, secret=None, token=None, **options):
        """A boto3 client that tries once, so that a test sees each answer as it is."""
        session = boto3.Session(
            aws_access_key_id=key or self.variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=secret or self.variables["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=token,
            region_name=self.variables["AWS_DEFAULT_REGION"],
        )
        options.setdefault("config", Config(retries={"total_max_attempts": 1}))
        return session.client(service, endpoint_url=self.url, **options)

    @property
    def region(self):
        return self.variables["AWS_DEFAULT_REGION"]

    @property
    def account(self):
        return self.client("sts").get_caller_identity()["Account"]

    @property
    def role(self):
        """The role that the server gave to the caller, as the SDK's get_execution_role sees it."""
        arn = self.client("sts").get_caller_identity()["Arn"]
        name = arn.split("/")[1]
        return self.client("iam").get_role(RoleName=name)["Role"]["Arn"]


def clean_environment():
    """This process's environment without anything that points at some AWS account."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAGEMAKER_"))}
