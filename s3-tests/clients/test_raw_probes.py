"""What clients ask of a bucket before they use it, and what is not there yet: AWS's answer for "not set"
to the former, 501 to the latter, and never a setting that is taken and not kept."""

import pytest

from harness import REGION_ALIAS

UNSET = {
    "location": (200, None),
    "versioning": (200, None),
    "lifecycle": (404, "NoSuchLifecycleConfiguration"),
    "policy": (404, "NoSuchBucketPolicy"),
    "policyStatus": (404, "NoSuchBucketPolicy"),
    "cors": (404, "NoSuchCORSConfiguration"),
    "tagging": (404, "NoSuchTagSet"),
    "encryption": (404, "ServerSideEncryptionConfigurationNotFoundError"),
    "object-lock": (404, "ObjectLockConfigurationNotFoundError"),
    "replication": (404, "ReplicationConfigurationNotFoundError"),
    "website": (404, "NoSuchWebsiteConfiguration"),
    "logging": (200, None),
    "notification": (200, None),
    "accelerate": (200, None),
    "requestPayment": (200, None),
    "acl": (200, None),
    "publicAccessBlock": (404, "NoSuchPublicAccessBlockConfiguration"),
    "ownershipControls": (404, "OwnershipControlsNotFoundError"),
}


@pytest.mark.parametrize("probe", UNSET)
def test_probes_of_a_new_bucket(raw, bucket, probe):
    """Behaviour row 31."""
    status, code = UNSET[probe]
    answer = raw.get(f"/{bucket}", {probe: ""})
    assert (answer.status, answer.one("Code")) == (status, code), answer
    raw.get("/no-such-bucket", {probe: ""}).refused(404, "NoSuchBucket")
    told = {"requestPayment": "<Payer>BucketOwner</Payer>", "acl": "<Permission>FULL_CONTROL</Permission>"}
    assert told.get(probe, "") in answer.body.decode()


RULE = "<Rule><Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule>"
LIFECYCLE = f"<LifecycleConfiguration>{RULE}</LifecycleConfiguration>"
RULE = "<CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin></CORSRule>"
CORS = f"<CORSConfiguration>{RULE}</CORSConfiguration>"
ENCRYPTION = "<ServerSideEncryptionConfiguration><Rule/></ServerSideEncryptionConfiguration>"
RULE = "<Rule><Status>Enabled</Status><Destination><Bucket>b</Bucket></Destination></Rule>"
REPLICATION = f"<ReplicationConfiguration><Role>r</Role>{RULE}</ReplicationConfiguration>"
NOT_YET = [
    ("PUT", "", "policy", "{}"),
    ("PUT", "", "lifecycle", LIFECYCLE),
    ("PUT", "", "cors", CORS),
    ("PUT", "", "encryption", ENCRYPTION),
    ("PUT", "", "replication", REPLICATION),
    ("PUT", "", "website", "<WebsiteConfiguration></WebsiteConfiguration>"),
    ("PUT", "", "notification", "<NotificationConfiguration></NotificationConfiguration>"),
    ("PUT", "", "object-lock", "<ObjectLockConfiguration></ObjectLockConfiguration>"),
    ("PUT", "", "publicAccessBlock", "<PublicAccessBlockConfiguration></PublicAccessBlockConfiguration>"),
    ("DELETE", "", "policy", ""),
    ("GET", "", "inventory", ""),
    ("GET", "/key", "retention", ""),
    ("GET", "/key", "torrent", ""),
    ("POST", "/key", "restore", "<RestoreRequest></RestoreRequest>"),
]


@pytest.mark.parametrize("method, key, query, body", NOT_YET, ids=[f"{m}{k}?{q}" for m, k, q, _ in NOT_YET])
def test_what_is_not_there_yet(raw, bucket, method, key, query, body):
    raw.put(f"/{bucket}/key", b"content").ok()
    answer = raw.send(method, f"/{bucket}{key}", {query: ""}, None, body.encode())
    answer.refused(501, "NotImplemented")
    assert raw.get(f"/{bucket}/key").ok().body == b"content"


HEADERS_NOT_YET = {
    "x-amz-server-side-encryption": "AES256",
    "x-amz-server-side-encryption-customer-algorithm": "AES256",
    "x-amz-object-lock-mode": "GOVERNANCE",
    "x-amz-object-lock-legal-hold": "ON",
    "x-amz-storage-class": "GLACIER",
    "x-amz-write-offset-bytes": "7",
}


@pytest.mark.parametrize("name", HEADERS_NOT_YET)
def test_headers_that_would_not_be_kept(raw, bucket, name):
    path = f"/{bucket}/key"
    raw.put(path, b"content", {name: HEADERS_NOT_YET[name]}).refused(501, "NotImplemented")
    raw.get(path).refused(404, "NoSuchKey")


OTHERS_ACL = [{"x-amz-acl": "public-read"}, {"x-amz-grant-read": "id=someone"}]


def test_the_only_acl_there_is(raw, bucket):
    path, refusal = f"/{bucket}/key", (400, "AccessControlListNotSupported")
    for headers in OTHERS_ACL:
        raw.put(path, b"content", headers).refused(*refusal)
        raw.post(path, {"uploads": ""}, headers=headers).refused(*refusal)
        raw.get(path).refused(404, "NoSuchKey")
        raw.put(f"/{bucket}-public", headers=headers).refused(400, "InvalidBucketAclWithObjectOwnership")
        assert raw.head(f"/{bucket}-public").status == 404
    raw.put(path, b"content", {"x-amz-acl": "private"}).ok()
    for path in (path, f"/{bucket}"):
        for headers in OTHERS_ACL:
            raw.put(path, b"", headers, {"acl": ""}).refused(*refusal)
        raw.put(path, b"", {"x-amz-acl": "private"}, {"acl": ""}).ok()
        acl = raw.get(path, {"acl": ""}).ok()
        assert acl.all("Permission") == ["FULL_CONTROL"]
        raw.put(path, acl.body, query={"acl": ""}).ok()
        raw.put(path, acl.body.replace(b"FULL_CONTROL", b"READ"), query={"acl": ""}).refused(*refusal)


def test_buckets_are_made_where_they_are_asked_for(raw, bucket):
    """Behaviour row 31."""
    made = f"/{bucket}-made"
    text = "<CreateBucketConfiguration><LocationConstraint>{}</LocationConstraint></CreateBucketConfiguration>"
    raw.put(made, text.format("eu-nowhere-1").encode()).refused(400, "InvalidLocationConstraint")
    assert raw.head(made).status == 404
    raw.put(made, text.format(REGION_ALIAS).encode()).ok()
    assert f"{bucket}-made" in raw.get("/").ok().all("Name")
    assert raw.delete(made).ok().status == 204
    raw.delete(made).refused(404, "NoSuchBucket")
    raw.put(f"/{bucket}/key", b"").ok()
    raw.delete(f"/{bucket}").refused(409, "BucketNotEmpty")
