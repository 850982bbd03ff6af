//! What a container registry does: many writers push images of several blobs, each blob uploaded in
//! parts, moved to its place by a copy, and looked for by a list at once.

use crate::common::s3::S3;
use crate::common::server::Installation;
use crate::common::workload::value;
use bytes::Bytes;
use http::Method;

const BUCKET: &str = "registry";
const WRITERS: u64 = 16;
const PART: usize = 5 << 20;

/// Images that each writer pushes.
fn images() -> u64 {
    if std::env::var_os("CAIRN_SOAK").is_some() {
        50
    } else {
        2
    }
}

/// The blobs of an image: its configuration and its layers.
fn blobs(image: u64) -> [Bytes; 4] {
    let lengths = [1_500, 70_000, 900_000 + image as usize, PART + 12_345];
    let mut seed = image * 10;
    lengths.map(|length| {
        seed += 1;
        value(seed, length)
    })
}

fn digest(blob: &[u8]) -> String {
    blake3::hash(blob).to_hex().to_string()
}

/// A list must show the key, with its size, as soon as it was stored.
async fn assert_listed(s3: &S3, key: &str, length: usize) {
    let query = [("list-type", "2"), ("prefix", key)];
    let page = s3
        .send(Method::GET, &format!("/{BUCKET}"), &query, &[], "".into())
        .await
        .unwrap()
        .ok();
    assert_eq!(page.all("Key"), [key]);
    assert_eq!(page.one("Size").unwrap(), length.to_string());
}

/// Uploads `blob` in parts to a place of its own, and moves it to where its digest says.
async fn push_blob(s3: &S3, upload: &str, blob: Bytes) -> String {
    let from = format!("_uploads/{upload}/data");
    let path = format!("/{BUCKET}/{from}");
    let begun = s3.send(Method::POST, &path, &[("uploads", "")], &[], "".into());
    let id = begun.await.unwrap().ok().one("UploadId").unwrap();
    let mut parts = String::new();
    for (number, part) in (1..).zip(blob.chunks(PART)) {
        let number = number.to_string();
        let query = [("partNumber", number.as_str()), ("uploadId", id.as_str())];
        let part = blob.slice_ref(part);
        let sent = s3
            .send(Method::PUT, &path, &query, &[], part)
            .await
            .unwrap()
            .ok();
        let etag = sent.header("etag").unwrap();
        parts += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>");
    }
    let list = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
    s3.complete(BUCKET, &from, &(id, list.into()), &[])
        .await
        .unwrap()
        .ok();
    assert_listed(s3, &from, blob.len()).await;
    let key = format!("blobs/{}", digest(&blob));
    let source = format!("/{BUCKET}/{from}");
    let copy = [("x-amz-copy-source", source.as_str())];
    let path = format!("/{BUCKET}/{key}");
    s3.send(Method::PUT, &path, &[], &copy, "".into())
        .await
        .unwrap()
        .ok();
    assert_listed(s3, &key, blob.len()).await;
    s3.delete(BUCKET, &from).await.unwrap().ok();
    key
}

/// Pushes one image and pulls it again.
async fn push_image(s3: &S3, image: u64) {
    let mut keys = Vec::new();
    for (number, blob) in blobs(image).into_iter().enumerate() {
        keys.push(push_blob(s3, &format!("{image:06}-{number}"), blob).await);
    }
    let manifest = Bytes::from(keys.join("\n"));
    let key = format!("manifests/{image:06}");
    s3.put(BUCKET, &key, manifest.clone()).await.unwrap().ok();
    assert_listed(s3, &key, manifest.len()).await;
    pull_image(s3, image).await;
}

/// Every blob that the image's manifest names has the digest that it is named by.
async fn pull_image(s3: &S3, image: u64) {
    let manifest = s3
        .get(BUCKET, &format!("manifests/{image:06}"))
        .await
        .unwrap()
        .ok();
    let manifest = String::from_utf8(manifest.body.to_vec()).unwrap();
    assert_eq!(manifest.lines().count(), blobs(image).len());
    for key in manifest.lines() {
        let blob = s3.get(BUCKET, key).await.unwrap().ok().body;
        assert_eq!(key, format!("blobs/{}", digest(&blob)));
    }
}

/// Behaviour row 13.
#[tokio::test(flavor = "multi_thread")]
async fn images_can_be_pushed_and_pulled_all_the_while() {
    let dir = crate::common::server::directory();
    let installation = Installation::new(dir.path(), 6);
    let server = installation.start();
    server.s3.create_bucket(BUCKET).await.unwrap().ok();
    let push = |writer: u64| {
        let s3 = server.s3.clone();
        tokio::spawn(async move {
            for round in 0..images() {
                push_image(&s3, writer * 1000 + round).await;
            }
        })
    };
    for writer in (0..WRITERS).map(push).collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    for image in (0..WRITERS).flat_map(|writer| (0..images()).map(move |n| writer * 1000 + n)) {
        pull_image(&server.s3, image).await;
    }
    let left = server.s3.list(BUCKET).await.unwrap();
    let images = WRITERS * images();
    assert_eq!(left.len() as u64, images + images * blobs(0).len() as u64);
}
