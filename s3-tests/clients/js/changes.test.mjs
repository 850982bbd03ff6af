// What the AWS SDK for JavaScript v3, lib-storage and the presigner do beyond single objects.

import assert from "node:assert/strict";
import { Readable } from "node:stream";
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteBucketTaggingCommand,
  DeleteObjectCommand,
  DeleteObjectTaggingCommand,
  DeleteObjectsCommand,
  GetBucketTaggingCommand,
  GetBucketVersioningCommand,
  GetObjectAttributesCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  ListMultipartUploadsCommand,
  ListObjectVersionsCommand,
  PutBucketTaggingCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
  UploadPartCommand,
  UploadPartCopyCommand,
  paginateListParts,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { MIB, check, content, refused, same } from "./store.mjs";

const upload = ({ client, bucket }, Body, more = {}) =>
  new Upload({ client, params: { Bucket: bucket, Key: "key", Body, ...more } }).done();

check("Upload of lib-storage", async (store) => {
  for (const data of [content(0), content(1000), content(20 * MIB)]) {
    await upload(store, data, { Metadata: { a: "1" } });
    const got = await store.get("key");
    same(got.Body, data, `${data.length}`);
    assert.equal(got.Metadata.a, "1");
  }
  assert.match((await store.head("key")).ETag, /-4"$/);
});

check("Upload of a stream", async (store) => {
  const data = content(12 * MIB + 1);
  const pieces = Array.from({ length: 13 }, (_, n) => data.subarray(n * MIB, (n + 1) * MIB));
  await upload(store, Readable.from(pieces));
  same((await store.get("key")).Body, data, "the stream");
});

check("uploads of parts", async (store) => {
  const Key = "key";
  const { UploadId } = await store.send(CreateMultipartUploadCommand, { Key });
  const data = content(5 * MIB);
  const Parts = [];
  for (const PartNumber of [3, 8]) {
    const { ETag } = await store.send(UploadPartCommand, { Key, UploadId, PartNumber, Body: data });
    Parts.push({ ETag, PartNumber });
  }
  const listed = [];
  const options = { client: store.client, pageSize: 1 };
  for await (const page of paginateListParts(options, { Bucket: store.bucket, Key, UploadId })) {
    listed.push(...page.Parts.map((part) => part.PartNumber));
    if (!page.IsTruncated) break; // the SDK's loop has no end: S3 always sends the next marker
  }
  assert.deepEqual(listed, [3, 8]);
  const { Uploads } = await store.send(ListMultipartUploadsCommand);
  assert.deepEqual(Uploads.map((found) => found.UploadId), [UploadId]);
  const complete = (parts) =>
    store.send(CompleteMultipartUploadCommand, { Key, UploadId, MultipartUpload: { Parts: parts } });
  await refused(complete([...Parts].reverse()), 400, "InvalidPartOrder");
  await refused(complete([...Parts, { ETag: '"0"', PartNumber: 9 }]), 400, "InvalidPart");
  await complete(Parts);
  same((await store.get(Key)).Body, Buffer.concat([data, data]), "both parts");
  const other = await store.send(CreateMultipartUploadCommand, { Key });
  await store.send(AbortMultipartUploadCommand, { Key, UploadId: other.UploadId });
  assert.equal((await store.send(ListMultipartUploadsCommand)).Uploads, undefined);
});

check("copies", async (store) => {
  await store.put("grüße +1", "content", { Metadata: { a: "1" } });
  const CopySource = `${store.bucket}/${encodeURIComponent("grüße +1")}`;
  await store.send(CopyObjectCommand, { Key: "kept", CopySource });
  const replace = { MetadataDirective: "REPLACE", Metadata: { b: "2" } };
  await store.send(CopyObjectCommand, { Key: "replaced", CopySource, ...replace });
  const kept = await store.get("kept");
  assert.deepEqual([kept.Body.toString(), kept.Metadata], ["content", { a: "1" }]);
  assert.deepEqual((await store.head("replaced")).Metadata, { b: "2" });
  const none = store.send(CopyObjectCommand, { Key: "kept", CopySource: `${store.bucket}/none` });
  await refused(none, 404, "NoSuchKey");
});

check("copies of parts", async (store) => {
  const data = content(12 * MIB);
  await store.put("source", data);
  const Key = "key";
  const { UploadId } = await store.send(CreateMultipartUploadCommand, { Key });
  const Parts = [];
  for (const [n, CopySourceRange] of ["bytes=0-6291455", "bytes=6291456-12582911"].entries()) {
    const part = { Key, UploadId, PartNumber: n + 1, CopySource: `${store.bucket}/source`, CopySourceRange };
    const { CopyPartResult } = await store.send(UploadPartCopyCommand, part);
    Parts.push({ ETag: CopyPartResult.ETag, PartNumber: n + 1 });
  }
  await store.send(CompleteMultipartUploadCommand, { Key, UploadId, MultipartUpload: { Parts } });
  same((await store.get(Key)).Body, data, "the copy");
  const second = await store.get(Key, { PartNumber: 2 });
  same(second.Body, data.subarray(6 * MIB), "the second part");
  assert.equal(second.PartsCount, 2);
});

check("versions", async (store) => {
  const Key = "key";
  assert.equal((await store.send(GetBucketVersioningCommand)).Status, undefined);
  const on = { VersioningConfiguration: { Status: "Enabled" } };
  await store.send(PutBucketVersioningCommand, on);
  assert.equal((await store.send(GetBucketVersioningCommand)).Status, "Enabled");
  const first = (await store.put(Key, "first")).VersionId;
  const second = (await store.put(Key, "second")).VersionId;
  const deleted = await store.send(DeleteObjectCommand, { Key });
  assert.equal(deleted.DeleteMarker, true);
  await refused(store.get(Key), 404, "NoSuchKey");
  await refused(store.get(Key, { VersionId: deleted.VersionId }), 405, "MethodNotAllowed");
  assert.equal((await store.get(Key, { VersionId: first })).Body.toString(), "first");
  const listed = await store.send(ListObjectVersionsCommand);
  assert.deepEqual(listed.Versions.map((version) => version.VersionId), [second, first]);
  assert.deepEqual(listed.DeleteMarkers.map((marker) => marker.IsLatest), [true]);
  await store.send(DeleteObjectCommand, { Key, VersionId: deleted.VersionId });
  const got = await store.get(Key);
  assert.deepEqual([got.Body.toString(), got.VersionId], ["second", second]);
  const Objects = [first, second].map((VersionId) => ({ Key, VersionId }));
  const { Deleted } = await store.send(DeleteObjectsCommand, { Delete: { Objects } });
  assert.deepEqual(new Set(Deleted.map((one) => one.VersionId)), new Set([first, second]));
  await store.send(DeleteBucketCommand);
});

check("tagging", async (store) => {
  const Key = "key";
  const TagSet = [{ Key: "x", Value: "y" }];
  const tags = async () =>
    Object.fromEntries((await store.send(GetObjectTaggingCommand, { Key })).TagSet.map((tag) => [tag.Key, tag.Value]));
  await store.put(Key, "", { Tagging: "a=1&b%20c=%C3%BC" });
  assert.deepEqual(await tags(), { a: "1", "b c": "ü" });
  assert.equal((await store.get(Key)).TagCount, 2);
  await store.send(PutObjectTaggingCommand, { Key, Tagging: { TagSet } });
  assert.deepEqual(await tags(), { x: "y" });
  await store.send(DeleteObjectTaggingCommand, { Key });
  assert.deepEqual(await tags(), {});
  await refused(store.send(GetBucketTaggingCommand), 404, "NoSuchTagSet");
  await store.send(PutBucketTaggingCommand, { Tagging: { TagSet } });
  assert.deepEqual((await store.send(GetBucketTaggingCommand)).TagSet, TagSet);
  await store.send(DeleteBucketTaggingCommand);
  await refused(store.send(GetBucketTaggingCommand), 404, "NoSuchTagSet");
});

check("presigned URLs", async (store) => {
  const object = { Bucket: store.bucket, Key: "a +ü" };
  const put = await getSignedUrl(store.client, new PutObjectCommand({ ...object, ContentType: "text/plain" }));
  const sent = await fetch(put, { method: "PUT", body: "content", headers: { "content-type": "text/plain" } });
  assert.equal(sent.status, 200, await sent.text());
  const get = await getSignedUrl(store.client, new GetObjectCommand({ ...object, ResponseContentType: "x/y" }));
  const got = await fetch(get);
  assert.deepEqual([got.status, got.headers.get("content-type"), await got.text()], [200, "x/y", "content"]);
  const spoiled = get.replace(/X-Amz-Signature=./, (found) => found.slice(0, -1) + (found.endsWith("0") ? "1" : "0"));
  assert.equal((await fetch(spoiled)).status, 403);
});

check("batch delete", async (store) => {
  const keys = Array.from({ length: 10 }, (_, n) => `a&b <${n}> ü`);
  for (const key of keys) await store.put(key, "");
  const Objects = [...keys, "none"].map((Key) => ({ Key }));
  const answer = await store.send(DeleteObjectsCommand, { Delete: { Objects } });
  assert.deepEqual([answer.Deleted.length, answer.Errors], [11, undefined]);
  assert.deepEqual(await store.keys(), []);
  const quiet = await store.send(DeleteObjectsCommand, { Delete: { Objects, Quiet: true } });
  assert.equal(quiet.Deleted, undefined);
  await store.send(DeleteBucketCommand);
});

check("attributes", async (store) => {
  await upload(store, content(12 * MIB));
  const ObjectAttributes = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"];
  const got = await store.send(GetObjectAttributesCommand, { Key: "key", ObjectAttributes });
  assert.equal(got.ObjectSize, 12 * MIB);
  assert.equal(got.ObjectParts.TotalPartsCount, 3);
  assert.equal(got.StorageClass, "STANDARD");
  assert.ok(got.Checksum?.ChecksumCRC32, "no CRC32");
  assert.equal(`"${got.ETag}"`, (await store.head("key")).ETag);
});
