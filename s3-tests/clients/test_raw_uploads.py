"""Uploads in every framing, right and wrong, as SDKs send them and as a client here cannot be made to."""

import hashlib
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import DOMAIN, KIB, MIB, content, same
from raw import SIGNED_CHUNKS, SIGNED_CHUNKS_TRAILER, UNSIGNED_CHUNKS_TRAILER, checksum

STREAMING = [SIGNED_CHUNKS, SIGNED_CHUNKS_TRAILER, UNSIGNED_CHUNKS_TRAILER]
WITH_TRAILERS = STREAMING[1:]
ECDSA = ["STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER"]
ALGORITHMS = ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"]
CHUNKS = [content(64 * KIB), content(200 * KIB), content(9)]
WHOLE = b"".join(CHUNKS)


@pytest.fixture
def path(bucket):
    return f"/{bucket}/key"


def trailers_for(payload, data=WHOLE, algorithm="crc64nvme"):
    if payload == SIGNED_CHUNKS:
        return {}
    return {f"x-amz-checksum-{algorithm}": checksum(algorithm, data)}


def nothing_at(raw, path):
    raw.get(path).refused(404, "NoSuchKey")
    bucket = path.split("/")[1]
    assert raw.list(f"/{bucket}").all("Key") == []


@pytest.mark.parametrize("payload", STREAMING)
def test_framing_is_never_stored(raw, path, payload):
    """Behaviour rows 3 and 4."""
    headers = {"content-encoding": "aws-chunked,br", "content-type": "text/x-test"}
    put = raw.put_chunked(path, CHUNKS, payload, headers, trailers_for(payload)).ok()
    got = raw.get(path).ok()
    assert same(got.body, WHOLE)
    assert got.headers["etag"] == put.headers["etag"] == f'"{hashlib.md5(WHOLE).hexdigest()}"'
    assert (got.headers["content-encoding"], got.headers["content-type"]) == ("br", "text/x-test")
    raw.put_chunked(path, [], payload, None, trailers_for(payload, b"")).ok()
    got = raw.get(path).ok()
    assert got.body == b"" and "content-encoding" not in got.headers


@pytest.mark.parametrize("payload", ECDSA)
def test_signatures_that_are_not_verified_are_refused(raw, path, payload):
    raw.put_chunked(path, CHUNKS, payload).refused(501, "NotImplemented")
    nothing_at(raw, path)


@pytest.mark.parametrize("payload", ["STREAMING-NEW-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD", "nonsense"])
def test_unknown_payloads_are_refused(raw, path, payload):
    assert 400 <= raw.put_chunked(path, CHUNKS, payload).status < 500
    nothing_at(raw, path)


@pytest.mark.parametrize("payload", WITH_TRAILERS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_trailing_checksums_are_verified(raw, path, payload, algorithm):
    """Behaviour row 5."""
    right = trailers_for(payload, WHOLE, algorithm)
    wrong = trailers_for(payload, b"other", algorithm)
    headers = {"x-amz-sdk-checksum-algorithm": algorithm.upper()}
    raw.put_chunked(path, CHUNKS, payload, headers, wrong).refused(400, "BadDigest")
    nothing_at(raw, path)
    put = raw.put_chunked(path, CHUNKS, payload, headers, right).ok()
    name, value = next(iter(right.items()))
    assert put.headers[name] == value
    assert raw.head(path, {"x-amz-checksum-mode": "ENABLED"}).ok().headers[name] == value


def test_checksums_in_headers_are_verified(raw, path):
    for algorithm in ALGORITHMS:
        name = f"x-amz-checksum-{algorithm}"
        raw.put(path, WHOLE, {name: checksum(algorithm, b"other")}).refused(400, "BadDigest")
        raw.put(path, WHOLE, {name: "bm90IG9uZQ"}).refused(400, "InvalidRequest")
    md5 = {"content-md5": "1B2M2Y8AsgTpgAmY7PhCfg=="}  # that of no bytes
    raw.put(path, WHOLE, md5).refused(400, "BadDigest")
    raw.put(path, WHOLE, {"content-md5": "short"}).refused(400, "InvalidDigest")
    sha256 = hashlib.sha256(b"other").hexdigest()
    raw.send("PUT", path, body=WHOLE, payload=sha256).refused(400, "XAmzContentSHA256Mismatch")
    nothing_at(raw, path)


def test_one_checksum_and_no_more(raw, path):
    """Behaviour row 6."""
    headers = {"x-amz-checksum-crc32": checksum("crc32", WHOLE)}
    trailers = trailers_for(UNSIGNED_CHUNKS_TRAILER)
    put = raw.put_chunked(path, CHUNKS, UNSIGNED_CHUNKS_TRAILER, headers, trailers)
    put.refused(400, "InvalidRequest")
    headers |= {"x-amz-checksum-sha256": checksum("sha256", WHOLE)}
    raw.put(path, WHOLE, headers).refused(400, "InvalidRequest")
    headers = {"x-amz-sdk-checksum-algorithm": "SHA256"}
    put = raw.put_chunked(path, CHUNKS, UNSIGNED_CHUNKS_TRAILER, headers, trailers)
    put.refused(400, "InvalidRequest")
    nothing_at(raw, path)


def flipped(body):
    return body[:1000] + bytes([body[1000] ^ 1]) + body[1001:]


def without_trailer_signature(body):
    return body[: body.index(b"x-amz-trailer-signature")] + b"\r\n"


@pytest.mark.parametrize("payload", STREAMING)
def test_chunks_that_were_changed_are_refused(raw, path, payload):
    code = {UNSIGNED_CHUNKS_TRAILER: (400, "BadDigest")}.get(payload, (403, "SignatureDoesNotMatch"))
    put = raw.put_chunked(path, CHUNKS, payload, None, trailers_for(payload), flipped)
    put.refused(*code)
    put = raw.put_chunked(path, CHUNKS, payload, None, trailers_for(payload), lambda body: body[:-300])
    assert 400 <= put.status < 500
    nothing_at(raw, path)


def test_signed_trailers_need_their_signature(raw, path):
    trailers = trailers_for(SIGNED_CHUNKS_TRAILER)
    put = raw.put_chunked(path, CHUNKS, SIGNED_CHUNKS_TRAILER, None, trailers, without_trailer_signature)
    assert 400 <= put.status < 500
    nothing_at(raw, path)


@pytest.mark.parametrize("decoded", ["1", "99999999", "-1", "many"])
def test_the_decoded_length_must_be_right(raw, path, decoded):
    headers = {"x-amz-decoded-content-length": decoded}
    put = raw.put_chunked(path, CHUNKS, UNSIGNED_CHUNKS_TRAILER, headers, trailers_for(UNSIGNED_CHUNKS_TRAILER))
    assert 400 <= put.status < 500
    nothing_at(raw, path)


def test_a_body_that_ends_early_leaves_nothing(raw, path):
    for size in (KIB, MIB):
        target, headers = raw.request("PUT", path)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"PUT {target} HTTP/1.1\r\n{lines}content-length: {size}\r\n\r\n".encode()
        host, port = raw.address.split(":")
        with socket.create_connection((host, int(port)), timeout=30) as stream:
            stream.sendall(head + content(size)[:-1])
            stream.shutdown(socket.SHUT_WR)
            assert not stream.recv(1000).startswith(b"HTTP/1.1 2")
    nothing_at(raw, path)


def test_expect_continue(raw, path):
    target, headers = raw.request("PUT", path, headers={"expect": "100-continue"})
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"PUT {target} HTTP/1.1\r\n{lines}content-length: 7\r\n\r\n".encode()
    host, port = raw.address.split(":")
    with socket.create_connection((host, int(port)), timeout=30) as stream:
        stream.sendall(head)
        assert stream.recv(1000).startswith(b"HTTP/1.1 100 ")
        stream.sendall(b"content")
        assert stream.recv(1000).startswith(b"HTTP/1.1 200 ")
    assert raw.get(path).ok().body == b"content"

    # A final answer instead of a 100 ends the connection: botocore misreads the next answer on it.
    target, headers = raw.request("PUT", path, headers={"expect": "100-continue"})
    answer = raw.exchange("PUT", (target, headers), b"")
    assert answer.ok().headers.get("connection") == "close"


def test_headers_come_back(raw, path):
    kept = {
        "cache-control": "max-age=60, public",
        "content-disposition": 'attachment; filename="a b.txt"',
        "content-encoding": "br",
        "content-language": "de",
        "content-type": "text/plain; charset=utf-8",
        "expires": "Thu, 01 Dec 2033 16:00:00 GMT",
        "x-amz-meta-one": "1",
        "x-amz-meta-two-words": "a b",
        "x-amz-website-redirect-location": "/other",
    }
    raw.put(path, b"content", kept).ok()
    raw.put(f"{path}-copy", b"", {"x-amz-copy-source": path}).ok()
    for own in (path, f"{path}-copy"):
        expected = dict(kept)
        if own != path:  # as AWS has it, a redirect is not copied
            del expected["x-amz-website-redirect-location"]
        ranged = raw.get(own, headers={"range": "bytes=1-2"}).ok()
        for answer in (raw.get(own).ok(), raw.head(own).ok(), ranged):
            assert {name: answer.headers.get(name) for name in expected} == expected


def test_empty_optional_headers_are_ignored(raw, path):
    """Behaviour row 32."""
    raw.put(path, b"content", {"x-amz-tagging": "", "x-amz-storage-class": ""}).ok()


def test_directory_markers(raw, bucket):
    for key in ("dir/", "dir/sub/", "dir/sub/file"):
        raw.put(f"/{bucket}/{key}", b"").ok()
    assert raw.head(f"/{bucket}/dir/").ok().headers["content-length"] == "0"
    page = raw.list(f"/{bucket}", prefix="dir/", delimiter="/")
    assert (page.all("Key"), page.common_prefixes()) == (["dir/"], ["dir/sub/"])
    assert raw.head(f"/{bucket}/dir").status == 404
    assert raw.delete(f"/{bucket}/dir/").ok().status == 204
    assert raw.list(f"/{bucket}").all("Key") == ["dir/sub/", "dir/sub/file"]
    objects = "".join(f"<Object><Key>{key}</Key></Object>" for key in ("dir/", "none", "dir/sub/"))
    body = f"<Delete>{objects}</Delete>".encode()
    md5 = {"x-amz-checksum-crc32": checksum("crc32", body)}
    deleted = raw.post(f"/{bucket}", {"delete": ""}, body, md5).ok()
    assert deleted.all("Key") == ["dir/", "none", "dir/sub/"] and not deleted.all("Error")
    assert raw.list(f"/{bucket}").all("Key") == ["dir/sub/file"]


@pytest.mark.parametrize("size", [9, 200 * KIB])
def test_one_winner_of_many_conditional_puts(raw, path, size):
    for round in range(5):
        bodies = [bytes([n]) * size for n in range(16)]
        with ThreadPoolExecutor(len(bodies)) as pool:
            only_new = {"if-none-match": "*"}
            answers = list(pool.map(lambda body: raw.put(f"{path}{round}", body, only_new), bodies))
        assert sorted(answer.status for answer in answers) == [200] + [412] * 15
        winner = next(body for body, answer in zip(bodies, answers) if answer.status == 200)
        assert same(raw.get(f"{path}{round}").ok().body, winner)


def test_virtual_host_style(raw, bucket):
    host = {"host": f"{bucket}.{DOMAIN}"}
    raw.put("/folder/key", b"content", host).ok()
    assert raw.get(f"/{bucket}/folder/key").ok().body == b"content"
    assert raw.get("/", {"list-type": "2"}, host).ok().all("Key") == ["folder/key"]
