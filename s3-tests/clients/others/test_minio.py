"""minio-py: the functional tests that its authors run against their own server, out of its source archive."""

import importlib.util
import json
import os
import sys
from pathlib import Path

import minio
import pytest

TESTS = Path(os.environ["CAIRN_MINIO_PY"]) / "tests/functional/tests.py"

# test_minio_py.py reads this list too.
LINES = (Path(__file__).parent / "minio_left_out.tsv").read_text().splitlines()
LEFT_OUT = [line.split("\t")[0] for line in LINES if not line.startswith("#")]


def load():
    # A module of this name in the package `tests` is not there: the file is loaded by its path.
    spec = importlib.util.spec_from_file_location("minio_functional", TESTS)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


FUNCTIONAL = load()
NAMES = [name for name in vars(FUNCTIONAL) if name.startswith("test_")]


@pytest.fixture(scope="module", autouse=True)
def client(address, keys, tmp_path_factory):
    FUNCTIONAL._client = minio.Minio(address, *keys, secure=False)
    FUNCTIONAL._is_aws = False
    folder = tmp_path_factory.mktemp("minio")
    for size, name in [(1, "_test_file"), (11, "_large_file")]:
        path = folder / name
        path.write_bytes(os.urandom(size << 20))
        setattr(FUNCTIONAL, name, str(path))


def test_names():
    assert len(NAMES) > 50 and set(LEFT_OUT) <= set(NAMES)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in LEFT_OUT])
def test_minio(name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        FUNCTIONAL._call_test(getattr(FUNCTIONAL, name))
    except FUNCTIONAL.TestFailed:
        pass  # said in the line below
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["status"] == "PASS", said.get("error") or said
