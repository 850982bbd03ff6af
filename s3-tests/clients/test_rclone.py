"""rclone, as Debian has it."""

import os
import urllib.request

import pytest

from harness import ACCESS_KEY, MIB, REGION, SECRET_KEY, content, read_tree, same, write_tree

ODD_NAMES = ["with space.txt", "a+b=c&d.txt", "100%25 %zz.txt", "grüße/日本語 🦀.txt", "a`b'c\".txt"]


@pytest.fixture(scope="module")
def rclone(programs, server):
    remote = {
        "TYPE": "s3",
        "PROVIDER": "Other",
        "ACCESS_KEY_ID": ACCESS_KEY,
        "SECRET_ACCESS_KEY": SECRET_KEY,
        "ENDPOINT": server.endpoint,
        "REGION": REGION,
    }
    environment = {f"RCLONE_CONFIG_CAIRN_{name}": value for name, value in remote.items()}
    environment["RCLONE_CONFIG"] = os.devnull

    def run(*words, **options):
        return programs.run("rclone", "--retries=1", *words, environment=environment, **options)

    return run


def test_files_of_every_size(rclone, bucket, files, tmp_path):
    folder, tree = files
    rclone("copy", folder, f"cairn:{bucket}/in")
    rclone("check", folder, f"cairn:{bucket}/in")
    rclone("check", "--download", folder, f"cairn:{bucket}/in")
    rclone("copy", f"cairn:{bucket}/in", tmp_path)
    assert same(read_tree(tmp_path), tree)


def test_uploads_of_parts(rclone, bucket, files, tmp_path):
    folder, tree = files
    cutoff = ["--s3-upload-cutoff=5M", "--s3-chunk-size=5M"]
    rclone("copyto", *cutoff, folder / f"{20 * MIB}.bin", f"cairn:{bucket}/parts")
    rclone("rcat", f"cairn:{bucket}/stream", stdin=content(12 * MIB))  # of a length not known before
    assert same(rclone("cat", f"cairn:{bucket}/parts"), content(20 * MIB))
    assert same(rclone("cat", f"cairn:{bucket}/stream"), content(12 * MIB))
    tail = rclone("cat", "--offset", 5 * MIB - 3, "--count", 6, f"cairn:{bucket}/stream")
    assert tail == content(12 * MIB)[5 * MIB - 3 : 5 * MIB + 3]


def test_sync_up_and_down(rclone, bucket, tmp_path):
    up, down = tmp_path / "up", tmp_path / "down"
    tree = {f"folder{n % 3}/file{n}": content(1000 * n) for n in range(12)}
    tree |= {name: name.encode() for name in ODD_NAMES}
    write_tree(up, tree)
    rclone("sync", up, f"cairn:{bucket}/tree")
    rclone("sync", f"cairn:{bucket}/tree", down)
    assert same(read_tree(down), tree)
    (up / "folder1/file1").write_bytes(b"changed")
    (up / "folder2/file2").unlink()
    rclone("check", up, f"cairn:{bucket}/tree", fails=True)
    rclone("sync", up, f"cairn:{bucket}/tree")
    rclone("check", "--download", up, f"cairn:{bucket}/tree")
    assert len(rclone("lsf", "-R", "--files-only", f"cairn:{bucket}/tree").splitlines()) == len(tree) - 1


def test_times_are_kept(rclone, bucket, tmp_path):
    (tmp_path / "old").write_bytes(b"content")
    os.utime(tmp_path / "old", (1_000_000_000, 1_000_000_000))
    rclone("copy", tmp_path, f"cairn:{bucket}")
    assert rclone("lsf", "--format=tp", f"cairn:{bucket}").decode().endswith(";old\n")
    os.utime(tmp_path / "old", (1_100_000_000, 1_100_000_000))
    rclone("copy", tmp_path, f"cairn:{bucket}")  # a copy onto itself that replaces the metadata
    rclone("copy", f"cairn:{bucket}", tmp_path / "down")
    assert (tmp_path / "down/old").stat().st_mtime == 1_100_000_000


def test_lists_of_more_than_a_page(rclone, many):
    bucket, keys = many
    listed = rclone("lsf", "-R", "--files-only", f"cairn:{bucket}").decode().splitlines()
    assert sorted(listed) == keys
    assert len(rclone("lsf", "--dirs-only", f"cairn:{bucket}").splitlines()) == 11


def test_server_side_copies_and_deletes(rclone, bucket):
    rclone("rcat", f"cairn:{bucket}/a", stdin=b"content")
    rclone("copyto", f"cairn:{bucket}/a", f"cairn:{bucket}/b")
    rclone("moveto", f"cairn:{bucket}/b", f"cairn:{bucket}/folder/c")
    listed = rclone("lsf", "-R", f"cairn:{bucket}").decode().split()
    assert sorted(listed) == ["a", "folder/", "folder/c"]
    assert rclone("cat", f"cairn:{bucket}/folder/c") == b"content"
    rclone("deletefile", f"cairn:{bucket}/a")
    rclone("purge", f"cairn:{bucket}")
    rclone("lsf", f"cairn:{bucket}", fails=True)


def test_buckets_and_links(rclone, bucket):
    rclone("mkdir", f"cairn:{bucket}-made")
    assert f"{bucket}-made/".encode() in rclone("lsf", "cairn:").splitlines()
    rclone("rcat", f"cairn:{bucket}-made/with space", stdin=b"content")
    link = rclone("link", "--expire=1h", f"cairn:{bucket}-made/with space").decode().strip()
    with urllib.request.urlopen(link) as answer:
        assert answer.read() == b"content"
    rclone("rmdir", f"cairn:{bucket}-made", fails=True)
