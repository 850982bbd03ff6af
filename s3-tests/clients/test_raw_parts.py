"""Uploads of parts: what is listed, what is completed, and with which checksums."""

import hashlib

import pytest

from harness import MIB, content, same
from raw import UNSIGNED_CHUNKS_TRAILER, checksum


@pytest.fixture
def path(bucket):
    return f"/{bucket}/key"


def etags(raw, path, upload, bodies, headers=lambda body: None):
    """Puts the parts; (number, ETag, "") of each."""
    return [
        (number, raw.put_part(path, upload, number, body, headers(body)).ok().headers["etag"], "")
        for number, body in enumerate(bodies, 1)
    ]


def uploads(raw, bucket, **query):
    query = {name.replace("_", "-"): value for name, value in query.items()}
    return raw.get(f"/{bucket}", {"uploads": ""} | query).ok()


def test_a_new_upload_has_no_parts(raw, path):
    """Behaviour rows 11 and 12."""
    upload = raw.create_upload(path)
    listed = raw.get(path, {"uploadId": upload}).ok()
    assert (listed.one("IsTruncated"), listed.one("MaxParts")) == ("false", "1000")
    assert listed.one("UploadId") == upload and listed.all("PartNumber") == []
    for tag in ("Bucket", "Key", "StorageClass"):
        assert listed.one(tag), tag


def test_parts_are_listed_by_pages_and_must_not_be_tiny(raw, path):
    upload = raw.create_upload(path)
    parts = etags(raw, path, upload, [b"%d" % number for number in range(1, 201)])
    seen, marker = [], "0"
    while True:
        page = raw.get(path, {"uploadId": upload, "max-parts": "60", "part-number-marker": marker}).ok()
        numbers = page.all("PartNumber")
        assert len(numbers) <= 60
        seen += map(int, numbers)
        if page.one("IsTruncated") == "false":
            break
        marker = page.one("NextPartNumberMarker")
        assert int(marker) == seen[-1]
    assert seen == list(range(1, 201))
    raw.complete(path, upload, parts).refused(400, "EntityTooSmall")
    raw.complete(path, upload, [(201, parts[0][1], "")]).refused(400, "InvalidPart")
    raw.complete(path, upload, [(1, parts[1][1], "")]).refused(400, "InvalidPart")
    raw.complete(path, upload, [parts[1], parts[0]]).refused(400, "InvalidPartOrder")
    raw.complete(path, upload, parts[-1:]).ok()
    assert raw.get(path).ok().body == b"200"


@pytest.mark.parametrize("count", [2, pytest.param(200, marks=pytest.mark.large)])
def test_parts_make_a_whole(raw, path, count):
    upload = raw.create_upload(path)
    bodies = [content(5 * MIB + n % 7) for n in range(count - 1)] + [b"tail"]
    parts = etags(raw, path, upload, bodies)
    done = raw.complete(path, upload, parts).ok()
    digests = b"".join(hashlib.md5(body).digest() for body in bodies)
    etag = f'"{hashlib.md5(digests).hexdigest()}-{count}"'
    assert done.one("ETag") == etag == raw.head(path).ok().headers["etag"]
    again = raw.complete(path, upload, parts).ok()
    assert again.one("ETag") == etag, "the same Complete repeated gives the same answer"
    whole = b"".join(bodies)
    assert same(raw.get(path).ok().body, whole)
    for first in (5 * MIB - 2, len(whole) // 2, len(whole) - 6):
        got = raw.get(path, headers={"range": f"bytes={first}-{first + 3}"}).ok()
        assert got.body == whole[first : first + 4]


def test_empty_parts(raw, path):
    for bodies in ([b""], [content(5 * MIB), b""]):
        upload = raw.create_upload(path)
        raw.complete(path, upload, etags(raw, path, upload, bodies)).ok()
        assert same(raw.get(path).ok().body, b"".join(bodies))


def test_a_part_can_be_put_again(raw, path):
    upload = raw.create_upload(path)
    old = etags(raw, path, upload, [b"old"])
    new = etags(raw, path, upload, [b"newer"])
    assert raw.get(path, {"uploadId": upload}).ok().all("Size") == ["5"]
    raw.complete(path, upload, old).refused(400, "InvalidPart")
    raw.complete(path, upload, new).ok()
    assert raw.get(path).ok().body == b"newer"


@pytest.mark.parametrize("algorithm", ["crc32", "sha256", "crc64nvme"])
@pytest.mark.parametrize("told", ["type-and-parts", "parts", "nothing"])
def test_checksums_of_parts(raw, path, algorithm, told):
    """Parts with trailing checksums; Complete with the type, with the parts' checksums, or bare
    (behaviour rows 1, 2, 5, 7, 8)."""
    name, tag = f"x-amz-checksum-{algorithm}", f"Checksum{algorithm.upper()}"
    kind = "FULL_OBJECT" if algorithm == "crc64nvme" else "COMPOSITE"
    upload = raw.create_upload(path, {"x-amz-checksum-algorithm": algorithm.upper()})
    parts = []
    for number, body in enumerate([content(5 * MIB), content(77)], 1):
        query = {"uploadId": upload, "partNumber": str(number)}
        value = checksum(algorithm, body)
        put = raw.put_chunked(path, [body], UNSIGNED_CHUNKS_TRAILER, None, {name: value}, query=query).ok()
        assert put.headers[name] == value
        more = "" if told == "nothing" else f"<{tag}>{value}</{tag}>"
        parts.append((number, put.headers["etag"], more))
    headers = {"x-amz-checksum-type": kind} if told == "type-and-parts" else None
    if (told, kind) == ("nothing", "COMPOSITE"):
        refused = raw.complete(path, upload, parts, headers).refused(400, "InvalidRequest")
        assert "must include the checksum for each part" in refused.one("Message")
        return
    done = raw.complete(path, upload, parts, headers).ok()
    head = raw.head(path, {"x-amz-checksum-mode": "ENABLED"}).ok()
    assert done.one(tag) == head.headers[name] and head.headers["x-amz-checksum-type"] == kind
    if kind == "FULL_OBJECT":
        assert head.headers[name] == checksum(algorithm, content(5 * MIB) + content(77))


def test_wrong_checksums_of_parts_are_refused(raw, path):
    upload = raw.create_upload(path, {"x-amz-checksum-algorithm": "CRC32"})
    name, wrong = "x-amz-checksum-crc32", checksum("crc32", b"other")
    raw.put_part(path, upload, 1, b"part", {name: wrong}).refused(400, "BadDigest")
    assert raw.get(path, {"uploadId": upload}).ok().all("PartNumber") == []
    etag = raw.put_part(path, upload, 1, b"part").ok().headers["etag"]
    more = f"<ChecksumCRC32>{wrong}</ChecksumCRC32>"
    assert raw.complete(path, upload, [(1, etag, more)]).status == 400
    right = f"<ChecksumCRC32>{checksum('crc32', b'part')}</ChecksumCRC32>"
    raw.complete(path, upload, [(1, etag, right)]).ok()


def test_an_upload_without_an_algorithm_gets_a_checksum(raw, path):
    bodies = [content(5 * MIB), content(77)]
    upload = raw.create_upload(path)
    parts = etags(raw, path, upload, bodies)
    done = raw.complete(path, upload, parts).ok()
    head = raw.head(path, {"x-amz-checksum-mode": "ENABLED"}).ok()
    value = checksum("crc64nvme", b"".join(bodies))
    assert (done.one("ChecksumCRC64NVME"), done.one("ChecksumType")) == (value, "FULL_OBJECT")
    assert head.headers["x-amz-checksum-crc64nvme"] == value


def test_copied_parts(raw, bucket):
    """Ranges of an object become parts of another; with the upload's checksum (behaviour row 9)."""
    source = content(12 * MIB)
    raw.put(f"/{bucket}/from", source).ok()
    upload = raw.create_upload(f"/{bucket}/to", {"x-amz-checksum-algorithm": "CRC32"})
    parts = []
    for number, first in enumerate((6 * MIB - 1, 0), 1):
        last = first + 6 * MIB
        headers = {
            "x-amz-copy-source": f"/{bucket}/from",
            "x-amz-copy-source-range": f"bytes={first}-{last}",
        }
        copied = raw.put_part(f"/{bucket}/to", upload, number, b"", headers).ok()
        piece = source[first : last + 1]
        value = checksum("crc32", piece)
        assert copied.one("ETag") == f'"{hashlib.md5(piece).hexdigest()}"'
        assert copied.one("ChecksumCRC32") == value
        parts.append((number, copied.one("ETag"), f"<ChecksumCRC32>{value}</ChecksumCRC32>"))
    raw.complete(f"/{bucket}/to", upload, parts).ok()
    expected = source[6 * MIB - 1 :] + source[: 6 * MIB + 1]
    assert same(raw.get(f"/{bucket}/to").ok().body, expected)


def test_uploads_are_listed_as_they_are(raw, bucket):
    """Behaviour rows 15 and 16."""
    keys = ["a", "a/b/1", "a/b/2", "a/c", "ab", "z"]
    ids = {key: raw.create_upload(f"/{bucket}/{key}") for key in keys}
    second = raw.create_upload(f"/{bucket}/a/c")
    assert uploads(raw, bucket).all("Key") == sorted([*keys, "a/c"])
    assert uploads(raw, bucket, prefix="a/").all("Key") == ["a/b/1", "a/b/2", "a/c", "a/c"]
    page = uploads(raw, bucket, prefix="a", delimiter="/")
    assert (page.all("Key"), page.common_prefixes()) == (["a", "ab"], ["a/"])

    seen, markers = [], {}
    while True:
        page = uploads(raw, bucket, max_uploads="2", **markers)
        seen += zip(page.all("Key"), page.all("UploadId"))
        if page.one("IsTruncated") == "false":
            break
        markers = {"key_marker": page.one("NextKeyMarker"), "upload_id_marker": page.one("NextUploadIdMarker")}
    assert sorted(seen) == sorted([*ids.items(), ("a/c", second)])

    raw.delete(f"/{bucket}/a/c", {"uploadId": second}).ok()
    raw.complete(f"/{bucket}/z", ids["z"], etags(raw, f"/{bucket}/z", ids["z"], [b"z"])).ok()
    assert uploads(raw, bucket).all("Key") == sorted(set(keys) - {"z"})
    assert raw.list(f"/{bucket}").all("Key") == ["z"]
    raw.delete(f"/{bucket}/a/c", {"uploadId": second}).refused(404, "NoSuchUpload")
    raw.get(f"/{bucket}/a/c", {"uploadId": second}).refused(404, "NoSuchUpload")
    raw.delete(f"/{bucket}/z").ok()
