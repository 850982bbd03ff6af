//! Checksums of what is written: in headers, in trailers, of parts, and by the server's own choice.

use crate::harness::*;
use crate::multipart::{complete, list, part, server_of_small_parts, start, start_with};
use bytes::Bytes;

const DIGITS: &str = "123456789";
/// Name, element in XML, and the value of [`DIGITS`].
const ALGORITHMS: [(&str, &str, &str); 5] = [
    ("crc32", "ChecksumCRC32", "y/Q5Jg=="),
    ("crc32c", "ChecksumCRC32C", "4waSgw=="),
    ("crc64nvme", "ChecksumCRC64NVME", "rosUhgp5mIg="),
    ("sha1", "ChecksumSHA1", "98O8HYCOBHMq32eZZczDTKeuNEE="),
    (
        "sha256",
        "ChecksumSHA256",
        "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
    ),
];

fn header(algorithm: &str) -> String {
    format!("x-amz-checksum-{algorithm}")
}

async fn checksum_of(server: &Server, path: &str, algorithm: &str) -> (String, String) {
    let asked = head(path).header("x-amz-checksum-mode", "ENABLED");
    let shown = server.send(asked).await;
    let value = shown.header(&header(algorithm)).to_owned();
    (value, shown.header("x-amz-checksum-type").to_owned())
}

/// S3 computes CRC64NVME of what comes without a checksum.
#[tokio::test]
async fn an_object_without_a_checksum_gets_one() {
    let server = Server::with_bucket().await;
    for body in [Bytes::from(DIGITS), pattern(400_000, 1)] {
        let stored = server.send(put("/bucket/key").body(body.clone())).await;
        let value = stored.header("x-amz-checksum-crc64nvme");
        assert_eq!(value.len(), 12, "{:?}", stored.headers);
        assert_eq!(stored.header("x-amz-checksum-type"), "FULL_OBJECT");
        if body == DIGITS {
            assert_eq!(value, "rosUhgp5mIg=");
        }
        let shown = checksum_of(&server, "/bucket/key", "crc64nvme").await;
        assert_eq!(shown, (value.to_owned(), "FULL_OBJECT".to_owned()));
        // The value is that of the bytes: they are accepted with it.
        let again = put("/bucket/again")
            .body(body)
            .header("x-amz-checksum-crc64nvme", value);
        assert_eq!(server.send(again).await.status, 200);
    }
}

/// Behaviour rows 1, 5: a checksum in an unsigned trailer is verified and kept, whichever it is.
#[tokio::test]
async fn every_algorithm_in_a_trailer() {
    let server = Server::with_bucket().await;
    for (algorithm, _, value) in ALGORITHMS {
        let name = header(algorithm);
        let upload = put("/bucket/key").body(DIGITS).with_trailer(&name, value);
        let stored = server.send(upload).await;
        assert_eq!((stored.status, stored.header(&name)), (200, value));
        let shown = checksum_of(&server, "/bucket/key", algorithm).await;
        assert_eq!(shown, (value.to_owned(), "FULL_OBJECT".to_owned()));

        let other = put("/bucket/other")
            .body("12345678")
            .with_trailer(&name, value);
        let refused = server.send(other).await;
        assert_eq!(refused.refusal(), (400, "BadDigest".into()));
        let expected = format!(
            "The {} you specified did not match the calculated checksum.",
            algorithm.to_uppercase()
        );
        assert_eq!(refused.element("Message"), expected);
        for rubbish in ["", "rubbish", "AAAA"] {
            let malformed = put("/bucket/other")
                .body(DIGITS)
                .with_trailer(&name, rubbish);
            let refused = server.send(malformed).await;
            assert_eq!(
                refused.refusal(),
                (400, "InvalidRequest".into()),
                "{rubbish}"
            );
            let expected = format!("Value for {name} trailing header is invalid.");
            assert_eq!(refused.element("Message"), expected);
        }
    }
    assert_eq!(server.send(head("/bucket/other")).await.status, 404);
}

/// Behaviour row 6: one checksum, of the algorithm that the SDK names.
#[tokio::test]
async fn checksums_that_contradict_each_other() {
    let server = Server::with_bucket().await;
    let (crc, value) = ("x-amz-checksum-crc32", "y/Q5Jg==");
    let sdk = "x-amz-sdk-checksum-algorithm";
    let several =
        "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.";
    let wrong_sdk = "Value for x-amz-sdk-checksum-algorithm header is invalid.";
    let invalid = "Value for x-amz-checksum-crc32 header is invalid.";
    let alone = "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or \
                 x-amz-trailer headers were found.";
    let upload = || put("/bucket/key").body(DIGITS);
    let table = [
        (
            upload().with_trailer(crc, value).header(crc, value),
            several,
        ),
        (
            upload()
                .header(crc, value)
                .header("x-amz-checksum-crc32c", "4waSgw=="),
            several,
        ),
        (
            upload().with_trailer(crc, value).header(sdk, "SHA256"),
            wrong_sdk,
        ),
        (upload().header(crc, value).header(sdk, "CRC32C"), wrong_sdk),
        (upload().header(crc, value).header(sdk, "CRC31"), wrong_sdk),
        (upload().header(sdk, "CRC32"), alone),
        (upload().header(crc, "y/Q5Jg"), invalid),
        (upload().header(crc, "rosUhgp5mIg="), invalid),
    ];
    for (asked, message) in table {
        let refused = server.send(asked.clone()).await;
        assert_eq!(
            refused.refusal(),
            (400, "InvalidRequest".into()),
            "{asked:?}"
        );
        assert_eq!(refused.element("Message"), message);
    }
    assert_eq!(server.send(head("/bucket/key")).await.status, 404);
    let agreed = upload().with_trailer(crc, value).header(sdk, "crc32");
    assert_eq!(server.send(agreed).await.status, 200);
    // Of a PUT, this header says nothing.
    let unused = upload().header("x-amz-checksum-algorithm", "SHA256");
    let stored = server.send(unused).await;
    assert_eq!(stored.header("x-amz-checksum-crc64nvme"), "rosUhgp5mIg=");
}

fn numbered(part: &str, element: &str, value: &str) -> String {
    part.replace("</Part>", &format!("<{element}>{value}</{element}></Part>"))
}

/// A completion whose list names a checksum for each of its parts.
fn complete_with(upload: &str, parts: &[(usize, String)], sums: (&str, &[&str])) -> Request {
    let list = list(parts);
    let pieces = list.split_inclusive("</Part>").enumerate();
    let body: String = pieces
        .map(|(at, piece)| match sums.1.get(at) {
            Some(value) if !value.is_empty() => numbered(piece, sums.0, value),
            _ => piece.to_owned(),
        })
        .collect();
    post("/bucket/key").query("uploadId", upload).body(body)
}

/// Sends "1234" and "56789"; returns their ETags and checksums.
async fn two_parts(server: &Server, upload: &str, algorithm: &str) -> [(String, String); 2] {
    let mut sent = Vec::new();
    for (number, body) in [(1, "1234"), (2, "56789")] {
        let stored = server
            .send(part(
                "key",
                upload,
                number,
                Bytes::from_static(body.as_bytes()),
            ))
            .await;
        assert_eq!(stored.status, 200, "{}", stored.text());
        let sum = stored.header(&header(algorithm)).to_owned();
        sent.push((stored.header("etag").to_owned(), sum));
    }
    sent.try_into().unwrap()
}

/// Behaviour rows 2, 7, 8: checksums of parts are computed if they are not sent, may stand in the
/// completion, and must where the object's is made of them; the type is that of the upload's start.
#[tokio::test]
async fn completions_with_checksums_of_parts() {
    let server = server_of_small_parts().await;
    for (algorithm, element, whole) in ALGORITHMS {
        for kind in ["FULL_OBJECT", "COMPOSITE"] {
            let name = algorithm.to_uppercase();
            let fields = [
                ("x-amz-checksum-algorithm", name.as_str()),
                ("x-amz-checksum-type", kind),
            ];
            let has = match kind {
                "COMPOSITE" => algorithm != "crc64nvme",
                _ => algorithm.starts_with("crc"),
            };
            if !has {
                let begun = fields.iter().fold(
                    post("/bucket/key").query("uploads", ""),
                    |request, (name, value)| request.header(name, value),
                );
                assert_eq!(
                    server.send(begun).await.refusal(),
                    (400, "InvalidRequest".into())
                );
                continue;
            }
            let upload = start_with(&server, "key", &fields).await;
            let sent = two_parts(&server, &upload, algorithm).await;
            let [one, two] = sent.each_ref().map(|(_, sum)| sum.as_str());
            let parts = [(1, sent[0].0.clone()), (2, sent[1].0.clone())];
            let asked = |sums: &[&str]| complete_with(&upload, &parts, (element, sums));

            let swapped = server.send(asked(&[two, one])).await;
            assert_eq!(
                swapped.refusal(),
                (400, "InvalidPart".into()),
                "{algorithm}"
            );
            let missing = server.send(asked(&["", two])).await;
            if kind == "COMPOSITE" {
                assert_eq!(missing.refusal(), (400, "InvalidRequest".into()));
                let expected = format!(
                    "The upload was created using a {algorithm} checksum. The complete request must \
                     include the checksum for each part. It was missing for part 1 in the request."
                );
                assert_eq!(missing.element("Message"), expected);
            } else {
                assert_eq!(missing.status, 200, "{}", missing.text());
            }
            let done = server.send(asked(&[one, two])).await;
            assert_eq!(done.status, 200, "{}", done.text());
            assert_eq!(done.element("ChecksumType"), kind);
            if kind == "FULL_OBJECT" {
                assert_eq!(done.element(element), whole);
            } else {
                assert!(done.element(element).ends_with("-2"), "{}", done.text());
            }
            let shown = checksum_of(&server, "/bucket/key", algorithm).await;
            assert_eq!(shown, (done.element(element), kind.to_owned()));
        }
    }
}

/// Behaviour row 7: the type in a completion is that of the upload's start, or is not there.
#[tokio::test]
async fn a_completion_of_another_type() {
    let server = server_of_small_parts().await;
    for (kind, other) in [("FULL_OBJECT", "COMPOSITE"), ("COMPOSITE", "FULL_OBJECT")] {
        let fields = [
            ("x-amz-checksum-algorithm", "CRC32"),
            ("x-amz-checksum-type", kind),
        ];
        let upload = start_with(&server, "key", &fields).await;
        let sent = two_parts(&server, &upload, "crc32").await;
        let parts = [(1, sent[0].0.clone()), (2, sent[1].0.clone())];
        let sums = sent.each_ref().map(|(_, sum)| sum.as_str());
        let asked = |kind| {
            let asked = complete_with(&upload, &parts, ("ChecksumCRC32", &sums));
            server.send(asked.header("x-amz-checksum-type", kind))
        };
        let refused = asked(other).await;
        assert_eq!(refused.refusal(), (400, "InvalidRequest".into()));
        let expected = format!(
            "The upload was created using the {kind} checksum mode. The complete request must use \
             the same checksum mode."
        );
        assert_eq!(refused.element("Message"), expected);
        let rubbish = asked("HALF_OBJECT").await;
        assert_eq!(rubbish.refusal(), (400, "InvalidRequest".into()));
        assert_eq!(asked(kind).await.status, 200);
    }
}

/// Behaviour row 9, first half: an upload that was started without an algorithm.
#[tokio::test]
async fn an_upload_without_an_algorithm() {
    let server = server_of_small_parts().await;
    let upload = start(&server, "key").await;
    let sent = two_parts(&server, &upload, "crc64nvme").await;
    assert_eq!([&sent[0].1, &sent[1].1], ["", ""], "only kept");
    let listed = get("/bucket/key").query("uploadId", &upload);
    let listed = server.send(listed).await;
    assert!(!listed.text().contains("Checksum"), "{}", listed.text());
    let parts = [(1, sent[0].0.clone()), (2, sent[1].0.clone())];
    let wrong = complete("key", &upload, &parts).header("x-amz-checksum-crc64nvme", "AAAAAAAAAAA=");
    assert_eq!(
        server.send(wrong).await.refusal(),
        (400, "BadDigest".into())
    );
    let done = server.send(complete("key", &upload, &parts)).await;
    assert_eq!(done.status, 200, "{}", done.text());
    assert_eq!(done.element("ChecksumCRC64NVME"), "rosUhgp5mIg=");
    assert_eq!(done.element("ChecksumType"), "FULL_OBJECT");
    let shown = checksum_of(&server, "/bucket/key", "crc64nvme").await;
    assert_eq!(shown.0, "rosUhgp5mIg=");

    // Parts that bring another checksum: it is verified, and says nothing of the object.
    let upload = start(&server, "key").await;
    let body = Bytes::from_static(DIGITS.as_bytes());
    let sha = ALGORITHMS[4].2;
    let other = part("key", &upload, 1, body.clone()).header("x-amz-checksum-sha256", sha);
    let stored = server.send(other).await;
    assert_eq!(stored.header("x-amz-checksum-sha256"), sha);
    let parts = [(1, stored.header("etag").to_owned())];
    let wrong =
        part("key", &upload, 1, Bytes::from_static(b"x")).header("x-amz-checksum-sha256", sha);
    assert_eq!(
        server.send(wrong).await.refusal(),
        (400, "BadDigest".into())
    );
    let done = server.send(complete("key", &upload, &parts)).await;
    assert_eq!(done.status, 200, "{}", done.text());
    assert!(!done.text().contains("Checksum"), "{}", done.text());
}

#[tokio::test]
async fn a_part_of_another_algorithm_than_its_upload() {
    let server = server_of_small_parts().await;
    let upload = start_with(&server, "key", &[("x-amz-checksum-algorithm", "CRC32")]).await;
    let other = part("key", &upload, 1, Bytes::from_static(DIGITS.as_bytes()))
        .header("x-amz-checksum-sha1", ALGORITHMS[3].2);
    let refused = server.send(other).await;
    assert_eq!(refused.refusal(), (400, "InvalidRequest".into()));
    assert_eq!(
        refused.element("Message"),
        "Checksum Type mismatch occurred, expected checksum Type: crc32, actual checksum Type: sha1"
    );
    let sent = two_parts(&server, &upload, "crc32").await;
    let parts = [(1, sent[0].0.clone()), (2, sent[1].0.clone())];
    let foreign = complete_with(&upload, &parts, ("ChecksumSHA1", &[ALGORITHMS[3].2]));
    let refused = server.send(foreign).await;
    assert_eq!(refused.refusal(), (400, "BadDigest".into()));
    assert_eq!(
        refused.element("Message"),
        "The sha1 you specified for part 1 did not match what we received."
    );
    let malformed = complete_with(&upload, &parts, ("ChecksumCRC32", &["rubbish"]));
    assert_eq!(
        server.send(malformed).await.refusal(),
        (400, "InvalidArgument".into())
    );
}
