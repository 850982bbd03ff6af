// A client with the SDK's default settings, a bucket of the test's own, and what the tests share.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import {
  CreateBucketCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  S3Client,
  paginateListObjectsV2,
} from "@aws-sdk/client-s3";

export const MIB = 1 << 20;

export const variable = (name) => {
  assert.ok(process.env[name], `${name} is not set: test_js.py sets it`);
  return process.env[name];
};

// Bytes that follow from the size alone.
export function content(size) {
  const data = Buffer.alloc(size);
  for (let n = 0, state = size; n < size; n++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[n] = state >>> 24;
  }
  return data;
}

export const md5 = (data) => createHash("md5").update(data).digest("hex");

export class Store {
  constructor(client, bucket) {
    Object.assign(this, { client, bucket });
  }

  // Sends a command about the bucket.
  send(Command, input = {}) {
    return this.client.send(new Command({ Bucket: this.bucket, ...input }));
  }

  put(Key, Body, more = {}) {
    return this.send(PutObjectCommand, { Key, Body, ...more });
  }

  head(Key, more = {}) {
    return this.send(HeadObjectCommand, { Key, ...more });
  }

  // The answer, with its body as bytes.
  async get(Key, more = {}) {
    const answer = await this.send(GetObjectCommand, { Key, ...more });
    return { ...answer, Body: Buffer.from(await answer.Body.transformToByteArray()) };
  }

  // All keys, by pages of seven.
  async keys(Prefix = "") {
    const found = [];
    const options = { client: this.client, pageSize: 7 };
    for await (const page of paginateListObjectsV2(options, { Bucket: this.bucket, Prefix })) {
      found.push(...(page.Contents ?? []).map((object) => object.Key));
    }
    return found;
  }
}

let stores = 0;

// A test, given a store at the endpoint that the variable names.
export function check(name, body, endpoint = "CAIRN_ENDPOINT") {
  test(name, { timeout: 120_000 }, async () => {
    const client = new S3Client({
      region: variable("AWS_DEFAULT_REGION"),
      endpoint: variable(endpoint),
      forcePathStyle: true,
    });
    const store = new Store(client, `js-${process.pid}-${++stores}`);
    await store.send(CreateBucketCommand);
    await body(store);
    client.destroy();
  });
}

// Holds if the answer is the error of S3 with that status and code.
export async function refused(answer, status, code) {
  await assert.rejects(answer, (error) => {
    assert.deepEqual([error.$metadata?.httpStatusCode, error.name], [status, code], error);
    return true;
  });
}

export function same(got, wanted, what) {
  assert.ok(Buffer.compare(got, wanted) === 0, `${what}: ${got.length} bytes differ from ${wanted.length}`);
}
