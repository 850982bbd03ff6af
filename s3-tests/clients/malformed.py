"""Requests that are wrong, each with the answer that S3 gives. `test_malformed.py` sends them.

A row is (name, status, code, send): `send` takes a `Place` and returns the answer. `code` may name several,
where AWS documents none, or be None where the request is too broken for an answer with a body.
"""

import base64
import hashlib
import re
import socket
from datetime import datetime, timedelta, timezone

from raw import (
    SIGNED_CHUNKS,
    SIGNED_CHUNKS_TRAILER,
    UNSIGNED,
    UNSIGNED_CHUNKS_TRAILER,
    Answer,
    checksum,
    digest,
    encode,
)

NEW = b"new content that must never be read\n" * 1000
CHUNKS = [NEW[:20000], NEW[20000:]]
MIB = 1 << 20


class Place:
    """A bucket with one object, one open upload, and a client."""

    OLD = b"old content"

    def __init__(self, raw, bucket):
        self.raw, self.bucket = raw, f"/{bucket}"
        self.key = f"/{bucket}/key"
        self.fresh = f"/{bucket}-new"
        raw.put(self.key, self.OLD, {"x-amz-meta-a": "old"}).ok()
        self.upload = raw.create_upload(self.key)
        self.etag = raw.put_part(self.key, self.upload, 1, b"part").ok().headers["etag"]

    def assert_unchanged(self):
        """Nothing that a row asked for has been done."""
        found = self.raw.get(self.key).ok()
        assert found.body == self.OLD and found.headers["x-amz-meta-a"] == "old"
        assert self.raw.list(self.bucket).all("Key") == ["key"]
        assert self.raw.get(self.bucket, {"uploads": ""}).ok().all("UploadId") == [self.upload]
        parts = self.raw.get(self.key, {"uploadId": self.upload}).ok()
        assert parts.all("PartNumber") == ["1"] and parts.all("ETag") == [self.etag]
        assert self.raw.get(self.key, {"tagging": ""}).ok().all("Key") == []
        self.raw.get(self.bucket, {"tagging": ""}).refused(404, "NoSuchTagSet")
        assert self.raw.get(self.bucket, {"versioning": ""}).ok().all("Status") == []
        assert self.raw.head(self.fresh).status == 404

    # What rows are made of.

    def put(self, headers=None, body=NEW, **changes):
        return self.raw.using(**changes).put(self.key, body, headers)

    def wire(self, head, body=b"", ends=False):
        """Sends bytes as they are, ends the sending side if told so, and reads until the server closes."""
        host, port = self.raw.address.split(":")
        received = b""
        with socket.create_connection((host, int(port)), timeout=30) as stream:
            try:
                stream.sendall(head + body)
                if ends:
                    stream.shutdown(socket.SHUT_WR)
                while data := stream.recv(65536):
                    received += data
            except (BrokenPipeError, ConnectionResetError):
                pass
        if not received:
            return Answer(None, [], b"")
        lines, _, body = received.partition(b"\r\n\r\n")
        fields = [line.split(": ", 1) for line in lines.decode().split("\r\n")[1:]]
        return Answer(int(lines.split(b" ")[1]), fields, body)

    def put_lines(self, *lines, body=NEW, ends=False):
        """A signed PUT with further lines in its head, which are not signed."""
        target, headers = self.raw.request("PUT", self.key)
        head = [f"PUT {target} HTTP/1.1".encode()]
        head += [f"{name}: {value}".encode() for name, value in headers.items()]
        head += [line if isinstance(line, bytes) else line.encode() for line in lines]
        return self.wire(b"\r\n".join([*head, b"connection: close", b"", b""]), body, ends)

    def raw_path(self, method, target):
        """A signed request for a path that is encoded already."""
        date = moment(0)
        headers = {"host": self.raw.address, "x-amz-date": date, "x-amz-content-sha256": UNSIGNED}
        headers["authorization"] = self.raw.authorization(method, target, "", headers, UNSIGNED)
        return self.raw.exchange(method, (target, headers), NEW)

    def edited(self, edit, headers=None):
        """A signed PUT whose headers `edit` changes after they were signed."""
        target, headers = self.raw.request("PUT", self.key, headers=headers)
        edit(headers)
        return self.raw.exchange("PUT", (target, headers), NEW)

    def signed_at(self, date):
        """A PUT signed for another moment."""
        headers = {"host": self.raw.address, "x-amz-date": date, "x-amz-content-sha256": UNSIGNED}
        text = self.raw.authorization("PUT", self.key, "", headers, UNSIGNED)
        if date[8:9] != "T":  # the scope is right, only the date is not
            text = text.replace(self.raw.scope(date), self.raw.scope(moment(0)))
        headers["authorization"] = text
        return self.raw.exchange("PUT", (self.key, headers), NEW)

    def presigned(self, minutes=0, drop=(), tamper=None, **changes):
        """A presigned PUT, signed so many minutes from now."""
        date = moment(minutes)
        scope = self.raw.scope(date)
        query = {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{self.raw.access_key}/{scope}",
            "X-Amz-Date": date,
            "X-Amz-Expires": "60",
            "X-Amz-SignedHeaders": "host",
        } | {f"X-Amz-{name}": value for name, value in changes.items()}
        query = {name: value for name, value in query.items() if name not in drop}
        text = "&".join(f"{encode(name)}={encode(query[name])}" for name in sorted(query))
        canonical = f"PUT\n{self.key}\n{text}\nhost:{self.raw.address}\n\nhost\n{UNSIGNED}"
        hashed = hashlib.sha256(canonical.encode()).hexdigest()
        signature = digest(self.raw.key(date), f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashed}").hex()
        if "X-Amz-Signature" not in drop:
            text += f"&X-Amz-Signature={tamper or signature}"
        return self.raw.exchange("PUT", (f"{self.key}?{text}", {"host": self.raw.address}), NEW)

    def chunked(self, payload, spoil=None, headers=None, trailers=None):
        if trailers is None and payload != SIGNED_CHUNKS:
            trailers = {"x-amz-checksum-crc32": checksum("crc32", NEW)}
        return self.raw.put_chunked(self.key, CHUNKS, payload, headers, trailers, spoil)


def moment(minutes):
    when = datetime.now(timezone.utc) + timedelta(minutes=minutes)
    return when.strftime("%Y%m%dT%H%M%SZ")


# XML ---------------------------------------------------------------------------------------------------

TAGS = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"

# What takes XML: method, path, query, a body that is right, the element at its root.
XML = {
    "complete": lambda p: (
        "POST",
        p.key,
        {"uploadId": p.upload},
        f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{p.etag}</ETag></Part>"
        "</CompleteMultipartUpload>".encode(),
        "CompleteMultipartUpload",
    ),
    "delete": lambda p: (
        "POST",
        p.bucket,
        {"delete": ""},
        b"<Delete><Object><Key>key</Key></Object></Delete>",
        "Delete",
    ),
    "create bucket": lambda p: (
        "PUT",
        p.fresh,
        None,
        b"<CreateBucketConfiguration><LocationConstraint>us-east-1</LocationConstraint>"
        b"</CreateBucketConfiguration>",
        "CreateBucketConfiguration",
    ),
    "versioning": lambda p: (
        "PUT",
        p.bucket,
        {"versioning": ""},
        b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
        "VersioningConfiguration",
    ),
    "bucket tags": lambda p: ("PUT", p.bucket, {"tagging": ""}, TAGS, "Tagging"),
    "object tags": lambda p: ("PUT", p.key, {"tagging": ""}, TAGS, "Tagging"),
}

ENTITIES = b"".join(
    b'<!ENTITY e%d "%s">' % (n, b"&e%d;" % (n - 1) * 10 if n else b"lol") for n in range(10)
)
SPOIL_XML = {
    "truncated": lambda body, root: body[:-8],
    "without end": lambda body, root: body[: -len(root) - 3],
    "another root": lambda body, root: body.replace(root, b"Other"),
    "two roots": lambda body, root: body + body,
    "not XML": lambda body, root: b'{"not": "XML"}',
    "crossed tags": lambda body, root: b"<" + root + b"><A><B></A></B></" + root + b">",
    "not UTF-8": lambda body, root: body.replace(b"><", b">\xff\xfe<", 1),
    "entities that multiply": lambda body, root: b"<!DOCTYPE r [" + ENTITIES + b"]>"
    + re.sub(rb">(1|key|us-east-1|Enabled|b)<", b">&e9;<", body, count=1),
    "a file as entity": lambda body, root: b'<!DOCTYPE r [<!ENTITY e SYSTEM "file:///etc/hostname">]>'
    + body.replace(b"</" + root, b"&e;</" + root),
}


def send_xml(operation, spoil):
    def send(place):
        method, path, query, body, root = XML[operation](place)
        body = spoil(body, root.encode())
        headers = {"content-md5": base64.b64encode(hashlib.md5(body).digest()).decode()}
        return place.raw.send(method, path, query, headers, body)

    return send


def too_long(body, root):
    return body.replace(b"</" + root, b"<!--" + b"x" * (9 * MIB) + b"--></" + root)


def xml_rows():
    for operation in XML:
        for name, spoil in SPOIL_XML.items():
            yield f"XML of {operation}: {name}", 400, "MalformedXML", send_xml(operation, spoil)
        yield f"XML of {operation}: 9 MiB", 400, "MaxMessageLengthExceeded", send_xml(operation, too_long)
    for name, old, new in [
        ("a part number that is none", b">1<", b">one<"),
        ("no part number", b"<PartNumber>1</PartNumber>", b""),
        ("a part number that is repeated", b"<PartNumber>1</PartNumber>", b"<PartNumber>1</PartNumber>" * 2),
        ("no parts", b"Part>", b"Other>"),
    ]:
        spoil = lambda body, root, old=old, new=new: body.replace(old, new)
        yield f"XML of complete: {name}", 400, "MalformedXML", send_xml("complete", spoil)
    below = lambda body, root: body.replace(b">1<", b">-1<")
    yield "XML of complete: a part number below 0", 400, "MalformedXML InvalidArgument", send_xml("complete", below)
    empty = lambda body, root: b""
    yield "XML of complete: empty", 400, "MalformedXML InvalidRequest", send_xml("complete", empty)
    yield "XML of delete: empty", 400, "MalformedXML MissingRequestBodyError", send_xml("delete", empty)
    yield "XML of delete: no key", 400, "MalformedXML", send_xml(
        "delete", lambda body, root: body.replace(b"<Key>key</Key>", b"")
    )
    yield "XML of delete: 1,001 keys", 400, "MalformedXML", send_xml(
        "delete", lambda body, root: b"<Delete>" + b"<Object><Key>key</Key></Object>" * 1001 + b"</Delete>"
    )
    yield "XML of delete: Quiet is neither", 400, "MalformedXML", send_xml(
        "delete", lambda body, root: body.replace(b"<Object>", b"<Quiet>maybe</Quiet><Object>")
    )
    yield "XML of delete: another digest", 400, "BadDigest", lambda p: p.raw.post(
        p.bucket,
        {"delete": ""},
        b"<Delete><Object><Key>key</Key></Object></Delete>",
        {"content-md5": base64.b64encode(hashlib.md5(b"").digest()).decode()},
    )
    for status in (b"enabled", b"On", b""):
        spoil = lambda body, root, status=status: body.replace(b"Enabled", status)
        yield f"XML of versioning: {status!r}", 400, "MalformedXML IllegalVersioningConfigurationException", (
            send_xml("versioning", spoil)
        )
    twice = lambda body, root: body.replace(b"<TagSet>", b"<TagSet><Tag><Key>a</Key><Value>c</Value></Tag>")
    for operation in ("bucket tags", "object tags"):
        yield f"XML of {operation}: one key twice", 400, "InvalidTag", send_xml(operation, twice)
    yield "XML of create bucket: no such region", 400, "InvalidLocationConstraint", send_xml(
        "create bucket", lambda body, root: body.replace(b"us-east-1", b"mars-1")
    )


# Chunks ------------------------------------------------------------------------------------------------


def swap(old, new, count=1):
    return lambda body: body.replace(old, new, count)


def first_size(new):
    return lambda body: new + body[body.index(b";" if b";" in body[:20] else b"\r\n") :]


def changed_signature(mark):
    def spoil(body):
        at = body.index(mark) + len(mark)
        return body[:at] + (b"1" if body[at : at + 1] == b"0" else b"0") + body[at + 1 :]

    return spoil


def chunk_rows():
    framing = {
        "a size that is no number": first_size(b"zz"),
        "a negative size": first_size(b"-1"),
        "a size beyond 64 bits": first_size(b"f" * 20),
        "an empty size": first_size(b""),
        "no CRLF after the data": swap(CHUNKS[0] + b"\r\n", CHUNKS[0]),
        "LF instead of CRLF": swap(b"\r\n", b"\n"),
        "an end within the data": lambda body: body[:9000],
        "no last chunk": lambda body: body[: body.rindex(b"\r\n0") + 2],
        "bytes after the end": lambda body: body + b"more",
        "nothing": lambda body: b"",
        "no framing": lambda body: NEW,
    }
    for payload in (SIGNED_CHUNKS, SIGNED_CHUNKS_TRAILER, UNSIGNED_CHUNKS_TRAILER):
        for name, spoil in framing.items():
            # A chunk header without a signature is found before its size is used.
            codes = "IncompleteBody MalformedTrailerError"
            yield f"{payload}: {name}", 400, codes, lambda p, a=payload, s=spoil: p.chunked(a, s)
        for length, status, code in [
            ("1", 400, "IncompleteBody"),
            ("99999999", 400, "IncompleteBody"),
            ("-1", 400, "InvalidArgument"),
            ("many", 400, "InvalidArgument"),
            ("", 400, "InvalidArgument"),
            ("9" * 30, 400, "InvalidArgument"),
        ]:
            headers = {"x-amz-decoded-content-length": length}
            yield f"{payload}: decoded length {length!r}", status, code, (
                lambda p, a=payload, h=headers: p.chunked(a, None, h)
            )
    for payload in (SIGNED_CHUNKS, SIGNED_CHUNKS_TRAILER):
        spoil = changed_signature(b"chunk-signature=")
        yield f"{payload}: another chunk signature", 403, "SignatureDoesNotMatch", (
            lambda p, a=payload, s=spoil: p.chunked(a, s)
        )
        yield f"{payload}: changed data", 403, "SignatureDoesNotMatch", (
            lambda p, a=payload: p.chunked(a, swap(b"new", b"New"))
        )
    yield "trailers: another signature", 403, "SignatureDoesNotMatch", lambda p: p.chunked(
        SIGNED_CHUNKS_TRAILER, changed_signature(b"x-amz-trailer-signature:")
    )
    yield "trailers: another checksum", 400, "BadDigest", lambda p: p.chunked(
        UNSIGNED_CHUNKS_TRAILER, None, None, {"x-amz-checksum-crc32": checksum("crc32", b"")}
    )
    yield "trailers: a checksum that is none", 400, "InvalidRequest", lambda p: p.chunked(
        UNSIGNED_CHUNKS_TRAILER, None, None, {"x-amz-checksum-crc32": "not base64"}
    )
    yield "trailers: not the one announced", 400, "MalformedTrailerError", lambda p: p.chunked(
        UNSIGNED_CHUNKS_TRAILER, swap(b"x-amz-checksum-crc32:", b"x-amz-checksum-sha1:")
    )
    yield "trailers: announced and missing", 400, "MalformedTrailerError", lambda p: p.chunked(
        UNSIGNED_CHUNKS_TRAILER, lambda body: body[: body.index(b"x-amz-checksum")] + b"\r\n"
    )
    for payload in ("STREAMING-AWS4-HMAC-SHA512-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD", "STREAMING-"):
        yield f"{payload} is not known", 400, "InvalidArgument", lambda p, a=payload: p.chunked(a)


# Headers -----------------------------------------------------------------------------------------------


def header_rows():
    wrong = {name: checksum(name, b"") for name in ("crc32", "crc32c", "crc64nvme", "sha1", "sha256")}
    for name, value in wrong.items():
        header = f"x-amz-checksum-{name}"
        yield f"{header}: of other content", 400, "BadDigest", lambda p, h=header, v=value: p.put({h: v})
        for bad in ("!!!!", value[:-4], value + value):
            yield f"{header}: {bad!r}", 400, "InvalidRequest", lambda p, h=header, v=bad: p.put({h: v})
    yield "two checksums", 400, "InvalidRequest", lambda p: p.put(
        {f"x-amz-checksum-{name}": checksum(name, NEW) for name in ("crc32", "sha1")}
    )
    yield "an algorithm without its checksum", 400, "InvalidRequest", lambda p: p.put(
        {"x-amz-sdk-checksum-algorithm": "SHA256", "x-amz-checksum-crc32": checksum("crc32", NEW)}
    )
    other = base64.b64encode(hashlib.md5(b"").digest()).decode()
    yield "Content-MD5: of other content", 400, "BadDigest", lambda p: p.put({"content-md5": other})
    for bad in ("!!!!", "abcd", "d41d8cd98f00b204e9800998ecf8427e"):
        yield f"Content-MD5: {bad!r}", 400, "InvalidDigest", lambda p, v=bad: p.put({"content-md5": v})
    sha256 = hashlib.sha256(b"").hexdigest()
    yield "x-amz-content-sha256: of other content", 400, "XAmzContentSHA256Mismatch", lambda p: (
        p.raw.send("PUT", p.key, body=NEW, payload=sha256)
    )
    for bad in ("abc", "sha256", "UNSIGNED"):
        yield f"x-amz-content-sha256: {bad}", 400, "InvalidArgument", lambda p, v=bad: (
            p.raw.send("PUT", p.key, body=NEW, payload=v)
        )
    for bad in ("-1", "+5", "5, 6", "five", "0x10", "9" * 30):
        yield f"Content-Length: {bad}", 400, None, lambda p, v=bad: p.put_lines(f"content-length: {v}")
    yield "Content-Length: twice", 400, None, lambda p: p.put_lines("content-length: 5", "content-length: 6")
    yield "Content-Length: 6 GiB", 400, "EntityTooLarge", lambda p: p.put_lines(f"content-length: {6 << 30}", body=b"")
    yield "Content-Length: missing", 411, "MissingContentLength", lambda p: p.put_lines(body=b"")
    yield "metadata: more than 2 KiB", 400, "MetadataTooLarge", lambda p: p.put({"x-amz-meta-b": "v" * 2048})
    yield "metadata: more than 2 KiB in many", 400, "MetadataTooLarge", lambda p: p.put(
        {f"x-amz-meta-{n:03}": "v" * 20 for n in range(90)}
    )
    yield "headers: 300 of them", 431, None, lambda p: p.put_lines(
        *[f"x-other-{n}: v" for n in range(300)], "content-length: 0", body=b""
    )
    yield "headers: 200 KiB", 431, None, lambda p: p.put_lines(
        *[f"x-other-{n}: {'v' * 2000}" for n in range(100)], "content-length: 0", body=b""
    )
    yield "storage class: none of S3's", 400, "InvalidStorageClass", lambda p: p.put({"x-amz-storage-class": "COLD"})
    yield "If-None-Match: an ETag", 501, "NotImplemented", lambda p: p.put({"if-none-match": '"etag"'})
    yield "If-Match: another ETag", 412, "PreconditionFailed", lambda p: p.put({"if-match": '"etag"'})
    yield "If-None-Match: *", 412, "PreconditionFailed", lambda p: p.put({"if-none-match": "*"})


# Signatures --------------------------------------------------------------------------------------------


def replace(old, new):
    def edit(headers):
        assert old in headers["authorization"]
        headers["authorization"] = headers["authorization"].replace(old, new)

    return edit


def signature_rows():
    mismatch = (403, "SignatureDoesNotMatch")
    malformed = (400, "AuthorizationHeaderMalformed")
    yield "another secret", *mismatch, lambda p: p.put(secret_key="other")
    yield "an unknown access key", 403, "InvalidAccessKeyId", lambda p: p.put(access_key="AKNOBODY")
    yield "no signature", 403, "AccessDenied", lambda p: p.raw.send("PUT", p.key, body=NEW, signed=False)
    for name, headers, edit, status, code in [
        ("a changed header", {"x-amz-meta-a": "1"}, lambda h: h.update({"x-amz-meta-a": "2"}), *mismatch),
        ("a changed date", None, lambda h: h.update({"x-amz-date": moment(-1)}), *mismatch),
        ("a header that is gone", {"x-amz-meta-a": "1"}, lambda h: h.pop("x-amz-meta-a"), *mismatch),
        ("a header that is not signed", None, lambda h: h.update({"x-amz-meta-a": "2"}), 403, "AccessDenied"),
        ("host is not signed", None, replace("=host;", "="), 403, "AccessDenied"),
        ("no date", None, lambda h: h.pop("x-amz-date"), 403, "AccessDenied SignatureDoesNotMatch"),
        ("another service", None, replace("/s3/", "/sts/"), *malformed),
        ("another region", None, replace("/us-east-1/", "/mars-1/"), *malformed),
        ("another end of the scope", None, replace("/aws4_request", "/aws5_request"), *malformed),
        ("a scope that is short", None, replace("/s3/aws4_request", ""), *malformed),
        ("a day that is none", None, replace(moment(0)[:8], "2026011"), *malformed),
        ("no Credential", None, replace("Credential=", "Other="), *malformed),
        ("no SignedHeaders", None, replace("SignedHeaders=", "Other="), *malformed),
        ("a signature that is short", None, replace("Signature=", "Signature=0"), *malformed),
        ("Signature Version 2", None, lambda h: h.update(authorization="AWS AK:c2ln"), 400, "InvalidRequest"),
        ("Basic", None, lambda h: h.update(authorization="Basic dTpw"), 400, "InvalidArgument"),
        ("an empty scheme", None, lambda h: h.update(authorization="x"), 400, "InvalidArgument"),
    ]:
        yield f"authorization: {name}", status, code, lambda p, e=edit, h=headers: p.edited(e, h)
    yield "authorization: of another day", *malformed, lambda p: p.edited(replace(moment(0)[:8], moment(-1440)[:8]))
    for minutes in (-16, 16):
        yield f"authorization: {minutes} minutes from now", 403, "RequestTimeTooSkewed", (
            lambda p, m=minutes: p.signed_at(moment(m))
        )
    for date in ("today", moment(0)[:8], "2026-11-22T00:00:00Z", ""):
        yield f"authorization: at {date!r}", 403, "AccessDenied", lambda p, d=date: p.signed_at(d)
    query = (400, "AuthorizationQueryParametersError")
    for name in ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders"):
        yield f"presigned: no X-Amz-{name}", *query, lambda p, n=name: p.presigned(drop=[f"X-Amz-{n}"])
    for value in ("604801", "-1", "soon", ""):
        yield f"presigned: expires {value!r}", *query, lambda p, v=value: p.presigned(Expires=v)
    for value in ("today", "", "20261122"):
        yield f"presigned: date {value!r}", *query, lambda p, v=value: p.presigned(Date=v)
    yield "presigned: no X-Amz-Signature", 403, "AccessDenied", lambda p: p.presigned(drop=["X-Amz-Signature"])
    yield "presigned: expired", 403, "AccessDenied", lambda p: p.presigned(-2)
    yield "presigned: not valid yet", 403, "AccessDenied RequestTimeTooSkewed", lambda p: p.presigned(20)
    yield "presigned: another signature", *mismatch, lambda p: p.presigned(tamper="0" * 64)
    yield "presigned: a credential that is none", *query, lambda p: p.presigned(Credential="AK")
    yield "presigned: an algorithm that is none", 400, "InvalidArgument AuthorizationQueryParametersError", (
        lambda p: p.presigned(Algorithm="AWS4-HMAC-MD5")
    )
    yield "presigned: Signature Version 2", 400, "InvalidRequest", lambda p: p.raw.exchange(
        "PUT", (f"{p.key}?AWSAccessKeyId=AK&Expires=1&Signature=c2ln", {"host": p.raw.address}), NEW
    )


# Bodies, keys, buckets -----------------------------------------------------------------------------------


def name_rows():
    yield "a body that ends early", None, None, lambda p: p.put_lines(
        f"content-length: {len(NEW) + 1}", ends=True
    )
    yield "a body that ends early, inline", None, None, lambda p: p.put_lines(
        "content-length: 10", body=b"short", ends=True
    )
    yield "no body at all", None, None, lambda p: p.put_lines(
        "content-length: 10", body=b"", ends=True
    )
    yield "a key of 1,025 bytes", 400, "KeyTooLongError", lambda p: p.raw.put(f"{p.bucket}/{'k' * 1025}", NEW)
    yield "a key of 1,026 bytes in 513 letters", 400, "KeyTooLongError", lambda p: p.raw.put(
        f"{p.bucket}/{'é' * 513}", NEW
    )
    for name in ("%FF", "a%C3", "%ED%A0%80"):
        yield f"a key that is not UTF-8: {name}", 400, "InvalidURI InvalidArgument", (
            lambda p, n=name: p.raw_path("PUT", f"{p.bucket}/{n}")
        )
    for name in (
        "ab",
        "a" * 64,
        "Upper",
        "under_score",
        "-dash",
        "dash-",
        "two..dots",
        "192.168.5.4",
        "xn--name",
        "name-s3alias",
        "spa ce",
    ):
        yield f"bucket {name[:20]!r}", 400, "InvalidBucketName", lambda p, n=name: p.raw.put(f"/{n}")


ROWS = [*xml_rows(), *chunk_rows(), *header_rows(), *signature_rows(), *name_rows()]

# Rows that need more than one exchange, or a server of another kind, and the tests that show them.
ELSEWHERE = {
    "a body of which nothing more comes": "gateway/src/http/tests/connections.rs::a_silent_body_is_timed_out",
    "headers of which nothing more comes": "gateway/src/http/tests/connections.rs::slow_headers_and_silent_connections_are_closed",
    "a client that leaves within its body": "gateway/src/http/tests/connections.rs::a_client_that_leaves_is_never_a_success",
    "the answer to a body that is still being sent": "gateway/src/http/tests/connections.rs::the_answer_to_a_refused_upload_is_not_lost",
    "two mechanisms of signing": "gateway/src/http/tests/refusals.rs::other_authorization_is_refused_by_name",
    "sub-resources that are not known": "gateway/src/http/tests/refusals.rs::an_unknown_sub_resource_never_becomes_another_operation",
    "features that are not offered": "gateway/tests/operations/refusals.rs::what_is_not_there_stores_nothing",
    "presigned requests with more than was signed": "gateway/src/http/tests/presigned.rs::presigned_requests_may_not_bring_more_than_was_signed",
    "checksums of parts": "s3-tests/clients/test_raw_parts.py::test_wrong_checksums_of_parts_are_refused",
}
