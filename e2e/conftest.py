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


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """A failed test shows what its server said last."""
    outcome = yield
    report = outcome.get_result()
    fixtures = getattr(item, "funcargs", {})
    running = fixtures.get("own_server") or fixtures.get("server")
    if report.failed and running is not None and running.log.exists():
        tail = running.log.read_text(errors="replace").splitlines()[-40:]
        report.sections.append(("the server's last lines", "\n".join(tail)))
