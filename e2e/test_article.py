"""The article's programs, unmodified, in their order, on a server that has seen nothing before."""

import sys

import pytest

from running import ROOT

PROGRAMS = ROOT / "examples" / "article"


@pytest.fixture(scope="module")
def article_server(tmp_path_factory):
    from running import Server

    running = Server(tmp_path_factory.mktemp("article") / "data").start()
    yield running
    running.stop()


@pytest.mark.parametrize("program, checks", [("01_processing.py", 14), ("02_training.py", 10)])
def test_the_program_holds_every_check(article_server, program, checks):
    done = article_server.run(sys.executable, PROGRAMS / program)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    held = [line for line in done.stdout.splitlines() if line.startswith("ok  - ")]
    assert len(held) == checks, "\n".join(held)


def test_nothing_of_the_article_needed_another_server(article_server):
    """The SDK's telemetry is off, and its own address for STS is redirected."""
    program = (
        "import sagemaker\n"
        "from sagemaker.config.config_schema import TELEMETRY_OPT_OUT_PATH as path\n"
        "session = sagemaker.Session()\n"
        "is_off = sagemaker.utils.resolve_value_from_config(None, path, False, session)\n"
        "role = sagemaker.get_execution_role()\n"
        "print(is_off, session.default_bucket(), role, session.account_id())\n"
    )
    done = article_server.run(sys.executable, "-c", program)
    assert done.returncode == 0, done.stderr
    is_off, bucket, role, account = done.stdout.split()[-4:]
    assert is_off == "True"
    assert account == article_server.account
    assert role == article_server.role
    buckets = article_server.client("s3").list_buckets()["Buckets"]
    assert bucket in [b["Name"] for b in buckets]
