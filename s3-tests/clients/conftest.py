"""What all tests share: one server, a bucket of each test's own, and the closing line of a run."""

import itertools
import os
import sys
from pathlib import Path

import pytest

from harness import ACCESS_KEY, LARGE, REGION, SECRET_KEY, SIZES, Programs, Server, content
from raw import Raw
from tls import TlsFront, make_certificate

numbers = itertools.count(1)
counts = {"passed": 0, "failed": 0}


def pytest_addoption(parser):
    parser.addoption("--all", action="store_true", help="also the large sizes")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--all"):
        items[:] = [item for item in items if not item.get_closest_marker("large")]


def pytest_report_teststatus(report):
    if report.when == "call" and report.passed:
        return "passed", "", "ok"
    if report.failed:
        return "failed", "", "FAILED"
    if report.skipped:
        return "failed", "", "FAILED (skipped)"
    return "", "", ""


def pytest_runtest_logreport(report):
    if report.failed or report.skipped:  # no client is left out in silence
        counts["failed"] += 1
    elif report.when == "call":
        counts["passed"] += 1


def pytest_collectreport(report):
    counts["failed"] += report.failed


def pytest_sessionfinish(session):
    if counts["failed"] or not counts["passed"]:
        session.exitstatus = 1


def pytest_unconfigure():
    print(f"{counts['passed']} passed, {counts['failed']} failed", file=sys.stdout, flush=True)


@pytest.fixture(scope="session")
def work():
    """A folder of this run; run.sh makes and removes it."""
    return Path(os.environ["CAIRN_CLIENTS_WORK"])


@pytest.fixture(scope="session")
def server(work):
    server = Server(work / "server")
    server.start()
    yield server
    assert server.process.poll() is None, f"the server ended by itself, see {server.log}"
    assert server.stop() == 0


@pytest.fixture(scope="session")
def certificate(work):
    """The path of the TLS endpoint's certificate, and that of its key."""
    return make_certificate(work)


@pytest.fixture(scope="session")
def tls(server, certificate):
    return TlsFront(server.listen, *certificate)


@pytest.fixture(scope="session")
def programs(work):
    return Programs(work / "home")


@pytest.fixture(scope="session")
def raw(server):
    return Raw(server.listen, ACCESS_KEY, SECRET_KEY, REGION)


@pytest.fixture
def bucket(raw):
    """A new bucket."""
    name = f"bucket-{next(numbers):03}"
    raw.put(f"/{name}").ok()
    return name


@pytest.fixture(scope="session")
def sizes(request):
    return SIZES + [LARGE] * request.config.getoption("--all")


@pytest.fixture(scope="session")
def files(work, sizes):
    """A folder with a file of each size, and its content as {name: bytes}."""
    folder = work / "sizes"
    folder.mkdir()
    tree = {f"{size}.bin": content(size) for size in sizes}
    for name, data in tree.items():
        (folder / name).write_bytes(data)
    return folder, tree


@pytest.fixture(scope="session")
def many(raw):
    """A bucket with 1,100 keys in 11 folders: more than one page. Tests only read it."""
    raw.put("/many").ok()
    keys = sorted(f"folder{n % 11:02}/key {n:04}" for n in range(1100))
    raw.put_many("/many", {key: key.encode() for key in keys})
    return "many", keys
