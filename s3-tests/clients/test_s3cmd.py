"""s3cmd, as Debian has it. It asks for policies, ACLs and more of all it shows."""

import pytest

from harness import ACCESS_KEY, MIB, SECRET_KEY, content, read_tree, same, write_tree

ODD_NAMES = ["with space.txt", "a+b=c&d.txt", "100%25 %zz.txt", "grüße/日本語 🦀.txt"]


@pytest.fixture(scope="module")
def s3cmd(programs, server, work):
    settings = {
        "access_key": ACCESS_KEY,
        "secret_key": SECRET_KEY,
        "host_base": server.listen,
        "host_bucket": server.listen,
        "use_https": "False",
    }
    config = work / "s3cfg"
    config.write_text("[default]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items()))

    def run(*words, **options):
        return programs.run("s3cmd", f"--config={config}", "--no-progress", *words, **options).decode()

    return run


def test_files_of_every_size(s3cmd, bucket, files, tmp_path):
    folder, tree = files
    s3cmd("put", *(folder / name for name in tree), f"s3://{bucket}/in/")
    s3cmd("get", "--recursive", f"s3://{bucket}/in/", tmp_path)
    assert same(read_tree(tmp_path), tree)
    listed = s3cmd("ls", f"s3://{bucket}/in/").split()
    assert sorted(map(int, listed[2::4])) == sorted(map(len, tree.values()))


def test_sync_up_and_down(s3cmd, bucket, tmp_path):
    up, down = tmp_path / "up", tmp_path / "down"
    down.mkdir()
    tree = {f"folder{n % 3}/file{n}": content(1000 * n) for n in range(12)}
    tree |= {name: name.encode() for name in ODD_NAMES}
    write_tree(up, tree)
    s3cmd("sync", f"{up}/", f"s3://{bucket}/tree/")
    s3cmd("sync", f"s3://{bucket}/tree/", f"{down}/")
    assert same(read_tree(down), tree)
    (up / "folder1/file1").write_bytes(b"changed")
    (up / "folder2/file2").unlink()
    s3cmd("sync", "--delete-removed", f"{up}/", f"s3://{bucket}/tree/")
    s3cmd("sync", "--delete-removed", f"s3://{bucket}/tree/", f"{down}/")
    assert same(read_tree(down), read_tree(up))


def test_what_info_asks_for(s3cmd, bucket, tmp_path):
    (tmp_path / "in").write_bytes(content(MIB))
    headers = ["--mime-type=text/x-test", "--add-header=x-amz-meta-colour:blue"]
    s3cmd("put", *headers, tmp_path / "in", f"s3://{bucket}/one")
    about = s3cmd("info", f"s3://{bucket}")
    for line in ("Location:", "Payer:     BucketOwner", "Policy:    none", "CORS:      none", "FULL_CONTROL"):
        assert line in about, about
    about = s3cmd("info", f"s3://{bucket}/one")
    for line in (f"File size: {MIB}", "MIME type: text/x-test", "x-amz-meta-colour: blue", "FULL_CONTROL"):
        assert line in about, about
    assert s3cmd("du", f"s3://{bucket}").split()[:2] == [str(MIB), "1"]
    assert f"s3://{bucket}/one" in s3cmd("la")


def test_buckets_copies_and_deletes(s3cmd, bucket, tmp_path):
    made = f"s3://{bucket}-made"
    s3cmd("mb", made)
    assert made in s3cmd("ls")
    (tmp_path / "in").write_bytes(content(1000))
    s3cmd("put", tmp_path / "in", f"{made}/a")
    s3cmd("cp", f"{made}/a", f"{made}/b")
    s3cmd("mv", f"{made}/b", f"{made}/folder/c")
    s3cmd("get", f"{made}/folder/c", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == content(1000)
    s3cmd("del", f"{made}/a")
    assert s3cmd("ls", "--recursive", made).split()[3::4] == [f"{made}/folder/c"]
    s3cmd("rb", "--recursive", made)
    assert "NoSuchBucket" in s3cmd("ls", made, fails=True)


def test_lists_of_more_than_a_page(s3cmd, many):
    bucket, keys = many
    listed = s3cmd("ls", "--recursive", f"s3://{bucket}").splitlines()
    assert [line.split(f"s3://{bucket}/")[1] for line in listed] == keys
    assert s3cmd("ls", f"s3://{bucket}").count("DIR") == 11


def test_uploads_under_way(s3cmd, raw, bucket):
    upload = raw.create_upload(f"/{bucket}/big")
    assert upload in s3cmd("multipart", f"s3://{bucket}")
    raw.put_part(f"/{bucket}/big", upload, 1, b"part").ok()
    assert "4" in s3cmd("listmp", f"s3://{bucket}/big", upload)
    s3cmd("abortmp", f"s3://{bucket}/big", upload)
    assert upload not in s3cmd("multipart", f"s3://{bucket}")


def test_what_is_not_there_is_refused(s3cmd, bucket, tmp_path):
    assert "AccessControlListNotSupported" in s3cmd("setacl", "--acl-public", f"s3://{bucket}", fails=True)
    (tmp_path / "policy").write_text("{}")
    assert "501" in s3cmd("setpolicy", tmp_path / "policy", f"s3://{bucket}", fails=True)
