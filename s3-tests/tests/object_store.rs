//! The Rust crate object_store, which DataFusion, Delta Lake, Polars and many others read S3 with: the
//! suite that it brings for its own stores, and what of S3 that suite does not ask for.

use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum, S3CopyIfNotExists};
use object_store::integration as suite;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::signer::{SignedUrlOptions, Signer};
use object_store::{
    Attribute, Attributes, Error, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions,
    PutPayload, TagSet,
};
use reqwest::{Client, Method, StatusCode};
use s3_tests::Target;
use std::time::Duration;

const MIB: usize = 1 << 20;
const SOON: Duration = Duration::from_secs(300);

/// A server, and the settings of a client whose bucket is new.
async fn bucket(name: &str) -> (Target, AmazonS3Builder) {
    let target = Target::get();
    let bucket = format!("object-store-{name}-{}", std::process::id());
    let settings = AmazonS3Builder::new()
        .with_endpoint(&target.endpoint)
        .with_allow_http(true)
        .with_access_key_id(&target.access_key)
        .with_secret_access_key(&target.secret_key);
    // The crate makes no buckets: a signed PUT of the empty key does.
    let maker = settings.clone().with_bucket_name(&bucket).build();
    let maker = maker.expect("the settings are whole");
    let url = maker.signed_url(Method::PUT, &Path::default(), SOON).await;
    let answer = Client::new().put(url.expect("a URL")).send().await;
    assert_eq!(answer.expect("an answer").status(), StatusCode::OK);
    (target, settings.with_bucket_name(bucket))
}

/// A server, and a client with the crate's default settings.
async fn store(name: &str) -> (Target, AmazonS3) {
    let (target, settings) = bucket(name).await;
    (target, settings.build().expect("the settings are whole"))
}

async fn read(store: &AmazonS3, key: &str) -> Vec<u8> {
    let answer = store.get(&Path::from(key)).await.expect("the object");
    answer.bytes().await.expect("the whole body").to_vec()
}

#[tokio::test]
async fn put_get_delete_list() {
    let (_target, settings) = bucket("basics").await;
    let unsigned = settings.clone().with_unsigned_payload(true);
    let sha256 = settings.clone().with_checksum_algorithm(Checksum::SHA256);
    let crc64 = settings
        .clone()
        .with_checksum_algorithm(Checksum::CRC64NVME);
    let untagged = settings.clone().with_disable_tagging(true);
    for settings in [settings, unsigned, sha256, crc64, untagged] {
        let store = settings.build().expect("the settings are whole");
        suite::put_get_delete_list(&store).await;
    }
}

#[tokio::test]
async fn lists() {
    let (_target, store) = store("lists").await;
    suite::list_with_offset_exclusivity(&store).await;
    suite::list_uses_directories_correctly(&store).await;
    suite::list_with_delimiter(&store).await;
    suite::list_paginated(&store, &store).await;
}

#[tokio::test]
async fn reads() {
    let (_target, store) = store("reads").await;
    suite::stream_get(&store).await; // first: it wants an empty bucket, and the next leaves an object
    suite::get_opts(&store).await;
    suite::put_get_attributes(&store).await;
}

#[tokio::test]
async fn conditional_writes() {
    let (_target, store) = store("conditions").await;
    suite::put_opts(&store, true).await;
}

#[tokio::test]
async fn copies() {
    let (_target, store) = store("copies").await;
    suite::rename_and_copy(&store).await;
    for result in [
        store.copy(&Path::from("none"), &Path::from("to")).await,
        store.rename(&Path::from("none"), &Path::from("to")).await,
    ] {
        assert!(matches!(result, Err(Error::NotFound { .. })), "{result:?}");
    }
}

/// By an upload of a copied part that is completed on condition.
#[tokio::test]
async fn copy_if_not_exists() {
    let (_target, settings) = bucket("copy-once").await;
    let settings = settings.with_copy_if_not_exists(S3CopyIfNotExists::Multipart);
    let store = settings.build().expect("the settings are whole");
    suite::copy_if_not_exists(&store).await;
}

/// By the condition that CopyObject itself takes since 2025.
#[tokio::test]
async fn copy_if_not_exists_by_header() {
    let (_target, settings) = bucket("copy-header").await;
    let header = S3CopyIfNotExists::Header("if-none-match".to_owned(), "*".to_owned());
    let store = settings.with_copy_if_not_exists(header).build();
    suite::copy_if_not_exists(&store.expect("the settings are whole")).await;
}

#[tokio::test]
async fn multipart() {
    let (_target, store) = store("multipart").await;
    suite::multipart(&store, &store).await;
    suite::multipart_with_opts(&store, &store).await;
    suite::multipart_put_part_out_of_order(&store, &store).await;
    suite::multipart_out_of_order(&store).await;
    suite::multipart_race_condition(&store, true).await;
}

#[tokio::test]
async fn multipart_with_checksums() {
    let (_target, settings) = bucket("part-checksums").await;
    for checksum in [Checksum::SHA256, Checksum::CRC64NVME] {
        let store = settings.clone().with_checksum_algorithm(checksum).build();
        let store = store.expect("the settings are whole");
        let path = Path::from("test.bin");
        let options = PutMultipartOptions::default();
        let upload = store.put_multipart_opts(&path, options).await;
        let mut upload = upload.expect("an upload");
        for size in [10 * MIB, 5 * MIB] {
            let part = upload.put_part(PutPayload::from(vec![7; size]));
            part.await.expect("a part");
        }
        let done = upload.complete().await.expect("an object");
        assert!(done.e_tag.is_some_and(|tag| tag.ends_with("-2\"")));
        assert!(read(&store, "test.bin").await == vec![7; 15 * MIB]);
    }
}

#[tokio::test]
async fn attributes_and_tags() {
    let (target, store) = store("tags").await;
    let mut tags = TagSet::default();
    tags.push("a key", "ü = +");
    tags.push("empty", "");
    let attributes = Attributes::from_iter([
        (Attribute::ContentType, "text/html; charset=utf-8"),
        (Attribute::ContentLanguage, "de-CH"),
        (Attribute::Metadata("name".into()), "a value"),
    ]);
    let options = PutOptions {
        tags,
        attributes: attributes.clone(),
        ..PutOptions::default()
    };
    let path = Path::from("folder/grüße 1");
    let put = store.put_opts(&path, "content".into(), options).await;
    put.expect("a PUT");
    let got = store.get(&path).await.expect("the object");
    assert_eq!(got.attributes, attributes);

    // The crate writes tags, and does not read them.
    let query = SignedUrlOptions::default().with_query([("tagging", "")]);
    let url = store
        .signed_url_opts(Method::GET, &path, SOON, &query)
        .await;
    let answer = Client::new().get(url.expect("a URL")).send().await;
    let answer = answer.expect("an answer").text().await.expect("a body");
    for tag in [
        "<Key>a key</Key><Value>ü = +</Value>",
        "<Key>empty</Key><Value></Value>",
    ] {
        assert!(answer.contains(tag), "{answer} of {}", target.endpoint);
    }
}

#[tokio::test]
async fn signed_urls() {
    let (_target, store) = store("signed").await;
    let path = Path::from("a +ü/%zz");
    let client = Client::new();
    let url = async |method: Method, options: &SignedUrlOptions| {
        let url = store.signed_url_opts(method, &path, SOON, options).await;
        url.expect("a URL")
    };
    let plain = SignedUrlOptions::default();
    let put = client.put(url(Method::PUT, &plain).await).body("content");
    assert_eq!(
        put.send().await.expect("an answer").status(),
        StatusCode::OK
    );

    let named = "attachment; filename=\"a b.txt\"";
    let query = plain
        .clone()
        .with_query([("response-content-disposition", named)]);
    let got = client.get(url(Method::GET, &query).await).send().await;
    let got = got.expect("an answer");
    assert_eq!(got.headers()["content-disposition"], named);
    assert_eq!(got.text().await.expect("a body"), "content");

    let sum = "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek="; // SHA-256 of "hello world"
    let bound = plain.with_signed_header(
        "x-amz-checksum-sha256".parse().expect("a name"),
        sum.parse().expect("a value"),
    );
    for (body, header, status) in [
        ("hello world", true, StatusCode::OK),
        ("other", true, StatusCode::BAD_REQUEST),
        ("hello world", false, StatusCode::FORBIDDEN),
    ] {
        let mut put = client.put(url(Method::PUT, &bound).await).body(body);
        if header {
            put = put.header("x-amz-checksum-sha256", sum);
        }
        let answer = put.send().await.expect("an answer");
        assert_eq!(answer.status(), status, "{body}, header: {header}");
    }
}

#[tokio::test]
async fn signed_url_of_a_part() {
    let (_target, store) = store("signed-part").await;
    let path = Path::from("key");
    let id = store.create_multipart(&path).await.expect("an upload");
    let query = [("uploadId", id.as_str()), ("partNumber", "1")];
    let options = SignedUrlOptions::default().with_query(query);
    let url = store.signed_url_opts(Method::PUT, &path, SOON, &options);
    let put = Client::new().put(url.await.expect("a URL")).body("part");
    let answer = put.send().await.expect("an answer");
    let etag = answer.headers()["etag"].to_str().expect("text").to_owned();
    let parts = vec![PartId { content_id: etag }];
    let done = store.complete_multipart(&path, &id, parts).await;
    done.expect("an object");
    assert_eq!(read(&store, "key").await, b"part");
}
