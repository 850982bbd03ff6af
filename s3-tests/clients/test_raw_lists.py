"""Lists: pages, tokens, delimiters, and what is gone."""

import random
import re

import pytest


def walk(raw, bucket, delimiter="", **query):
    """All pages of ListObjectsV2."""
    if delimiter:
        query["delimiter"] = delimiter
    pages = [raw.list(f"/{bucket}", **query)]
    while pages[-1].one("IsTruncated") == "true":
        token = pages[-1].one("NextContinuationToken")
        assert token and len(pages) < 2000
        pages.append(raw.list(f"/{bucket}", continuation_token=token, **query))
    return pages


def shown(page):
    """(keys, common prefixes) of a page."""
    return page.all("Key"), page.common_prefixes()


def expected(keys, prefix, delimiter):
    """What the whole list holds."""
    own, groups = [], set()
    for key in sorted(keys, key=str.encode):
        rest = key.removeprefix(prefix) if key.startswith(prefix) else None
        if rest is None:
            continue
        if delimiter and delimiter in rest:
            groups.add(prefix + rest.split(delimiter)[0] + delimiter)
        else:
            own.append(key)
    return own, sorted(groups, key=str.encode)


def test_a_page_has_at_most_a_thousand_keys(raw, many):
    """Behaviour row 17."""
    bucket, keys = many
    for asked in ({}, {"max_keys": 1001}, {"max_keys": 5000}):
        page = raw.list(f"/{bucket}", **asked)
        assert len(page.all("Key")) == 1000
        assert (page.one("IsTruncated"), page.one("KeyCount")) == ("true", "1000")
        assert page.one("NextContinuationToken") and page.one("NextMarker") is None
    assert [key for page in walk(raw, bucket) for key in page.all("Key")] == keys
    none = raw.list(f"/{bucket}", max_keys=0)
    assert (none.all("Key"), none.one("IsTruncated")) == ([], "false")
    for wrong in ("-1", "many"):
        raw.get(f"/{bucket}", {"list-type": "2", "max-keys": wrong}).refused(400, "InvalidArgument")


def test_start_after_gives_way_to_a_token(raw, many):
    """Behaviour row 18."""
    bucket, keys = many
    first = raw.list(f"/{bucket}", start_after=keys[99], max_keys=10)
    assert first.all("Key") == keys[100:110]
    token = first.one("NextContinuationToken")
    again = raw.list(f"/{bucket}", start_after=keys[900], continuation_token=token, max_keys=10)
    assert again.all("Key") == keys[110:120]


def test_version_1_of_the_list(raw, many):
    bucket, keys = many
    page = raw.get(f"/{bucket}", {"max-keys": "7", "marker": keys[4]}).ok()
    assert page.all("Key") == keys[5:12]
    assert page.one("KeyCount") is None and page.one("NextContinuationToken") is None
    page = raw.get(f"/{bucket}", {"max-keys": "3", "delimiter": "/"}).ok()
    assert shown(page) == ([], ["folder00/", "folder01/", "folder02/"])
    assert page.one("NextMarker") == "folder02/"
    page = raw.get(f"/{bucket}", {"max-keys": "30", "delimiter": "/", "marker": "folder02/"}).ok()
    assert shown(page)[1] == [f"folder{n:02}/" for n in range(3, 11)]


def test_pages_go_on_past_what_was_deleted(raw, bucket):
    """Behaviour rows 19 and 22."""
    keys = [f"gone{n:03}" for n in range(200)] + ["stays"]
    raw.put_many(f"/{bucket}", {key: b"" for key in keys})
    for key in keys[:-1]:
        raw.delete(f"/{bucket}/{key}").ok()
    page = raw.list(f"/{bucket}", max_keys=10)
    assert page.all("Key") == ["stays"]
    assert (page.one("IsTruncated"), page.one("KeyCount")) == ("false", "1")
    assert shown(raw.list(f"/{bucket}", prefix="gone", delimiter="0")) == ([], [])


TREES = {
    "repeated names": ["folder1/folder1/a", "folder1/folder1/folder1/b", "folder1/c", "folder1"],
    "neighbours of the slash": ["test", "test-1", "test.txt", "test/", "test/a", "test0", "test/a-b", "test/a/b"],
    "bytes and not characters": ["é", "e\u0301", "z", "Z", "\uffee/a", "\U0001f980/b", "a\u0000b", "a"],
    "slashes": ["/", "//", "/a", "a//b", "a/", "a//", "a/b"],
}


@pytest.mark.parametrize("name", TREES)
@pytest.mark.parametrize("max_keys", [1, 2, 1000])
def test_prefixes_and_delimiters(raw, bucket, name, max_keys):
    """Behaviour row 21."""
    keys = [key for key in TREES[name] if "\u0000" not in key]
    raw.put_many(f"/{bucket}", {key: b"" for key in keys})
    prefixes = {"", "a", "a/", "test", "test/", "folder1/", "folder1/folder1/", "/"}
    for prefix in prefixes:
        for delimiter in ("", "/", "-", "er"):
            found = walk(raw, bucket, delimiter, prefix=prefix, max_keys=max_keys)
            pages = [shown(page) for page in found]
            assert all(len(own) + len(groups) <= max_keys for own, groups in pages)
            together = [sum((page[n] for page in pages), []) for n in (0, 1)]
            assert tuple(together) == expected(keys, prefix, delimiter), (prefix, delimiter)


def test_random_trees(raw, bucket):
    """Behaviour rows 20 and 21."""
    choose = random.Random(7)
    keys = {"".join(choose.choices("ab/-", k=choose.randint(1, 6))) for _ in range(150)}
    raw.put_many(f"/{bucket}", {key: b"" for key in keys})
    for _ in range(30):
        prefix = "".join(choose.choices("ab/-", k=choose.randint(0, 2)))
        delimiter = choose.choice(["", "/", "-", "ab"])
        found = walk(raw, bucket, delimiter, prefix=prefix, max_keys=choose.randint(1, 9))
        tokens = [page.one("NextContinuationToken") for page in found]
        assert len(set(tokens)) == len(tokens), "no token is given twice"
        pages = [shown(page) for page in found]
        together = [sum((page[n] for page in pages), []) for n in (0, 1)]
        assert tuple(together) == expected(keys, prefix, delimiter), (prefix, delimiter)


def test_a_list_tells_what_s3_tells(raw, bucket):
    etag = raw.put(f"/{bucket}/a b", b"content").ok().headers["etag"]
    page = raw.list(f"/{bucket}", fetch_owner="true", encoding_type="url")
    assert page.one("Key") in ("a+b", "a%20b") and page.one("EncodingType") == "url"
    told = {"ETag": etag, "Size": "7", "StorageClass": "STANDARD", "Name": bucket, "MaxKeys": "1000"}
    assert {tag: page.one(tag) for tag in told} == told
    assert page.one("ID") and page.one("LastModified").endswith("Z")
    raw.get(f"/{bucket}", {"list-type": "2", "continuation-token": "nonsense!"}).refused(400, "InvalidArgument")


def test_keys_that_nest(raw, bucket):
    """Behaviour row 24: a key may be the beginning of another, whatever a file system would make of it."""
    keys = ["a", "a/", "a/b", "a/b/c", "a//b", "/a", "a/../b", "s" * 600 + "/" + "t" * 400]
    raw.put_many(f"/{bucket}", {key: key.encode() for key in keys})
    assert raw.list(f"/{bucket}").all("Key") == sorted(keys)
    for key in keys:
        assert raw.get(f"/{bucket}/{key}").ok().body == key.encode()
    raw.delete(f"/{bucket}/a/b").ok()
    raw.delete(f"/{bucket}/a/").ok()
    assert raw.list(f"/{bucket}").all("Key") == sorted(set(keys) - {"a/b", "a/"})


def test_control_characters_in_a_list(raw, bucket):
    """Behaviour row 24: as S3 writes them, and url-encoded for those who want to read them."""
    key = "a\u0001b\rc"
    raw.put(f"/{bucket}/{key}", b"").ok()
    assert raw.list(f"/{bucket}").all("Key") == ["a&#x1;b&#xd;c"]
    assert raw.list(f"/{bucket}", encoding_type="url").all("Key") == ["a%01b%0Dc"]
    raw.delete(f"/{bucket}/{key}").ok()  # s3cmd's `la`, which reads every list of this server, cannot parse it


def test_versions_of_random_histories(raw, bucket):
    """The list of versions is what was written, in one order, at every size of page."""
    status = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    raw.put(f"/{bucket}", status.encode(), query={"versioning": ""}).ok()
    choose, model = random.Random(11), {"a": [], "a/b": [], "ü b": []}
    for number in range(60):
        key = choose.choice(list(model))
        if choose.random() < 0.7:
            etag = raw.put(f"/{bucket}/{key}", b"%d" % number).ok().headers["etag"]
            model[key].insert(0, ("Version", etag))
        else:
            deleted = raw.delete(f"/{bucket}/{key}").ok().headers
            assert deleted["x-amz-delete-marker"] == "true"
            model[key].insert(0, ("DeleteMarker", deleted["x-amz-version-id"]))
    expected = [(kind, key, id_) for key in sorted(model) for kind, id_ in model[key]]
    for size in ("1", "7", "1000"):
        found, markers = [], {}
        while True:
            page = raw.get(f"/{bucket}", {"versions": "", "max-keys": size} | markers).ok()
            for kind, entry in re.findall(r"<(Version|DeleteMarker)>(.*?)</\1>", page.body.decode()):
                element = dict(re.findall(r"<(\w+)>([^<]*)</\1>", entry))
                shown_id = element.get("ETag", element["VersionId"]).replace("&quot;", '"')
                found.append((kind, element["Key"], shown_id))
                newest = model[element["Key"]][0] == (kind, shown_id)
                assert element["IsLatest"] == str(newest).lower()
            if page.one("IsTruncated") == "false":
                break
            markers = {"key-marker": page.one("NextKeyMarker"), "version-id-marker": page.one("NextVersionIdMarker")}
        assert found == expected
