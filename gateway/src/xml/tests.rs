//! Tests: what is written here is what s3s would write, but for control characters.

use super::*;
use crate::admission::{BUDGET_BYTES_MIN, MemoryBudget};
use crate::headers::timestamp;
use proptest::prelude::*;
use s3s::dto::TimestampFormat;
use std::time::Duration;

fn written(write: impl FnOnce(&mut Document)) -> String {
    let mut document = Document { xml: String::new() };
    write(&mut document);
    document.xml
}

#[test]
fn control_characters_become_references() {
    let table = [
        ("<Key>a\u{1}b\rc\nd</Key>", "<Key>a&#x1;b&#xd;c&#xa;d</Key>"),
        ("<Key>é \u{85} ü\u{7f}</Key>", "<Key>é \u{85} ü&#x7f;</Key>"),
        ("", ""),
    ];
    for (raw, escaped) in table {
        assert_eq!(escape_controls(raw), escaped);
    }
    assert_eq!(
        written(|xml| xml.text("a<b>&\"'\u{0}é\t")),
        "a&lt;b&gt;&amp;&quot;&apos;&#x0;é&#x9;"
    );
}

#[tokio::test]
async fn a_document_is_declared_and_in_the_namespace() {
    let budget = MemoryBudget::new(BUDGET_BYTES_MIN, Duration::ZERO);
    let lease = budget.answer(1).await.unwrap();
    let mut document = Document::begin("Root", 0);
    document.text("a&b");
    let answer: S3Response<()> = document.end("Root", lease);
    let XmlBody(body) = answer.extensions.get().unwrap();
    let expected = format!(
        "{DECLARATION}<Root xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">a&amp;b</Root>"
    );
    assert_eq!(*body, expected);
}

proptest! {
    #[test]
    fn texts_are_escaped_as_by_s3s(text in "[^\\x00-\\x1f\\x7f]{0,100}") {
        let own = written(|xml| xml.text(&text));
        prop_assert_eq!(own, elements(&text.as_str()).unwrap());
    }

    #[test]
    fn times_are_written_as_by_s3s(ms in 0_u64..300_000_000_000_000) {
        let mut theirs = Vec::new();
        timestamp(ms).format(TimestampFormat::DateTime, &mut theirs).unwrap();
        prop_assert_eq!(written(|xml| xml.time(ms)).into_bytes(), theirs);
    }

    #[test]
    fn times_beyond_the_calendar_are_written(ms: u64) {
        prop_assert_eq!(written(|xml| xml.time(ms)).len(), "1970-01-01T00:00:00.000Z".len());
    }
}
