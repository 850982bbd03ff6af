//! What the AWS SDK for Rust sends with its default settings, above all its default checksums: CRC32 in
//! a header for a body in memory, and in the trailer of an aws-chunked body for one that is streamed.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier};
use s3_tests::Target;
use std::collections::BTreeMap;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// Both sides of the limits between inline, small and striped objects.
const SIZES: [usize; 7] = [
    0,
    1,
    16 * KIB,
    16 * KIB + 1,
    128 * KIB + 1,
    MIB,
    8 * MIB - 1,
];

fn client_as(target: &Target, access_key: &str, secret_key: &str) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(&target.endpoint)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new(
            access_key, secret_key, None, None, "tests",
        ))
        .force_path_style(true)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Client::from_conf(config)
}

/// A client, and a new bucket.
async fn bucket(target: &Target, name: &str) -> (Client, String) {
    let client = client_as(target, &target.access_key, &target.secret_key);
    let bucket = format!("rust-{name}-{}", std::process::id());
    client
        .create_bucket()
        .bucket(&bucket)
        .send()
        .await
        .expect("a new bucket");
    (client, bucket)
}

/// Bytes that differ at every place, and from one size to the next.
fn content(size: usize) -> Vec<u8> {
    let mut state = size as u64 ^ 0x9e37_79b9_7f4a_7c15;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    (0..size).map(|_| next()).collect()
}

async fn read(client: &Client, bucket: &str, key: &str) -> Vec<u8> {
    let answer = client
        .get_object()
        .bucket(bucket)
        .key(key)
        .send()
        .await
        .expect("the object");
    answer
        .body
        .collect()
        .await
        .expect("the whole body")
        .to_vec()
}

/// Puts sixty objects, in three folders, that hold their own keys; the keys.
async fn put_many(client: &Client, bucket: &str) -> Vec<String> {
    let keys: Vec<String> = (0..60).map(|n| format!("{}/ü +{n:03}%", n % 3)).collect();
    for key in &keys {
        let body = key.clone().into_bytes();
        let put = client
            .put_object()
            .bucket(bucket)
            .key(key)
            .body(body.into())
            .send()
            .await;
        put.expect("a PUT");
    }
    keys
}

/// The S3 error code and the status of a refused request.
fn refusal<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug>(
    answer: Result<T, SdkError<E>>,
) -> (String, u16) {
    let error = answer.expect_err("the request must be refused");
    let status = error.raw_response().map_or(0, |raw| raw.status().as_u16());
    (error.code().unwrap_or_default().to_owned(), status)
}

#[tokio::test]
async fn objects_of_every_size_come_back_whole() {
    let target = Target::get();
    let (client, bucket) = bucket(&target, "sizes").await;
    let folder = tempfile::tempdir().expect("a folder");
    for size in SIZES {
        let bytes = content(size);
        let put = client
            .put_object()
            .bucket(&bucket)
            .key("memory")
            .body(bytes.clone().into());
        let put = put
            .content_type("text/x-test")
            .metadata("colour", "deep blue")
            .send()
            .await;
        let etag = put.expect("a PUT from memory").e_tag.expect("an ETag");
        assert!(
            read(&client, &bucket, "memory").await == bytes,
            "{size} bytes from memory"
        );

        let head = client
            .head_object()
            .bucket(&bucket)
            .key("memory")
            .send()
            .await
            .expect("a HEAD");
        assert_eq!(
            head.content_length(),
            Some(i64::try_from(size).expect("a length"))
        );
        assert_eq!(head.e_tag(), Some(etag.as_str()));
        assert_eq!(head.content_type(), Some("text/x-test"));
        let metadata = head.metadata().expect("metadata");
        assert_eq!(
            metadata.get("colour").map(String::as_str),
            Some("deep blue")
        );

        let path = folder.path().join("file");
        std::fs::write(&path, &bytes).expect("a file");
        let stream = ByteStream::from_path(&path).await.expect("a stream");
        let put = client
            .put_object()
            .bucket(&bucket)
            .key("stream")
            .body(stream)
            .send()
            .await;
        assert_eq!(put.expect("a streamed PUT").e_tag, Some(etag));
        assert!(
            read(&client, &bucket, "stream").await == bytes,
            "{size} streamed bytes"
        );
    }
}

#[tokio::test]
async fn an_upload_of_parts_can_be_completed_and_read_by_ranges() {
    let target = Target::get();
    let (client, bucket) = bucket(&target, "parts").await;
    let bytes = content(12 * MIB + 7);
    let created = client
        .create_multipart_upload()
        .bucket(&bucket)
        .key("big")
        .send()
        .await;
    let upload = created.expect("an upload").upload_id.expect("an id");
    let mut parts = Vec::new();
    for (number, piece) in (1..).zip(bytes.chunks(5 * MIB)) {
        let part = client
            .upload_part()
            .bucket(&bucket)
            .key("big")
            .upload_id(&upload);
        let part = part
            .part_number(number)
            .body(piece.to_vec().into())
            .send()
            .await
            .expect("a part");
        let done = CompletedPart::builder()
            .part_number(number)
            .set_e_tag(part.e_tag);
        parts.push(done.set_checksum_crc32(part.checksum_crc32).build());
    }
    let parts = CompletedMultipartUpload::builder()
        .set_parts(Some(parts))
        .build();
    let complete = client
        .complete_multipart_upload()
        .bucket(&bucket)
        .key("big")
        .upload_id(&upload);
    let etag = complete
        .multipart_upload(parts)
        .send()
        .await
        .expect("a Complete")
        .e_tag;
    assert!(
        etag.is_some_and(|etag| etag.ends_with("-3\"")),
        "the ETag counts the parts"
    );
    assert!(read(&client, &bucket, "big").await == bytes);

    let ranges = [
        (0, 0),
        (5 * MIB - 2, 5 * MIB + 1),
        (MIB + 1, 11 * MIB),
        (12 * MIB, 12 * MIB + 6),
    ];
    for (first, last) in ranges {
        let get = client.get_object().bucket(&bucket).key("big");
        let part = get
            .range(format!("bytes={first}-{last}"))
            .send()
            .await
            .expect("a range");
        let part = part.body.collect().await.expect("the whole range").to_vec();
        assert!(part == bytes[first..=last], "bytes {first} to {last}");
    }
}

#[tokio::test]
async fn an_upload_that_was_aborted_takes_no_part() {
    let target = Target::get();
    let (client, bucket) = bucket(&target, "abort").await;
    let created = client
        .create_multipart_upload()
        .bucket(&bucket)
        .key("gone")
        .send()
        .await;
    let upload = created.expect("an upload").upload_id.expect("an id");
    let abort = client
        .abort_multipart_upload()
        .bucket(&bucket)
        .key("gone")
        .upload_id(&upload);
    abort.send().await.expect("an abort");
    let part = client
        .upload_part()
        .bucket(&bucket)
        .key("gone")
        .upload_id(&upload)
        .part_number(1);
    let late = part.body(ByteStream::from_static(b"late")).send().await;
    assert_eq!(refusal(late), ("NoSuchUpload".to_owned(), 404));
}

#[tokio::test]
async fn lists_are_complete() {
    let target = Target::get();
    let (client, bucket) = bucket(&target, "lists").await;
    let keys = put_many(&client, &bucket).await;
    let mut pages = client
        .list_objects_v2()
        .bucket(&bucket)
        .into_paginator()
        .page_size(7)
        .send();
    let mut listed = BTreeMap::new();
    while let Some(page) = pages.next().await {
        for object in page.expect("a page").contents() {
            listed.insert(object.key().expect("a key").to_owned(), object.size());
        }
    }
    assert_eq!(listed.len(), keys.len());
    assert!(
        keys.iter()
            .all(|key| listed[key] == i64::try_from(key.len()).ok())
    );

    let list = client
        .list_objects_v2()
        .bucket(&bucket)
        .delimiter("/")
        .send()
        .await
        .expect("a list");
    let prefixes: Vec<&str> = list
        .common_prefixes()
        .iter()
        .filter_map(|own| own.prefix())
        .collect();
    assert_eq!(prefixes, ["0/", "1/", "2/"]);
    assert!(list.contents().is_empty());
}

#[tokio::test]
async fn deletes_of_many_are_complete() {
    let target = Target::get();
    let (client, bucket) = bucket(&target, "deletes").await;
    let keys = put_many(&client, &bucket).await;
    let identifiers = keys
        .iter()
        .map(|key| ObjectIdentifier::builder().key(key).build());
    let identifiers = identifiers
        .collect::<Result<Vec<_>, _>>()
        .expect("keys are given");
    let delete = Delete::builder()
        .set_objects(Some(identifiers))
        .build()
        .expect("objects are given");
    let answer = client
        .delete_objects()
        .bucket(&bucket)
        .delete(delete)
        .send()
        .await;
    let answer = answer.expect("a DeleteObjects");
    assert_eq!(
        (answer.deleted().len(), answer.errors().len()),
        (keys.len(), 0)
    );
    let list = client
        .list_objects_v2()
        .bucket(&bucket)
        .send()
        .await
        .expect("a list");
    assert_eq!(list.key_count(), Some(0));
    client
        .delete_bucket()
        .bucket(&bucket)
        .send()
        .await
        .expect("an empty bucket can be deleted");
}

#[tokio::test]
async fn copies_and_conditions_are_kept() {
    let target = Target::get();
    let (client, bucket) = bucket(&target, "conditions").await;
    let put = || {
        client
            .put_object()
            .bucket(&bucket)
            .key("one")
            .body(content(MIB).into())
    };
    let etag = put()
        .metadata("k", "v")
        .send()
        .await
        .expect("a PUT")
        .e_tag
        .expect("an ETag");
    let second = put().if_none_match("*").send().await;
    assert_eq!(refusal(second), ("PreconditionFailed".to_owned(), 412));
    put()
        .if_match(&etag)
        .metadata("k", "v")
        .send()
        .await
        .expect("a PUT on the right ETag");

    let source = format!("{bucket}/one");
    let copy = client
        .copy_object()
        .bucket(&bucket)
        .key("two")
        .copy_source(source);
    copy.send().await.expect("a copy");
    let head = client
        .head_object()
        .bucket(&bucket)
        .key("two")
        .send()
        .await
        .expect("a HEAD");
    assert_eq!(head.e_tag(), Some(etag.as_str()));
    assert_eq!(
        head.metadata()
            .and_then(|own| own.get("k"))
            .map(String::as_str),
        Some("v")
    );
    assert!(read(&client, &bucket, "two").await == content(MIB));
}

#[tokio::test]
async fn refusals_carry_the_codes_that_the_sdk_knows() {
    let target = Target::get();
    let (client, bucket) = bucket(&target, "refusals").await;
    let get = |client: &Client, bucket: &str| client.get_object().bucket(bucket).key("none").send();
    let missing = get(&client, &bucket).await;
    assert!(
        matches!(&missing, Err(error) if error.as_service_error().is_some_and(|own| own.is_no_such_key()))
    );
    assert_eq!(
        refusal(get(&client, "no-such-bucket-here").await),
        ("NoSuchBucket".to_owned(), 404)
    );
    let head = client
        .head_object()
        .bucket(&bucket)
        .key("none")
        .send()
        .await;
    assert_eq!(refusal(head).1, 404);

    let wrong_secret = client_as(&target, &target.access_key, "wrong");
    let refused = refusal(get(&wrong_secret, &bucket).await);
    assert_eq!(refused, ("SignatureDoesNotMatch".to_owned(), 403));
    let unknown_key = client_as(&target, "AKNOBODY", "wrong");
    assert_eq!(
        refusal(get(&unknown_key, &bucket).await),
        ("InvalidAccessKeyId".to_owned(), 403)
    );
    let tagging = client
        .get_object_tagging()
        .bucket(&bucket)
        .key("none")
        .send()
        .await;
    assert_eq!(refusal(tagging), ("NoSuchKey".to_owned(), 404));
    let torrent = client
        .get_object_torrent()
        .bucket(&bucket)
        .key("none")
        .send()
        .await;
    assert_eq!(refusal(torrent), ("NotImplemented".to_owned(), 501));
}
