"""A real PostgreSQL server for tests, from the programs of the system's package."""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

from running import until

VERSIONS = pathlib.Path("/usr/lib/postgresql")
NOBODY = 65534


def _programs():
    found = sorted(VERSIONS.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    assert found, "%s has no server: run scripts/setup test-services" % VERSIONS
    return found[-1].parent


class Database:
    """A server that can be killed and started again on what it has stored."""

    def __init__(self):
        self.programs = _programs()
        # Sockets need short paths, and the server's user must reach them.
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="sightline-e2e-pg-", dir="/tmp"))
        if os.geteuid() == 0:
            os.chown(self.dir, NOBODY, NOBODY)
        self._run("initdb", "--username=sightline", "--auth=trust", "--no-sync", "--locale=C",
                  "--encoding=UTF8", "--pgdata", self.dir / "data")
        self.process = None
        self.start()

    @property
    def url(self):
        return "postgres://sightline@%s/postgres" % str(self.dir).replace("/", "%2F")

    def start(self):
        with (self.dir / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.programs / "postgres", "-D", self.dir / "data", "-k", self.dir,
                 "-c", "listen_addresses=", "-c", "fsync=off"],
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

    def _answers(self):
        return self._psql("SELECT 1", check=False).returncode == 0

    def _psql(self, statement, check=True):
        return self._run("psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align",
                         "--host", self.dir, "--username=sightline", "--dbname=postgres",
                         "--command", statement, check=check)

    def _run(self, program, *arguments, check=True):
        return subprocess.run([self.programs / program, *arguments], capture_output=True,
                              cwd="/", check=check, **self._user())

    @staticmethod
    def _user():
        return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
