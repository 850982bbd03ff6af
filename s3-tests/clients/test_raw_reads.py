"""Reads: ranges, conditions, forms of the path, presigned URLs, and a read that cannot be served."""

import hashlib
import shutil

import pytest

from harness import ACCESS_KEY, MIB, REGION, REGION_ALIAS, SECRET_KEY, Server, content, same
from raw import UNSIGNED, Raw


@pytest.fixture
def path(bucket):
    return f"/{bucket}/key"


RANGES = {  # of ten bytes: (first, last) or None where nothing can be served
    "bytes=0-0": (0, 0),
    "bytes=9-9": (9, 9),
    "bytes=3-": (3, 9),
    "bytes=3-99": (3, 9),
    "bytes=-3": (7, 9),
    "bytes=-99": (0, 9),
    "bytes=10-": None,
    "bytes=-0": None,
}


@pytest.mark.parametrize("wanted", RANGES)
def test_ranges(raw, path, wanted):
    raw.put(path, b"0123456789").ok()
    got = raw.get(path, headers={"range": wanted})
    if RANGES[wanted] is None:
        got.refused(416, "InvalidRange")
        assert got.headers["content-range"] == "bytes */10"
    else:
        first, last = RANGES[wanted]
        assert (got.status, got.body) == (206, b"0123456789"[first : last + 1])
        assert got.headers["content-range"] == f"bytes {first}-{last}/10"
        assert got.headers["content-length"] == str(last - first + 1)
        assert got.headers["accept-ranges"] == "bytes"
    raw.put(path, b"").ok()
    raw.get(path, headers={"range": wanted}).refused(416, "InvalidRange")


def test_ranges_across_stripes_and_chunks(raw, path):
    data = content(20 * MIB + 5)
    raw.put(path, data).ok()
    edges = [64 << 10, 256 << 10, MIB, 4 * MIB, 16 * MIB, len(data) - 8]
    for edge in edges:
        for first, last in [(edge - 1, edge), (edge, edge + 7), (edge // 2, edge + 7)]:
            got = raw.get(path, headers={"range": f"bytes={first}-{last}"}).ok()
            assert same(got.body, data[first : last + 1]), (first, last)
    footer = raw.get(path, headers={"range": "bytes=-8"}).ok()
    assert footer.body == data[-8:]


def test_conditions_of_reads(raw, path):
    etag = raw.put(path, b"content", {"cache-control": "max-age=5"}).ok().headers["etag"]
    modified = raw.head(path).ok().headers["last-modified"]
    past, future = "Thu, 01 Dec 1994 16:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"
    expected = [
        ({"if-match": etag}, 200),
        ({"if-match": "*"}, 200),
        ({"if-match": '"other"'}, 412),
        ({"if-none-match": etag}, 304),
        ({"if-none-match": "*"}, 304),
        ({"if-none-match": f"W/{etag}"}, 304),
        ({"if-none-match": '"other"'}, 200),
        ({"if-modified-since": past}, 200),
        ({"if-modified-since": modified}, 304),
        ({"if-unmodified-since": past}, 412),
        ({"if-unmodified-since": modified}, 200),
        ({"if-match": etag, "if-unmodified-since": past}, 200),
        ({"if-none-match": '"other"', "if-modified-since": future}, 200),
    ]
    for headers, status in expected:
        for method in ("GET", "HEAD"):
            answer = raw.send(method, path, headers=headers)
            assert answer.status == status, (method, headers, answer)
            if status == 304:
                assert answer.body == b""
                assert answer.headers["etag"] == etag
                assert answer.headers["last-modified"] == modified
                assert answer.headers["cache-control"] == "max-age=5"


def test_headers_of_the_answer_can_be_chosen(raw, path):
    raw.put(path, b"content").ok()
    chosen = {"response-content-type": "text/x-test", "response-content-disposition": 'inline; filename="ü"'}
    got = raw.get(path, chosen).ok()
    assert got.headers["content-type"] == "text/x-test"
    assert got.headers["content-disposition"].encode("latin-1").decode() == 'inline; filename="ü"'


def test_conditions_that_other_servers_refuse(raw, path):
    etag = raw.put(path, b"content").ok().headers["etag"]
    expected = [
        ({"if-none-match": f'"x", {etag}'}, 304),
        ({"if-none-match": etag.strip('"')}, 304),
        ({"if-match": f'"x", {etag}'}, 200),
        ({"if-match": f"W/{etag}"}, 412),
        ({"if-modified-since": "Thursday, 01-Dec-94 16:00:00 GMT"}, 200),
        ({"if-unmodified-since": "Thu Dec  1 16:00:00 1994"}, 412),
        ({"if-modified-since": "no date"}, 200),
        ({"range": "bytes=0-1,3-4"}, 200),
        ({"range": "lines=0-1"}, 200),
    ]
    for headers, status in expected:
        for method in ("GET", "HEAD"):
            answer = raw.send(method, path, headers=headers)
            assert answer.status == status, (method, headers, answer)


def test_headers_come_back_as_they_were_sent(raw, path):
    """Row 28: also those that mean nothing; metadata that is not ASCII in the form of RFC 2047."""
    kept = {"expires": "0", "cache-control": "no-cache,max-age=1", "content-language": "de,  fr"}
    encoded = "=?UTF-8?B?R3LDvMOfZQ==?="
    request = raw.request("PUT", path, None, kept | {"x-amz-meta-greeting": "Grüße", "x-amz-meta-a": "1"})
    raw.exchange("PUT", request, b"content").ok()
    assert raw.head(path).ok().headers["x-amz-meta-greeting"] == encoded
    request[1]["x-amz-meta-greeting"] = "Grüße".encode("latin-1")  # signed as UTF-8, as botocore does
    raw.exchange("PUT", request, b"content").ok()
    for method in ("GET", "HEAD"):
        headers = raw.send(method, path).ok().headers
        assert {name: headers[name] for name in kept} == kept
        assert (headers["x-amz-meta-greeting"], headers["x-amz-meta-a"]) == (encoded, "1")


def test_parts_and_attributes(raw, path):
    upload = raw.create_upload(path)
    bodies = {1: content(5 * MIB), 2: content(100)}
    sent = {number: raw.put_part(path, upload, number, body).ok() for number, body in bodies.items()}
    parts = [(number, answer.headers["etag"], "") for number, answer in sent.items()]
    raw.complete(path, upload, parts).ok()
    for number, body in bodies.items():
        got = raw.get(path, {"partNumber": str(number)})
        assert (got.status, got.headers["x-amz-mp-parts-count"]) == (206, "2")
        assert same(got.body, body)
    raw.get(path, {"partNumber": "3"}).refused(416, "InvalidPartNumber")
    raw.get(path, {"partNumber": "1"}, {"range": "bytes=0-1"}).refused(400, "InvalidRequest")
    told = raw.get(path, {"attributes": ""}, {"x-amz-object-attributes": "ETag,ObjectParts,ObjectSize"}).ok()
    assert (told.one("ObjectSize"), told.one("PartsCount")) == (str(5 * MIB + 100), "2")
    assert told.one("ETag") == raw.head(path).ok().headers["etag"].strip('"')


def test_forms_of_a_buckets_path(raw, bucket):
    """Behaviour row 36."""
    raw.put(f"/{bucket}/key", b"content").ok()
    for path in (f"/{bucket}", f"/{bucket}/"):
        assert raw.list(path).all("Key") == ["key"]
        assert raw.get(path).ok().all("Key") == ["key"]
        assert raw.head(path).ok().headers["x-amz-bucket-region"] == REGION


KEYS = ["a b+c%2F(d)*'~!@$&,;:=?#[]", "ü/日本語", "/a", "a//b", "a/./../b", "\u0001\t\u007f", "<&>\"'"]


@pytest.mark.parametrize("key", [*KEYS, "%", "+", "..", "e" * 1024])
def test_every_legal_key(raw, bucket, key):
    """Behaviour row 24."""
    path = f"/{bucket}/{key}"
    raw.put(path, key.encode()).ok()
    assert raw.get(path).ok().body == key.encode()
    assert raw.list(f"/{bucket}", encoding_type="url").all("Key")[0] != ""
    assert raw.delete(path).ok().status == 204
    raw.get(path).refused(404, "NoSuchKey")


def test_keys_that_are_too_long(raw, bucket):
    raw.put(f"/{bucket}/{'e' * 1025}", b"").refused(400, "KeyTooLongError")


def test_wrong_regions_are_told_the_right_one(raw, path):
    """Behaviour row 36."""
    raw.put(path, b"content").ok()
    elsewhere = raw.using(region="eu-nowhere-1")
    refused = elsewhere.get(path).refused(400, "AuthorizationHeaderMalformed")
    assert refused.one("Region") == REGION
    head = elsewhere.head(path.rsplit("/", 1)[0])
    assert (head.status, head.headers.get("x-amz-bucket-region")) == (400, REGION)
    assert raw.using(region=REGION_ALIAS).get(path).ok().body == b"content"


def test_strangers_are_refused(raw, path):
    raw.put(path, b"content").ok()
    raw.using(secret_key="wrong").get(path).refused(403, "SignatureDoesNotMatch")
    raw.using(access_key="AKNOBODY").get(path).refused(403, "InvalidAccessKeyId")
    raw.send("GET", path, signed=False).refused(403, "AccessDenied")
    target, headers = raw.request("GET", path)
    headers["x-amz-date"] = "20200101T000000Z"
    del headers["authorization"]
    headers["authorization"] = raw.authorization("GET", path, "", headers, UNSIGNED)
    raw.exchange("GET", (target, headers), b"").refused(403, "RequestTimeTooSkewed")


def test_what_cannot_be_read_is_never_answered_short(work):
    server = Server(work / "lost")
    server.start()
    raw = Raw(server.listen, ACCESS_KEY, SECRET_KEY, REGION)
    raw.put("/bucket").ok()
    data = content(8 * MIB)
    raw.put("/bucket/key", data).ok()
    server.kill()
    for disk in server.disks[:2]:
        shutil.rmtree(disk)
    server.start()
    assert same(raw.get("/bucket/key").ok().body, data), "two lost disks are borne"
    server.kill()
    shutil.rmtree(server.disks[2])
    server.start()
    for headers in (None, {"range": "bytes=100-2000000"}):
        raw.get("/bucket/key", headers=headers).refused(500, "InternalError")
    server.kill()
