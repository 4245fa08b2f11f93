"""Servers for the tests: one that most tests share, and fresh ones for those that break them."""

import pytest

from running import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    shared = Server(tmp_path_factory.mktemp("shared") / "data").start()
    yield shared
    shared.stop()


@pytest.fixture
def own_server(tmp_path):
    own = Server(tmp_path / "data").start()
    yield own
    own.stop()


def server_of(item):
    fixtures = getattr(item, "funcargs", {})
    return fixtures.get("own_server") or fixtures.get("article_server") or fixtures.get("server")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item):
    running = server_of(item)
    item.log_start = running.log.stat().st_size if running else 0


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """A failed test shows what its server said while it ran."""
    report = (yield).get_result()
    running = server_of(item)
    if report.failed and running is not None:
        said = running.log.read_bytes()[getattr(item, "log_start", 0) :].decode(errors="replace")
        report.sections.append(("the server's last lines", "\n".join(said.splitlines()[-25:])))
