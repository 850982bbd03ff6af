//! What s3s reads of bodies as clients write them, and which bodies it never sees.

use super::*;

fn read(xml: &str) -> String {
    String::from_utf8(readable(Bytes::copy_from_slice(xml.as_bytes())).to_vec()).unwrap()
}

#[test]
fn references_that_s3s_refuses_become_characters() {
    let table = [
        ("<Key>a&#x1;b&#31;</Key>", "<Key>a\u{1}b\u{1f}</Key>"),
        ("&#13;&#xA;&#x9;", "\r\n\t"),
        ("&#x1F600;&#128512;&#x0001f600;", "😀😀😀"),
        ("&#xFFFE;&#x10FFFF;", "\u{fffe}\u{10ffff}"),
    ];
    for (sent, expected) in table {
        assert_eq!(read(sent), expected);
    }
}

#[test]
fn everything_else_stays() {
    let table = [
        "<Key>a</Key>",
        "<Key>&amp;&lt;&#60;&#x26;&#xe9;</Key>",
        "&#0;&#x0;&#x110000;&#xD800;&#x;&#;&#+1;&#x+1;&#X1;&# 1;",
        "&#99999999999;&#00000000000000000001;&#1",
        "<!-- &#1; <![CDATA[ --><?x &#1; ?>",
        "<Key><![CDATA[a",
        "& < <! &",
    ];
    for same in table {
        assert_eq!(read(same), same);
    }
}

#[test]
fn no_more_is_written_than_was_said() {
    let table = [
        ("<Key>a</Key>", 0),
        ("<Key>&#1;</Key>", 15),
        ("<![CDATA[&&&]]>", 33),
    ];
    for (xml, bytes_max) in table {
        assert_eq!(written_bytes_max(xml.as_bytes()), bytes_max, "{xml}");
        assert!(read(xml).len() <= bytes_max.max(xml.len()), "{xml}");
    }
    let sections = "<![CDATA[<&>]]>".repeat(100);
    assert!(read(&sections).len() <= written_bytes_max(sections.as_bytes()));
}

#[test]
fn what_no_operation_takes_is_told_by_its_size() {
    let parts = |count| format!("<C>{}</C>", "<Part/>".repeat(count));
    let text = |bytes| format!("<Key>{}</Key>", "a".repeat(bytes));
    let many = |tag: &str| format!("<C>{}</C>", tag.repeat(300_000));
    let table = [
        (parts(10_000), true),
        (parts(10_001), false),
        (parts(10_001).replace("Part", "s3:Part "), false),
        (parts(10_001).replace("Part", "PartNumber"), true),
        (text(6 * 1024), true),
        (text(TEXT_BYTES_MAX + 1), false),
        (format!("<!--{}-->", "a".repeat(TEXT_BYTES_MAX)), false),
        (many("<a>"), false),
        ("a".repeat(1 << 20), true),
        ("<".to_owned(), true),
        (String::new(), true),
    ];
    for (xml, plausible) in table {
        let shown = &xml[..xml.len().min(40)];
        assert_eq!(is_plausible(xml.as_bytes()), plausible, "{shown}");
    }
    let whole = "<Part><PartNumber>1</PartNumber><ETag>&quot;e&quot;</ETag><ChecksumCRC32>c</ChecksumCRC32>\
        <ChecksumCRC32C>c</ChecksumCRC32C><ChecksumCRC64NVME>c</ChecksumCRC64NVME><ChecksumSHA1>c</ChecksumSHA1>\
        <ChecksumSHA256>c</ChecksumSHA256></Part>";
    let complete = format!("<Complete>{}</Complete>", whole.repeat(10_000));
    assert!(is_plausible(complete.as_bytes()));
}

#[test]
fn sections_become_text() {
    assert_eq!(
        read("<Key><![CDATA[a<b>&#1;&amp;]]]></Key>&#1;"),
        "<Key>a&lt;b&gt;&amp;#1;&amp;amp;]</Key>\u{1}"
    );
    assert_eq!(read("<![CDATA[]]>"), "");
}
