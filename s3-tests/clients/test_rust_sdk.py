"""The AWS SDK for Rust: the tests of the crate s3-tests, on the same server. run.sh has built them."""

import re
import subprocess

import pytest

from harness import ACCESS_KEY, SECRET_KEY

CARGO = ["cargo", "test", "--quiet", "--workspace", "--locked", "--test", "aws_sdk", "--"]


def names():
    listed = subprocess.run([*CARGO, "--list"], capture_output=True, text=True, check=True).stdout
    return re.findall(r"^(\w+): test$", listed, re.M)


@pytest.mark.parametrize("name", names())
def test_rust_sdk(server, monkeypatch, name):
    monkeypatch.setenv("CAIRN_TEST_ENDPOINT", server.endpoint)
    monkeypatch.setenv("CAIRN_TEST_ACCESS_KEY", ACCESS_KEY)
    monkeypatch.setenv("CAIRN_TEST_SECRET_KEY", SECRET_KEY)
    done = subprocess.run([*CARGO, "--exact", name], capture_output=True, text=True)
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout + done.stderr
