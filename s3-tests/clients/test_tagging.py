"""Tags of objects and buckets, through boto3."""

import io

import pytest

from harness import MIB, content
from test_boto3 import connect, refusal, s3  # noqa: F401 (fixtures)


def tag_set(**tags):
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def tags_of(s3, bucket, key, **which):
    return s3.get_object_tagging(Bucket=bucket, Key=key, **which)["TagSet"]


def test_tags_of_an_object(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", Tagging="team=a%20b&empty=")
    assert tags_of(s3, bucket, "key") == tag_set(team="a b", empty="")
    before = s3.head_object(Bucket=bucket, Key="key")
    wanted = tag_set(grün="日本語", other="+-=._:/@")
    s3.put_object_tagging(Bucket=bucket, Key="key", Tagging={"TagSet": wanted})
    assert tags_of(s3, bucket, "key") == wanted
    after = s3.head_object(Bucket=bucket, Key="key")
    assert (after["ETag"], after["LastModified"]) == (before["ETag"], before["LastModified"])
    s3.delete_object_tagging(Bucket=bucket, Key="key")
    assert tags_of(s3, bucket, "key") == []
    s3.put_object(Bucket=bucket, Key="key", Body=b"y")
    assert tags_of(s3, bucket, "key") == []


def test_an_upload_of_parts_brings_its_tags(s3, bucket):
    extra = {"Tagging": "kind=large"}
    s3.upload_fileobj(io.BytesIO(content(20 * MIB)), bucket, "big", ExtraArgs=extra)
    assert tags_of(s3, bucket, "big") == tag_set(kind="large")
    assert "-" in s3.head_object(Bucket=bucket, Key="big")["ETag"]


def test_a_copy_has_the_tags_of_its_source(s3, bucket):
    s3.put_object(Bucket=bucket, Key="from", Body=b"x", Tagging="a=1")
    s3.copy_object(Bucket=bucket, Key="to", CopySource={"Bucket": bucket, "Key": "from"})
    assert tags_of(s3, bucket, "to") == tag_set(a="1")


def test_tags_of_a_bucket(s3, bucket):
    unset = ("NoSuchTagSet", 404)
    assert refusal(s3.get_bucket_tagging, Bucket=bucket) == unset
    for wanted in [tag_set(team="a", cost="9"), tag_set(team="b")]:
        s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": wanted})
        assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == wanted
    s3.delete_bucket_tagging(Bucket=bucket)
    assert refusal(s3.get_bucket_tagging, Bucket=bucket) == unset


@pytest.mark.parametrize(
    "tags, code",
    [
        ([(str(number), "") for number in range(11)], "BadRequest"),
        ([("k", "1"), ("k", "2")], "InvalidTag"),
        ([("k" * 129, "")], "InvalidTag"),
        ([("k", "v" * 257)], "InvalidTag"),
        ([("aws:k", "v")], "InvalidTag"),
    ],
    ids=["eleven", "twice", "long key", "long value", "reserved"],
)
def test_tags_that_are_refused(s3, bucket, tags, code):
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    tagging = {"TagSet": [{"Key": key, "Value": value} for key, value in tags]}
    assert refusal(s3.put_object_tagging, Bucket=bucket, Key="key", Tagging=tagging) == (code, 400)
    assert tags_of(s3, bucket, "key") == []
    assert refusal(s3.put_object_tagging, Bucket=bucket, Key="none", Tagging={"TagSet": []}) == ("NoSuchKey", 404)
