"""PyArrow's S3 file system, which is the AWS SDK for C++: Parquet is written as a stream, in parts, and
read in ranges."""

import pyarrow as pa
import pyarrow.dataset as dataset
import pyarrow.parquet as parquet
import pytest
from pyarrow import fs

MIB = 1 << 20


@pytest.fixture(scope="module")
def files(address, keys):
    return fs.S3FileSystem(
        access_key=keys[0],
        secret_key=keys[1],
        endpoint_override=address,
        scheme="http",
        allow_bucket_creation=True,
        allow_bucket_deletion=True,
    )


@pytest.fixture(scope="module")
def table():
    rows = range(1_500_000)
    columns = {"id": pa.array(rows), "third": [n % 3 for n in rows], "square": [float(n * n) for n in rows]}
    return pa.table(columns | {"text": [f"row {n * 7919 % 1_000_003}" for n in rows]})


def test_parquet(files, bucket, s3, table):
    parquet.write_table(table, f"{bucket}/table.parquet", filesystem=files, row_group_size=100_000)
    head = s3.head_object(Bucket=bucket, Key="table.parquet")
    assert head["ContentLength"] > 15 * MIB and "-" in head["ETag"], "not an upload of parts"
    assert parquet.read_table(f"{bucket}/table.parquet", filesystem=files).equals(table)
    file = parquet.ParquetFile(files.open_input_file(f"{bucket}/table.parquet"))
    assert file.metadata.num_row_groups == 15
    group = file.read_row_group(7, columns=["square"])
    assert group.equals(table.slice(700_000, 100_000).select(["square"]))


def test_dataset(files, bucket, table):
    table = table.slice(0, 300_000)
    dataset.write_dataset(table, f"{bucket}/data", filesystem=files, format="parquet", partitioning=["third"])
    found = dataset.dataset(f"{bucket}/data", filesystem=files, partitioning=["third"])
    assert sorted(path.split("/")[2] for path in found.files) == ["0", "1", "2"]
    rows = found.to_table(filter=(dataset.field("third") == 1) & (dataset.field("id") > 299_990), columns=["id"])
    assert sorted(rows["id"].to_pylist()) == [299_992, 299_995, 299_998]


def test_streams(files, bucket):
    body = bytes(range(256)) * (13 * 4096)  # 13 MiB
    with files.open_output_stream(f"{bucket}/a folder/ü", metadata={"Content-Type": "x/y"}) as stream:
        for at in range(0, len(body), 1_000_000):
            stream.write(body[at : at + 1_000_000])
    with files.open_input_stream(f"{bucket}/a folder/ü") as stream:
        assert stream.read() == body
    with files.open_input_file(f"{bucket}/a folder/ü") as file:
        assert file.size() == len(body)
        assert file.read_at(100, 5 * MIB - 50) == body[5 * MIB - 50 : 5 * MIB + 50]
        assert file.metadata()["Content-Type"] == b"x/y"


def test_files_and_folders(files, bucket):
    files.create_dir(f"{bucket}/empty/inner")
    for name in ["a/b/c", "a/b/d", "a/e"]:
        with files.open_output_stream(f"{bucket}/{name}") as stream:
            stream.write(name.encode())
    listed = files.get_file_info(fs.FileSelector(f"{bucket}/a", recursive=True))
    files_found = sorted(info.path for info in listed if info.type == fs.FileType.File)
    assert files_found == [f"{bucket}/{name}" for name in ["a/b/c", "a/b/d", "a/e"]]
    kinds = [info.type for info in files.get_file_info([f"{bucket}/a/b", f"{bucket}/none", f"{bucket}/empty"])]
    assert kinds == [fs.FileType.Directory, fs.FileType.NotFound, fs.FileType.Directory]
    files.copy_file(f"{bucket}/a/e", f"{bucket}/copy")
    files.move(f"{bucket}/a/b/c", f"{bucket}/moved")
    with files.open_input_stream(f"{bucket}/moved") as stream:
        assert stream.read() == b"a/b/c"
    files.delete_dir(f"{bucket}/a")
    files.delete_dir_contents(f"{bucket}/empty")
    with pytest.raises(FileNotFoundError):
        files.open_input_file(f"{bucket}/a/e")
    files.delete_dir(bucket)
    assert files.get_file_info(bucket).type == fs.FileType.NotFound
