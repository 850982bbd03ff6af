"""A small S3 client that sends exactly what a test says: requests signed with AWS Signature Version 4,
and bodies in the aws-chunked framing, right or wrong."""

import base64
import contextlib
import hashlib
import hmac
import http.client
import re
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from urllib.parse import quote
from xml.sax.saxutils import escape, unescape

from awscrt import checksums

UNSIGNED = "UNSIGNED-PAYLOAD"
SIGNED_CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_CHUNKS_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_CHUNKS_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


def encode(text, keep=""):
    return quote(text, safe="-_.~" + keep)


def checksum(algorithm, data):
    """The base64 value of an x-amz-checksum-... header."""
    value = {
        "crc32": lambda: zlib.crc32(data).to_bytes(4, "big"),
        "crc32c": lambda: checksums.crc32c(data).to_bytes(4, "big"),
        "crc64nvme": lambda: checksums.crc64nvme(data).to_bytes(8, "big"),
        "sha1": lambda: hashlib.sha1(data).digest(),
        "sha256": lambda: hashlib.sha256(data).digest(),
    }[algorithm]()
    return base64.b64encode(value).decode()


class Answer:
    """A whole answer. Header names are in lower case."""

    def __init__(self, status, headers, body):
        self.status, self.body = status, body
        self.headers = {name.lower(): value for name, value in headers}

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body[:2000]!r}"

    def ok(self):
        assert 200 <= self.status < 300, self
        return self

    def all(self, tag, end=None):
        """The text of every element with this name."""
        found = re.findall(f"<{tag}>([^<]*)</{end or tag}>", self.body.decode())
        return [unescape(text, {"&quot;": '"', "&apos;": "'"}) for text in found]

    def common_prefixes(self):
        return self.all("CommonPrefixes><Prefix", "Prefix")

    def one(self, tag):
        """The text of the first element with this name, or None."""
        return next(iter(self.all(tag)), None)

    def refused(self, status, code):
        assert (self.status, self.one("Code")) == (status, code), self
        return self


class Raw:
    def __init__(self, address, access_key, secret_key, region):
        self.address, self.access_key = address, access_key
        self.secret_key, self.region = secret_key, region

    def using(self, **changes):
        """The same client, other keys or another region."""
        fields = {**vars(self), **changes}
        return Raw(*(fields[name] for name in ("address", "access_key", "secret_key", "region")))

    def send(self, method, path, query=None, headers=None, body=b"", payload=UNSIGNED, signed=True):
        """Sends a request for the path as a person would write it, and reads the whole answer."""
        request = self.request(method, path, query, headers, payload, signed)
        return self.exchange(method, request, body)

    def request(self, method, path, query=None, headers=None, payload=UNSIGNED, signed=True):
        """(target, headers) of a request, signed unless told otherwise."""
        pairs = sorted((encode(name), encode(value)) for name, value in (query or {}).items())
        query = "&".join(f"{name}={value}" for name, value in pairs)
        headers = {"host": self.address} | (headers or {})
        path = encode(path, "/")
        if signed:
            headers |= {"x-amz-date": now(), "x-amz-content-sha256": payload}
            headers["authorization"] = self.authorization(method, path, query, headers, payload)
        return (f"{path}?{query}" if query else path), headers

    def exchange(self, method, request, body):
        target, headers = request
        connection = http.client.HTTPConnection(self.address, timeout=120)
        try:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            names = {name.lower() for name in headers}
            if "content-length" not in names and (body or method in ("PUT", "POST")):
                headers = headers | {"content-length": str(len(body))}
            for name, value in headers.items():
                connection.putheader(name, value if isinstance(value, bytes) else value.encode())
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.endheaders(body)  # a refusal may come before the body has been sent
            answer = connection.getresponse()
            return Answer(answer.status, answer.getheaders(), answer.read())
        finally:
            connection.close()

    def scope(self, date):
        return f"{date[:8]}/{self.region}/s3/aws4_request"

    def key(self, date):
        key = f"AWS4{self.secret_key}".encode()
        for part in (date[:8], self.region, "s3", "aws4_request"):
            key = digest(key, part)
        return key

    def authorization(self, method, path, query, headers, payload):
        lines = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
        names = ";".join(sorted(lines))
        listed = "".join(f"{name}:{lines[name]}\n" for name in sorted(lines))
        canonical = f"{method}\n{path}\n{query}\n{listed}\n{names}\n{payload}"
        date, hashed = headers["x-amz-date"], hashlib.sha256(canonical.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{date}\n{self.scope(date)}\n{hashed}"
        signature = digest(self.key(date), text).hex()
        credential = f"{self.access_key}/{self.scope(date)}"
        return f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"

    def put(self, path, body=b"", headers=None, query=None):
        return self.send("PUT", path, query, headers, body)

    def get(self, path, query=None, headers=None):
        return self.send("GET", path, query, headers)

    def head(self, path, headers=None):
        return self.send("HEAD", path, None, headers)

    def delete(self, path, query=None, headers=None):
        return self.send("DELETE", path, query, headers)

    def post(self, path, query, body=b"", headers=None):
        return self.send("POST", path, query, headers, body)

    def put_many(self, bucket_path, objects):
        """Puts {key: bytes}, some at a time."""
        with ThreadPoolExecutor(8) as pool:
            answers = pool.map(lambda key: self.put(f"{bucket_path}/{key}", objects[key]), objects)
            assert all(answer.ok() for answer in answers)

    def create_upload(self, path, headers=None):
        return self.post(path, {"uploads": ""}, headers=headers).ok().one("UploadId")

    def put_part(self, path, upload, number, body, headers=None):
        return self.put(path, body, headers, {"uploadId": upload, "partNumber": str(number)})

    def complete(self, path, upload, parts, headers=None):
        """`parts`: (number, ETag, further XML elements)."""
        listed = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(etag)}</ETag>{more}</Part>"
            for number, etag, more in parts
        )
        body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
        return self.post(path, {"uploadId": upload}, body, headers)

    def list(self, path, **query):
        """One page of ListObjectsV2."""
        query = {name.replace("_", "-"): str(value) for name, value in query.items()}
        return self.get(path, {"list-type": "2"} | query).ok()

    def put_chunked(self, path, chunks, payload, headers=None, trailers=None, spoil=None, query=None):
        """A PUT in the aws-chunked framing. `trailers` are sent, and announced, as they are; `spoil`
        changes the framed body before it is sent."""
        length = str(sum(map(len, chunks)))
        headers = {"content-encoding": "aws-chunked", "x-amz-decoded-content-length": length} | (headers or {})
        if trailers:
            headers["x-amz-trailer"] = ",".join(trailers)
        target, headers = self.request("PUT", path, query, headers, payload)
        signs = payload in (SIGNED_CHUNKS, SIGNED_CHUNKS_TRAILER)
        body = self.framed(chunks, trailers or {}, headers if signs else None)
        return self.exchange("PUT", (target, headers), spoil(body) if spoil else body)

    def framed(self, chunks, trailers, seed=None):
        """The chunks and trailers framed; signed as a chain that begins with the signature of the
        headers `seed`, if given."""
        previous = seed and seed["authorization"].rsplit("=", 1)[1]
        body = b""
        for chunk in [*chunks, b""]:
            extension = ""
            if seed:
                covered = f"{hashlib.sha256(b'').hexdigest()}\n{hashlib.sha256(chunk).hexdigest()}"
                previous = self.chained("PAYLOAD", seed["x-amz-date"], previous, covered)
                extension = f";chunk-signature={previous}"
            end = b"\r\n" if chunk else b""
            body += f"{len(chunk):x}{extension}\r\n".encode() + chunk + end
        for name, value in trailers.items():
            body += f"{name}:{value}\r\n".encode()
        if seed and trailers:
            listed = "".join(f"{name}:{value}\n" for name, value in trailers.items())
            covered = hashlib.sha256(listed.encode()).hexdigest()
            signature = self.chained("TRAILER", seed["x-amz-date"], previous, covered)
            body += f"x-amz-trailer-signature:{signature}\r\n".encode()
        return body + b"\r\n"

    def chained(self, kind, date, previous, covered):
        text = f"AWS4-HMAC-SHA256-{kind}\n{date}\n{self.scope(date)}\n{previous}\n{covered}"
        return digest(self.key(date), text).hex()


def digest(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def now():
    return datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
