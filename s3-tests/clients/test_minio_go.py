"""minio-go's functional tests, which its authors run against their own server. They are one program, and it
runs them all; go/minio_left_out.tsv names those that need not pass, and each of these must indeed fail."""

import json

import pytest

import suites

pytestmark = pytest.mark.large


def verdicts(output):
    """{name: ...} of every test; the second test of a name, which is the one that signs with version 4, is `name#2`."""
    found = {}
    for said in map(json.loads, filter(lambda line: line.startswith("{"), output.splitlines())):
        name, number = said["name"].removeprefix("minio-go: "), 1
        while f"{name}#{number}" in found or (number == 1 and name in found):
            number += 1
        reason = f"{said.get('alert', '')} {said.get('message', '')} {said.get('error', '')}"
        found[name if number == 1 else f"{name}#{number}"] = None if said["status"] == "PASS" else reason
    return found


def test_minio_go(programs, server, work):
    folder = suites.HERE / "go"
    module = "github.com/minio/minio-go/v7"
    status, source = programs.outcome("go", "list", "-C", folder, "-m", "-f={{.Dir}}", module, environment=suites.GO)
    assert status == 0, source
    program = work / "minio-go"
    words = ["go", "build", "-C", folder, "-o", program, f"{source.strip()}/functional_tests.go"]
    programs.run(*words, environment=suites.GO)
    settings = {"SERVER_ENDPOINT": server.listen, "ACCESS_KEY": programs.environment["AWS_ACCESS_KEY_ID"]}
    settings |= {"SECRET_KEY": programs.environment["AWS_SECRET_ACCESS_KEY"], "ENABLE_HTTPS": "0"}
    settings |= {"ENABLE_KMS": "0", "MINT_MODE": "full", "RUN_ON_FAIL": "1"}
    status, output = programs.outcome(program, environment=settings, folder=work)  # it writes files
    found = verdicts(output)
    assert status == 0 and len(found) > 80, output[-4000:]
    failed = {name: reason for name, reason in found.items() if reason is not None}
    listed = suites.left_out(folder / "minio_left_out.tsv")
    new = [f"{name}: {reason}" for name, reason in failed.items() if name not in listed]
    assert not new, "\n".join(new)
    assert not listed.keys() - failed.keys(), "these pass, or are gone: take them off the list"
