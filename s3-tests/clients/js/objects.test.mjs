// What the AWS SDK for JavaScript v3 sends and reads of single objects. test_js.py runs it.

import assert from "node:assert/strict";
import { Readable } from "node:stream";
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  HeadBucketCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  paginateListObjectsV2,
} from "@aws-sdk/client-s3";
import { MIB, check, content, md5, refused, same, variable } from "./store.mjs";

check("sizes", async (store) => {
  for (const size of [0, 1, 16 << 10, (16 << 10) + 1, (128 << 10) + 1, MIB, 5 * MIB]) {
    const data = content(size);
    const put = await store.put(`${size}`, data);
    const got = await store.get(`${size}`);
    same(got.Body, data, `${size}`);
    const head = await store.head(`${size}`);
    assert.equal(head.ContentLength, size);
    assert.deepEqual([put.ETag, got.ETag, head.ETag], Array(3).fill(`"${md5(data)}"`));
  }
});

check("odd keys", async (store) => {
  const keys = ["with space", "a+b=c&d", "100%25 %zz", "grüße/日本語 🦀", "a`b'c\".txt", "(a)*!~'", "tab\tend"];
  for (const key of keys) await store.put(key, key);
  for (const key of keys) assert.equal((await store.get(key)).Body.toString(), key);
  const order = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b));
  assert.deepEqual(await store.keys(), keys.sort(order));
});

check("metadata", async (store) => {
  const headers = {
    ContentType: "text/plain; charset=utf-8",
    CacheControl: "max-age=60",
    ContentDisposition: 'attachment; filename="a b.txt"',
    ContentEncoding: "gzip",
    ContentLanguage: "de",
    Metadata: { name: "a value", other: "b" },
  };
  await store.put("key", "content", { ...headers, Expires: new Date(2_000_000_000_000) });
  const head = await store.head("key");
  for (const [name, value] of Object.entries(headers)) assert.deepEqual(head[name], value);
  assert.equal(head.ExpiresString, "Wed, 18 May 2033 03:33:20 GMT");
});

check("ranges", async (store) => {
  const data = content(MIB);
  await store.put("key", data);
  for (const [Range, from, to] of [
    ["bytes=0-0", 0, 1],
    ["bytes=100-70000", 100, 70001],
    ["bytes=-5", MIB - 5, MIB],
    [`bytes=${MIB - 1}-2000000`, MIB - 1, MIB],
  ]) {
    const got = await store.get("key", { Range });
    same(got.Body, data.subarray(from, to), Range);
    assert.equal(got.ContentRange, `bytes ${from}-${to - 1}/${MIB}`);
  }
  await refused(store.get("key", { Range: `bytes=${MIB}-` }), 416, "InvalidRange");
});

check("lists", async (store) => {
  const keys = Array.from({ length: 30 }, (_, n) => `folder${n % 10}/key ${`${n}`.padStart(2, "0")}`).sort();
  await Promise.all(keys.map((key) => store.put(key, "")));
  assert.deepEqual(await store.keys(), keys);
  assert.deepEqual(await store.keys("folder3/"), ["folder3/key 03", "folder3/key 13", "folder3/key 23"]);
  const folders = [];
  const input = { Bucket: store.bucket, Delimiter: "/" };
  for await (const page of paginateListObjectsV2({ client: store.client, pageSize: 3 }, input)) {
    assert.equal(page.Contents, undefined);
    folders.push(...page.CommonPrefixes.map((prefix) => prefix.Prefix));
  }
  assert.deepEqual(folders, Array.from({ length: 10 }, (_, n) => `folder${n}/`));
});

check("conditions", async (store) => {
  const { ETag } = await store.put("key", "first", { IfNoneMatch: "*" });
  await refused(store.put("key", "x", { IfNoneMatch: "*" }), 412, "PreconditionFailed");
  await refused(store.put("key", "x", { IfMatch: '"0123"' }), 412, "PreconditionFailed");
  await refused(store.put("none", "x", { IfMatch: '"0123"' }), 404, "NoSuchKey");
  await store.put("key", "second", { IfMatch: ETag });
  const got = await store.get("key");
  assert.equal(got.Body.toString(), "second");
  await refused(store.get("key", { IfMatch: ETag }), 412, "PreconditionFailed");
  const unchanged = (error) => error.$metadata.httpStatusCode === 304; // which has no body, so no code
  await assert.rejects(store.get("key", { IfNoneMatch: got.ETag }), unchanged);
  await assert.rejects(store.get("key", { IfModifiedSince: got.LastModified }), unchanged);
  await store.get("key", { IfUnmodifiedSince: got.LastModified });
});

// The SDK adds a CRC32 of its own accord, and checks it when it reads.
check("checksums", async (store) => {
  const data = content(100_000);
  const put = await store.put("default", data);
  assert.equal(put.ChecksumType, "FULL_OBJECT");
  assert.equal((await store.get("default")).ChecksumCRC32, put.ChecksumCRC32);
  for (const ChecksumAlgorithm of ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]) {
    const answer = await store.put(ChecksumAlgorithm, data, { ChecksumAlgorithm });
    const got = await store.get(ChecksumAlgorithm, { ChecksumMode: "ENABLED" });
    same(got.Body, data, ChecksumAlgorithm);
    const field = `Checksum${ChecksumAlgorithm}`;
    assert.ok(got[field], `no ${field}`);
    assert.equal(got[field], answer[field]);
  }
  const other = Buffer.from(md5("other"), "hex").toString("base64");
  await refused(store.put("bad", data, { ContentMD5: other }), 400, "BadDigest");
  await refused(store.put("bad", data, { ChecksumCRC32C: "AAAAAA==" }), 400, "BadDigest");
});

// A stream goes out in chunks that are not signed, with its checksum behind them.
const stream = async (store) => {
  const data = content(3 * MIB + 7);
  const Body = Readable.from([data.subarray(0, MIB), data.subarray(MIB)]);
  await store.put("key", Body, { ContentLength: data.length });
  const got = await store.get("key", { ChecksumMode: "ENABLED" });
  same(got.Body, data, "the stream");
  assert.ok(got.ChecksumCRC32, "the trailer's checksum was not kept");
};
check("stream", stream);
check("stream over TLS", stream, "CAIRN_TLS_ENDPOINT");

check("refusals", async (store) => {
  await refused(store.get("none"), 404, "NoSuchKey");
  await refused(store.head("none"), 404, "NotFound");
  await refused(store.send(HeadBucketCommand, { Bucket: "none-such-bucket" }), 404, "NotFound");
  await refused(store.send(ListObjectsV2Command, { Bucket: "none-such-bucket" }), 404, "NoSuchBucket");
  await refused(store.send(PutObjectCommand, { Bucket: "none-such-bucket", Key: "a" }), 404, "NoSuchBucket");
  await refused(store.send(CreateBucketCommand, { Bucket: "Not_A_Name" }), 400, "InvalidBucketName");
  await refused(store.send(ListPartsCommand, { Key: "none", UploadId: "none" }), 404, "NoSuchUpload");
  await store.put("key", "");
  await refused(store.send(DeleteBucketCommand), 409, "BucketNotEmpty");
});

check("buckets", async (store) => {
  const { Buckets } = await store.client.send(new ListBucketsCommand({ Prefix: store.bucket, MaxBuckets: 10 }));
  assert.deepEqual(Buckets.map(({ Name, BucketRegion }) => [Name, BucketRegion]), [
    [store.bucket, variable("AWS_DEFAULT_REGION")],
  ]);
  const head = await store.send(HeadBucketCommand);
  assert.equal(head.BucketRegion, variable("AWS_DEFAULT_REGION"));
});
