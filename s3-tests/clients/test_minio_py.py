"""minio-py's functional tests, but for those that others/minio_left_out.tsv names."""

import os
from pathlib import Path

import pytest

import suites

pytestmark = pytest.mark.large
SOURCE = Path(os.environ["CAIRN_OTHERS_VENV"]) / "minio-py/tests/functional/tests.py"
LEFT_OUT = suites.left_out(suites.HERE / "others/minio_left_out.tsv")
NAMES = suites.names(r"^def (test_\w+)", [SOURCE])


@pytest.fixture(scope="module")
def suite(programs, server, tls, certificate, work):
    return suites.of_others(programs, suites.environment(server, tls, certificate), work, ["test_minio.py"])


@pytest.mark.parametrize("name", [name for name in NAMES if name not in LEFT_OUT])
def test_minio_py(suite, name):
    suite.check(f"test_minio[{name}]")
