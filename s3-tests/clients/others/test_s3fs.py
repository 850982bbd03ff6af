"""s3fs, which pandas, Dask and xarray read S3 with; it is aiobotocore."""

import pytest
import s3fs

MIB = 1 << 20


@pytest.fixture
def files(endpoint, keys):
    return s3fs.S3FileSystem(key=keys[0], secret=keys[1], endpoint_url=endpoint, skip_instance_cache=True)


def test_files(files, bucket):
    body = bytes(range(256)) * (14 * 4096)  # 14 MiB
    with files.open(f"{bucket}/large", "wb", block_size=5 * MIB) as file:
        for at in range(0, len(body), 1_000_000):
            file.write(body[at : at + 1_000_000])
    assert files.cat(f"{bucket}/large") == body
    with files.open(f"{bucket}/large", block_size=MIB) as file:
        file.seek(-10, 2)
        assert file.read() == body[-10:]
        file.seek(5 * MIB - 3)
        assert file.read(6) == body[5 * MIB - 3 : 5 * MIB + 3]
    files.pipe({f"{bucket}/a/ü {n}": f"{n}".encode() for n in range(20)})
    assert sorted(files.find(f"{bucket}/a")) == sorted(f"{bucket}/a/ü {n}" for n in range(20))
    assert files.ls(bucket) == [f"{bucket}/a", f"{bucket}/large"]
    files.cp(f"{bucket}/large", f"{bucket}/copy")
    files.mv(f"{bucket}/a/ü 1", f"{bucket}/moved")
    assert files.cat(f"{bucket}/moved") == b"1"
    assert files.cat_file(f"{bucket}/copy", start=100, end=200) == body[100:200]
    files.rm(f"{bucket}/a", recursive=True)
    assert not files.exists(f"{bucket}/a")


def test_metadata_and_tags(files, bucket):
    files.pipe_file(f"{bucket}/key", b"content", ContentType="x/y")
    assert files.info(f"{bucket}/key")["ContentType"] == "x/y"
    files.setxattr(f"{bucket}/key", name="value")
    assert files.getxattr(f"{bucket}/key", "name") == "value"
    files.put_tags(f"{bucket}/key", {"a": "1"})
    assert files.get_tags(f"{bucket}/key") == {"a": "1"}


def test_versions(endpoint, keys, bucket, s3):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    files = s3fs.S3FileSystem(key=keys[0], secret=keys[1], endpoint_url=endpoint, version_aware=True)
    for body in [b"first", b"second"]:
        files.pipe_file(f"{bucket}/key", body)
    versions = [version["VersionId"] for version in files.object_version_info(f"{bucket}/key")]
    assert [files.cat_file(f"{bucket}/key", version_id=version) for version in versions] == [b"second", b"first"]


def test_exclusive_creation(files, bucket):
    files.pipe_file(f"{bucket}/key", b"first", mode="create")
    with pytest.raises(FileExistsError):
        files.pipe_file(f"{bucket}/key", b"second", mode="create")
    assert files.cat(f"{bucket}/key") == b"first"
