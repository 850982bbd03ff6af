"""restic, as Debian has it: a repository that is written, checked, thinned out, and restored."""

import json

import pytest

from harness import MIB, content, read_tree, same, write_tree


@pytest.fixture
def restic(programs, server, bucket, tmp_path):
    environment = {
        "RESTIC_REPOSITORY": f"s3:{server.endpoint}/{bucket}/a folder",
        "RESTIC_PASSWORD": "a password",
        "RESTIC_CACHE_DIR": str(tmp_path / "cache"),
    }

    def run(*words, **options):
        return programs.run("restic", "--json", *words, environment=environment, **options)

    run("init")
    return run


def test_backup_check_prune_restore(restic, tmp_path):
    home = tmp_path / "home"
    tree = {f"folder{n % 3}/file {n}": content(40_000 * n) for n in range(20)}
    tree |= {"large": content(20 * MIB), "empty": b"", "grüße/日本語": b"content"}
    write_tree(home, tree)
    restic("backup", home)
    first = json.loads(restic("snapshots"))[0]["id"]

    (home / "large").unlink()
    write_tree(home, {"folder1/file 1": b"changed", "new": content(3 * MIB)})
    restic("backup", home)
    restic("check", "--read-data")
    restic("restore", first, "--target", tmp_path / "old")
    assert same(read_tree(tmp_path / "old" / home.relative_to("/")), tree)

    restic("forget", "--keep-last=1", "--prune")
    assert len(json.loads(restic("snapshots"))) == 1
    restic("check", "--read-data")
    restic("restore", "latest", "--target", tmp_path / "new")
    assert same(read_tree(tmp_path / "new" / home.relative_to("/")), read_tree(home))
    restic("restore", first, "--target", tmp_path / "gone", fails=True)


def test_prune_of_everything(restic, tmp_path):
    """Packs that no snapshot names any more are deleted, all of them in one batch."""
    write_tree(tmp_path / "home", {f"{n}": content(MIB + n) for n in range(8)})
    restic("backup", tmp_path / "home")
    snapshot = json.loads(restic("snapshots"))[0]["id"]
    restic("forget", snapshot)
    restic("prune")
    restic("check", "--read-data")
    assert json.loads(restic("snapshots")) == []
    assert restic("list", "packs").split() == []
