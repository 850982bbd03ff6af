"""AWS CLI: version 2 as Debian has it, and version 1, which sends the newer default checksums."""

import base64
import hashlib
import json
import os
import urllib.request

import pytest

from harness import MIB, content, read_tree, same, write_tree

ODD_NAMES = ["with space.txt", "a+b=c&d.txt", "100%25 %zz.txt", "grüße/日本語 🦀.txt", "a;b,'c'.txt"]


class AwsCli:
    def __init__(self, program, programs, endpoint, *options):
        self.programs = programs
        self.words = [program, "--endpoint-url", endpoint, *options]

    def s3(self, *words, **options):
        return self.programs.run(*self.words, "s3", *words, **options).decode()

    def api(self, *words, **options):
        """The answer; of a call that must fail, its message."""
        told = self.programs.run(*self.words, "--output", "json", "s3api", *words, **options).decode()
        return told if options.get("fails") or not told else json.loads(told)


@pytest.fixture(scope="module", params=[1, 2], ids=["v1", "v2"])
def version(request):
    return request.param


@pytest.fixture(scope="module")
def program(version, programs):
    program = {1: f"{os.environ['CAIRN_PYTHON_VENV']}/bin/aws", 2: "/usr/bin/aws"}[version]
    assert programs.run(program, "--version").decode().startswith(f"aws-cli/{version}.")
    return program


@pytest.fixture(scope="module")
def aws(program, programs, server):
    return AwsCli(program, programs, server.endpoint)


@pytest.mark.parametrize("over", ["http", "https"])
def test_files_of_every_size(aws, program, programs, tls, certificate, over, bucket, files, tmp_path):
    if over == "https":
        aws = AwsCli(program, programs, tls.endpoint, "--ca-bundle", certificate[0])
    folder, tree = files
    aws.s3("cp", "--recursive", "--only-show-errors", folder, f"s3://{bucket}/in/")
    aws.s3("cp", "--recursive", "--only-show-errors", f"s3://{bucket}/in/", tmp_path)
    assert same(read_tree(tmp_path), tree)
    listed = aws.s3("ls", f"s3://{bucket}/in/").split("\n")
    sizes = {line.split()[3]: int(line.split()[2]) for line in listed if line}
    assert sizes == {name: len(data) for name, data in tree.items()}


def test_one_object_by_the_api(aws, bucket, tmp_path):
    data = content(100_000)
    (tmp_path / "in").write_bytes(data)
    object = ["--bucket", bucket, "--key", "one"]
    put = ["--body", tmp_path / "in", "--content-type", "text/x-test", "--metadata", "colour=deep blue"]
    etag = aws.api("put-object", *object, *put)["ETag"]
    assert etag == f'"{hashlib.md5(data).hexdigest()}"'
    head = aws.api("head-object", *object)
    assert (head["ContentLength"], head["ContentType"]) == (len(data), "text/x-test")
    assert (head["Metadata"], head["ETag"]) == ({"colour": "deep blue"}, etag)
    got = aws.api("get-object", *object, tmp_path / "out")
    assert same((tmp_path / "out").read_bytes(), data) and got["ETag"] == etag
    got = aws.api("get-object", *object, "--range", "bytes=99990-", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == data[99990:]
    assert got["ContentRange"] == "bytes 99990-99999/100000"


def test_sync_up_and_down(aws, bucket, tmp_path):
    up, down = tmp_path / "up", tmp_path / "down"
    tree = {f"folder{n % 3}/file{n}": content(1000 * n) for n in range(12)}
    tree |= {name: name.encode() for name in ODD_NAMES}
    write_tree(up, tree)
    assert aws.s3("sync", up, f"s3://{bucket}/tree").count("upload:") == len(tree)
    assert aws.s3("sync", up, f"s3://{bucket}/tree") == ""
    aws.s3("sync", f"s3://{bucket}/tree", down)
    assert same(read_tree(down), tree)
    (up / "folder1/file1").write_bytes(b"changed, and longer than before" * 100)
    (up / "folder2/file2").unlink()
    told = aws.s3("sync", "--delete", up, f"s3://{bucket}/tree")
    assert (told.count("upload:"), told.count("delete:")) == (1, 1)
    aws.s3("sync", "--delete", f"s3://{bucket}/tree", down)
    assert same(read_tree(down), read_tree(up))


def test_keys_that_are_no_paths(aws, bucket, tmp_path):
    keys = ["./dot/../key", "/leading", "tail/", "two//slashes"]
    for key in keys:
        (tmp_path / "in").write_text(key)
        aws.api("put-object", "--bucket", bucket, "--key", key, "--body", tmp_path / "in")
    listed = aws.api("list-objects-v2", "--bucket", bucket)["Contents"]
    assert [own["Key"] for own in listed] == keys
    for key in keys:
        aws.api("get-object", "--bucket", bucket, "--key", key, tmp_path / "out")
        assert (tmp_path / "out").read_text() == key
    aws.api("delete-object", "--bucket", bucket, "--key", keys[0])
    listed = aws.api("list-objects-v2", "--bucket", bucket)["Contents"]
    assert [own["Key"] for own in listed] == keys[1:]


def test_lists_of_more_than_a_page(aws, many):
    bucket, keys = many
    for call in ("list-objects", "list-objects-v2"):
        listed = aws.api(call, "--bucket", bucket)["Contents"]
        assert [own["Key"] for own in listed] == keys
    folder = [key for key in keys if key.startswith("folder03/")]
    listed = aws.api("list-objects-v2", "--bucket", bucket, "--prefix", "folder03/", "--page-size", "30")
    assert [own["Key"] for own in listed["Contents"]] == folder
    prefixes = aws.s3("ls", f"s3://{bucket}").split()
    assert prefixes == [word for n in range(11) for word in ("PRE", f"folder{n:02}/")]
    assert len(aws.s3("ls", "--recursive", f"s3://{bucket}").splitlines()) == len(keys)


def test_copy_move_and_remove(aws, bucket, tmp_path):
    write_tree(tmp_path, {"small": content(1000), "striped": content(7 * MIB)})
    aws.s3("cp", "--recursive", tmp_path, f"s3://{bucket}/a/", "--metadata", "k=v")
    aws.s3("cp", "--recursive", f"s3://{bucket}/a/", f"s3://{bucket}/b/")
    aws.s3("mv", f"s3://{bucket}/b/striped", f"s3://{bucket}/c/striped")
    assert aws.api("head-object", "--bucket", bucket, "--key", "c/striped")["Metadata"] == {"k": "v"}
    aws.s3("cp", f"s3://{bucket}/c/striped", tmp_path / "back")
    assert same((tmp_path / "back").read_bytes(), content(7 * MIB))
    listed = aws.s3("ls", "--recursive", f"s3://{bucket}").split()[3::4]
    assert listed == ["a/small", "a/striped", "b/small", "c/striped"]
    delete = {"Objects": [{"Key": key} for key in [*listed, "never there"]]}
    answer = aws.api("delete-objects", "--bucket", bucket, "--delete", json.dumps(delete))
    assert len(answer["Deleted"]) == 5 and "Errors" not in answer
    aws.s3("rb", f"s3://{bucket}")


def test_large_objects_are_copied_by_parts(aws, version, raw, bucket, tmp_path):
    """20 MiB from bucket to bucket: UploadPartCopy, with metadata and tags, and the object moved back.
    (Version 1 asks for neither when it copies by parts.)"""
    other = f"{bucket}-other"
    raw.put(f"/{other}").ok()
    data = content(20 * MIB)
    (tmp_path / "in").write_bytes(data)
    aws.s3("cp", tmp_path / "in", f"s3://{bucket}/y", "--metadata", "k=v", "--content-type", "text/x-test")
    tags = json.dumps({"TagSet": [{"Key": "colour", "Value": "deep blue"}]})
    aws.api("put-object-tagging", "--bucket", bucket, "--key", "y", "--tagging", tags)
    aws.s3("cp", f"s3://{bucket}/y", f"s3://{other}/z")
    head = aws.api("head-object", "--bucket", other, "--key", "z")
    assert head["ContentLength"] == len(data) and head["ETag"].endswith('-3"')
    if version == 2:
        assert (head["Metadata"], head["ContentType"]) == ({"k": "v"}, "text/x-test")
        copied = aws.api("get-object-tagging", "--bucket", other, "--key", "z")
        assert copied["TagSet"] == [{"Key": "colour", "Value": "deep blue"}]
    aws.s3("mv", f"s3://{other}/z", f"s3://{bucket}/moved")
    assert aws.s3("ls", f"s3://{other}") == ""
    aws.s3("cp", f"s3://{bucket}/moved", tmp_path / "out")
    assert same((tmp_path / "out").read_bytes(), data)


def test_presigned_url(aws, bucket, raw, tmp_path):
    raw.put(f"/{bucket}/with space+plus", b"content").ok()
    # By itself version 1 still presigns with Signature Version 2, which Cairn refuses.
    (tmp_path / "config").write_text("[default]\ns3 =\n  signature_version = s3v4\n")
    config = {"AWS_CONFIG_FILE": str(tmp_path / "config")}
    url = aws.s3("presign", f"s3://{bucket}/with space+plus", environment=config).strip()
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"content"


def test_upload_aborted(aws, bucket, tmp_path):
    (tmp_path / "part").write_bytes(b"part")
    object = ["--bucket", bucket, "--key", "big"]
    upload = aws.api("create-multipart-upload", *object)["UploadId"]
    part = ["--upload-id", upload, "--part-number", "1", "--body", tmp_path / "part"]
    aws.api("upload-part", *object, *part)
    assert len(aws.api("list-parts", *object, "--upload-id", upload)["Parts"]) == 1
    assert len(aws.api("list-multipart-uploads", "--bucket", bucket)["Uploads"]) == 1
    aws.api("abort-multipart-upload", *object, "--upload-id", upload)
    assert "Uploads" not in (aws.api("list-multipart-uploads", "--bucket", bucket) or {})
    assert "(NoSuchUpload)" in aws.api("upload-part", *object, *part, fails=True)


@pytest.mark.parametrize("version", [1], indirect=True)  # Debian's version 2 has no such option yet
def test_only_the_first_of_two_conditional_puts(aws, bucket, tmp_path):
    (tmp_path / "in").write_bytes(b"content")
    put = ["put-object", "--bucket", bucket, "--key", "one", "--body", tmp_path / "in"]
    aws.api(*put, "--if-none-match", "*")
    assert "(PreconditionFailed)" in aws.api(*put, "--if-none-match", "*", fails=True)


def test_refusals(aws, bucket):
    get = ["get-object", "--bucket", bucket, "--key", "none", os.devnull]
    assert "(NoSuchKey)" in aws.api(*get, fails=True)
    assert "(NoSuchBucket)" in aws.s3("ls", "s3://no-such-bucket", fails=True)
    wrong = {"AWS_SECRET_ACCESS_KEY": "wrong"}
    assert "(SignatureDoesNotMatch)" in aws.api(*get, fails=True, environment=wrong)
    unknown = {"AWS_ACCESS_KEY_ID": "AKNOBODY"}
    assert "(InvalidAccessKeyId)" in aws.api(*get, fails=True, environment=unknown)
    policy = ["put-bucket-policy", "--bucket", bucket, "--policy", "{}"]
    assert "(NotImplemented)" in aws.api(*policy, fails=True)


def test_another_region_is_followed(aws, bucket, raw, tmp_path):
    raw.put(f"/{bucket}/one", b"content").ok()
    elsewhere = {"AWS_DEFAULT_REGION": "eu-nowhere-1"}
    get = ["get-object", "--bucket", bucket, "--key", "one", tmp_path / "out"]
    aws.api(*get, environment=elsewhere)
    assert (tmp_path / "out").read_bytes() == b"content"


def test_checksum_of_the_clients_choice(aws, bucket, tmp_path):
    (tmp_path / "in").write_bytes(b"content")
    sha = base64.b64encode(hashlib.sha256(b"content").digest()).decode()
    object = ["--bucket", bucket, "--key", "one"]
    put = aws.api("put-object", *object, "--body", tmp_path / "in", "--checksum-algorithm", "SHA256")
    assert put["ChecksumSHA256"] == sha
    assert aws.api("head-object", *object, "--checksum-mode", "ENABLED")["ChecksumSHA256"] == sha
