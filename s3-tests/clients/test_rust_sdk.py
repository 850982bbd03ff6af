"""The AWS SDK for Rust and the crate object_store: the tests of the crate s3-tests, on the same server. run.sh
has built them."""

import re
import subprocess

import pytest

from harness import ACCESS_KEY, SECRET_KEY

CARGO = ["cargo", "test", "--quiet", "--workspace", "--locked", "--test"]


def listed_tests():
    found = []
    for client in ["aws_sdk", "object_store"]:
        listing = subprocess.run([*CARGO, client, "--", "--list"], capture_output=True, text=True, check=True)
        found += [(client, name) for name in re.findall(r"^(\w+): test$", listing.stdout, re.M)]
    return found


@pytest.mark.parametrize("client,name", listed_tests())
def test_rust_sdk(server, monkeypatch, client, name):
    monkeypatch.setenv("CAIRN_TEST_ENDPOINT", server.endpoint)
    monkeypatch.setenv("CAIRN_TEST_ACCESS_KEY", ACCESS_KEY)
    monkeypatch.setenv("CAIRN_TEST_SECRET_KEY", SECRET_KEY)
    done = subprocess.run([*CARGO, client, "--", "--exact", name], capture_output=True, text=True)
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout + done.stderr
