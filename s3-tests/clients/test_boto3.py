"""boto3, with awscrt (which adds checksums to it) and without."""

import hashlib
import importlib
import io
import os
import sys
import urllib.error
import urllib.request

import pytest

from harness import ACCESS_KEY, MIB, REGION, REGION_ALIAS, SECRET_KEY, content, same

ODD_KEYS = ["with space", "a+b", "100%25", "grüße 日本語 🦀", "two//slashes", "/leading", "a/./b/../c"]
ODD_KEYS += ["it's (1)*!~;,=@:$&?#", "x" * 1024]


def imported(crt):
    """A boto3 of its own: whether it uses awscrt is decided when it is imported."""
    os.environ["BOTO_DISABLE_CRT"] = str(not crt).lower()
    for name in list(sys.modules):
        if name.split(".")[0] in ("boto3", "botocore", "s3transfer"):
            del sys.modules[name]
    boto3 = importlib.import_module("boto3")
    assert sys.modules["botocore.compat"].HAS_CRT == crt
    return boto3


@pytest.fixture(scope="module", params=[True, False], ids=["crt", "no-crt"])
def connect(request, certificate):
    """Makes clients."""
    boto3 = imported(request.param)
    session = boto3.session.Session(aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY)

    def client(endpoint, region=REGION, **keys):
        return session.client(
            "s3", endpoint_url=endpoint, region_name=region, verify=str(certificate[0]), **keys
        )

    return client


@pytest.fixture(scope="module")
def s3(connect, server):
    return connect(server.endpoint)


def refusal(call, **arguments):
    """(code, status) of a call that is refused."""
    client = call.__self__
    with pytest.raises(client.exceptions.ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize("over", ["http", "https"])
def test_files_of_every_size(connect, server, tls, over, bucket, files, tmp_path):
    s3 = connect((server if over == "http" else tls).endpoint)
    folder, tree = files
    for name, data in tree.items():
        extra = {"ContentType": "text/x-test", "Metadata": {"colour": "deep blue"}}
        s3.upload_file(str(folder / name), bucket, name, ExtraArgs=extra)
        s3.download_file(bucket, name, str(tmp_path / "out"))
        assert same((tmp_path / "out").read_bytes(), data), name
        head = s3.head_object(Bucket=bucket, Key=name)
        assert (head["ContentLength"], head["ContentType"]) == (len(data), "text/x-test")
        assert head["Metadata"] == {"colour": "deep blue"}
        if len(data) < 8 * MIB:
            put = s3.put_object(Bucket=bucket, Key="put", Body=data)
            assert put["ETag"] == f'"{hashlib.md5(data).hexdigest()}"' == head["ETag"]
            assert same(s3.get_object(Bucket=bucket, Key="put")["Body"].read(), data), name


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_every_checksum(connect, tls, bucket, algorithm):
    s3 = connect(tls.endpoint)
    if algorithm in ("CRC32C", "CRC64NVME") and not sys.modules["botocore.compat"].HAS_CRT:
        with pytest.raises(Exception, match="(?i)crt"):
            s3.put_object(Bucket=bucket, Key="k", Body=b"x", ChecksumAlgorithm=algorithm)
        return
    field = f"Checksum{algorithm}"
    put = s3.put_object(Bucket=bucket, Key="k", Body=content(MIB), ChecksumAlgorithm=algorithm)
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert same(got["Body"].read(), content(MIB)) and got[field] == put[field]

    extra = {"ChecksumAlgorithm": algorithm}
    s3.upload_fileobj(io.BytesIO(content(20 * MIB)), bucket, "parts", ExtraArgs=extra)
    got = s3.get_object(Bucket=bucket, Key="parts", ChecksumMode="ENABLED")
    assert same(got["Body"].read(), content(20 * MIB)) and got[field]
    kind = "FULL_OBJECT" if algorithm == "CRC64NVME" else "COMPOSITE"
    assert got["ChecksumType"] == kind and got[field].endswith("-3") == (kind == "COMPOSITE")


def test_odd_keys(s3, bucket):
    for key in ODD_KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 2})
    listed = [own["Key"] for page in pages for own in page["Contents"]]
    assert listed == sorted(ODD_KEYS, key=str.encode)
    for key in ODD_KEYS:
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
        s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key})
        assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == key.encode()
    objects = [{"Key": key} for key in ODD_KEYS]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects})
    assert len(answer["Deleted"]) == len(ODD_KEYS) and "Errors" not in answer
    assert [own["Key"] for own in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["copy"]


def test_ranges(s3, bucket):
    data = content(20 * MIB)
    s3.upload_fileobj(io.BytesIO(data), bucket, "big")
    for first, last in [(0, 0), (8 * MIB - 1, 8 * MIB), (MIB, 17 * MIB), (20 * MIB - 1, 20 * MIB - 1)]:
        got = s3.get_object(Bucket=bucket, Key="big", Range=f"bytes={first}-{last}")
        assert got["ContentLength"] == last - first + 1
        assert same(got["Body"].read(), data[first : last + 1]), (first, last)
    assert s3.get_object(Bucket=bucket, Key="big", Range="bytes=-8")["Body"].read() == data[-8:]
    assert refusal(s3.get_object, Bucket=bucket, Key="big", Range=f"bytes={20 * MIB}-") == ("InvalidRange", 416)


def test_lists_of_more_than_a_page(s3, many):
    bucket, keys = many
    for call in ("list_objects", "list_objects_v2"):
        pages = list(s3.get_paginator(call).paginate(Bucket=bucket))
        assert [len(page["Contents"]) for page in pages] == [1000, 100]
        assert [own["Key"] for page in pages for own in page["Contents"]] == keys
    page = s3.list_objects_v2(Bucket=bucket, Delimiter="/", Prefix="folder0", MaxKeys=4)
    assert [own["Prefix"] for own in page["CommonPrefixes"]] == [f"folder{n:02}/" for n in range(4)]
    assert page["IsTruncated"] and page["KeyCount"] == 4 and "Contents" not in page


def test_presigned_get_and_put(connect, server, bucket):
    for version in ("s3v4", None):  # None: what boto3 chooses by itself
        config = sys.modules["botocore.config"].Config(signature_version=version) if version else None
        s3 = connect(server.endpoint, config=config)
        names = {"Bucket": bucket, "Key": "with space+ü"}
        put = s3.generate_presigned_url("put_object", Params=names)
        request = urllib.request.Request(put, data=b"content", method="PUT")
        if version is None and "X-Amz-Signature" not in put:
            # boto3 still presigns with Signature Version 2, which is refused by name.
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(request)
            assert b"AWS4-HMAC-SHA256" in caught.value.read()
            continue
        urllib.request.urlopen(request).close()
        get = s3.generate_presigned_url("get_object", Params=names | {"ResponseContentType": "text/x-test"})
        with urllib.request.urlopen(get) as answer:
            assert (answer.read(), answer.headers["Content-Type"]) == (b"content", "text/x-test")
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(get.replace("Signature=", "Signature=0"))
        assert caught.value.code in (400, 403)


def test_conditions(s3, bucket):
    one = {"Bucket": bucket, "Key": "one"}
    etag = s3.put_object(**one, Body=b"1", IfNoneMatch="*")["ETag"]
    assert refusal(s3.put_object, **one, Body=b"2", IfNoneMatch="*") == ("PreconditionFailed", 412)
    assert refusal(s3.put_object, **one, Body=b"2", IfMatch='"other"') == ("PreconditionFailed", 412)
    s3.put_object(**one, Body=b"2", IfMatch=etag)
    absent = {"Bucket": bucket, "Key": "absent", "Body": b"3"}
    assert refusal(s3.put_object, **absent, IfMatch=etag) == ("NoSuchKey", 404)
    assert refusal(s3.get_object, **one, IfMatch=etag) == ("PreconditionFailed", 412)
    etag = s3.head_object(**one)["ETag"]
    assert refusal(s3.get_object, **one, IfNoneMatch=etag) == ("304", 304)

    upload = s3.create_multipart_upload(**one)["UploadId"]
    part = s3.upload_part(**one, UploadId=upload, PartNumber=1, Body=b"part")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    complete = {**one, "UploadId": upload, "MultipartUpload": parts}
    assert refusal(s3.complete_multipart_upload, **complete, IfNoneMatch="*") == ("PreconditionFailed", 412)
    assert s3.get_object(**one)["Body"].read() == b"2"
    s3.complete_multipart_upload(**complete, IfMatch=etag)
    assert s3.get_object(**one)["Body"].read() == b"part"


def test_refusals(connect, server, s3, bucket):
    get = {"Bucket": bucket, "Key": "none"}
    assert refusal(s3.get_object, **get) == ("NoSuchKey", 404)
    assert refusal(s3.head_object, **get) == ("404", 404)
    assert refusal(s3.list_objects_v2, Bucket="no-such-bucket") == ("NoSuchBucket", 404)
    assert refusal(s3.create_bucket, Bucket="Not_A_Name")[0] == "InvalidBucketName"
    wrong = connect(server.endpoint, aws_secret_access_key="wrong", aws_access_key_id=ACCESS_KEY)
    assert refusal(wrong.get_object, **get) == ("SignatureDoesNotMatch", 403)
    unknown = connect(server.endpoint, aws_secret_access_key="wrong", aws_access_key_id="AKNOBODY")
    assert refusal(unknown.get_object, **get) == ("InvalidAccessKeyId", 403)
    s3.put_object(**get, Body=b"x")
    assert refusal(s3.delete_bucket, Bucket=bucket) == ("BucketNotEmpty", 409)
    assert refusal(s3.get_object_torrent, **get) == ("NotImplemented", 501)


def test_regions(connect, server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="one", Body=b"content")
    for region in ("eu-nowhere-1", REGION_ALIAS):
        client = connect(server.endpoint, region)
        assert client.get_object(Bucket=bucket, Key="one")["Body"].read() == b"content"
        assert client.head_object(Bucket=bucket, Key="one")["ContentLength"] == 7
        head = client.head_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPHeaders"]
        assert head["x-amz-bucket-region"] == REGION


def test_buckets(connect, server, s3, bucket):
    name = f"{bucket}-located"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION_ALIAS})
    listed = {own["Name"] for own in s3.list_buckets()["Buckets"]}
    assert {bucket, name} <= listed
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None
    s3.delete_bucket(Bucket=name)
    assert refusal(s3.head_bucket, Bucket=name) == ("404", 404)
    resource = {"Bucket": bucket, "CreateBucketConfiguration": {"LocationConstraint": "eu-nowhere-1"}}
    assert refusal(s3.create_bucket, **resource)[1] in (400, 409)
