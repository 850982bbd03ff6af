"""Clients in a Python environment of their own, others/: PyArrow, DuckDB, and s3fs."""

import pytest

import suites

FILES = ["test_pyarrow.py", "test_duckdb.py", "test_s3fs.py"]


@pytest.fixture(scope="module")
def suite(programs, server, tls, certificate, work):
    return suites.of_others(programs, suites.environment(server, tls, certificate), work, FILES)


@pytest.mark.parametrize("name", suites.names(r"^def (test_\w+)", [suites.HERE / "others" / file for file in FILES]))
def test_other(suite, name):
    suite.check(name)
