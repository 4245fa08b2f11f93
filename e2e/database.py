"""A real PostgreSQL server for tests, from the programs of the system's package."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile

from running import until

VERSIONS = pathlib.Path("/usr/lib/postgresql")
NOBODY = 65534


def _programs():
    found = sorted(VERSIONS.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    assert found, "%s has no server: run scripts/setup test-services" % VERSIONS
    return found[-1].parent


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Database:
    """A server that can be killed and started again on what it has stored."""

    def __init__(self, certificates=None):
        """With a folder of certificates the server is reached over TLS, by a port of its own."""
        self.programs = _programs()
        # Sockets need short paths, and the server's user must reach them.
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="sightline-e2e-pg-", dir="/tmp"))
        if os.geteuid() == 0:
            os.chown(self.dir, NOBODY, NOBODY)
        self._run("initdb", "--username=sightline", "--auth=trust", "--no-sync", "--locale=C",
                  "--encoding=UTF8", "--pgdata", self.dir / "data")
        self.process = None
        self.port = 5432
        self.settings = ["listen_addresses="]
        if certificates is not None:
            self._encrypt(certificates)
        self.start()

    def _encrypt(self, certificates):
        self.port = free_port()
        self.settings = ["listen_addresses=127.0.0.1,127.0.0.2", "port=%d" % self.port, "ssl=on"]
        for setting, name in (("ssl_cert_file", "server.pem"), ("ssl_key_file", "server.key")):
            file = self.dir / name
            shutil.copyfile(certificates / name, file)
            file.chmod(0o600)
            if os.geteuid() == 0:
                os.chown(file, NOBODY, NOBODY)
            self.settings.append("%s=%s" % (setting, file))
        # Whoever does not encrypt is turned away.
        (self.dir / "data" / "pg_hba.conf").write_text("local all all trust\nhostssl all all all trust\n")

    @property
    def url(self):
        return "postgres://sightline@%s/postgres" % str(self.dir).replace("/", "%2F")

    def start(self):
        with (self.dir / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.programs / "postgres", "-D", self.dir / "data", "-k", self.dir,
                 "-c", "fsync=off", *(word for setting in self.settings for word in ("-c", setting))],
                stdout=log, stderr=log, cwd="/", **self._user(),
            )
        until("the database to answer", lambda: self._answers(), 60)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)

    def sql(self, statement):
        """The rows of an answer, each a list of texts."""
        text = self._psql(statement).stdout.decode()
        return [line.split("|") for line in text.splitlines()]

    def make(self, name):
        """The URL of another database, empty."""
        self.sql("CREATE DATABASE %s" % name)
        return self.url.replace("/postgres", "/" + name)

    def _answers(self):
        return self._psql("SELECT 1", check=False).returncode == 0

    def _psql(self, statement, check=True):
        return self._run("psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align",
                         "--host", self.dir, "--port", str(self.port),
                         "--username=sightline", "--dbname=postgres",
                         "--command", statement, check=check)

    def _run(self, program, *arguments, check=True):
        return subprocess.run([self.programs / program, *arguments], capture_output=True,
                              cwd="/", check=check, **self._user())

    @staticmethod
    def _user():
        return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
