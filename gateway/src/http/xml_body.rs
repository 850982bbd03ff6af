//! The XML of a request, as s3s reads it.
//!
//! s3s takes references to fewer characters than keys are made of, and passes over CDATA sections as if
//! nothing stood in them. Both are written here in the way that it reads.

use bytes::Bytes;

/// The most elements that a body may have: 10,000 parts with all that can be said of each.
const ELEMENTS_MAX: usize = 150_000;
/// The most of those of which S3 takes a list: parts of an upload. They take far more memory than their text.
const LISTED_MAX: usize = 10_000;
const LISTED: [&[u8]; 3] = [b"Object", b"Part", b"Tag"];
/// The longest text between two tags: a key in references.
const TEXT_BYTES_MAX: usize = 8 * 1024;

/// Whether `xml`, which [`readable`] has written, can be what S3 takes, by its size alone. To read what is not would
/// take many times its memory, or seconds.
pub(super) fn is_plausible(xml: &[u8]) -> bool {
    let (mut elements, mut listed) = (0, 0);
    let mut rest = xml;
    while let Some(at) = memchr::memchr(b'<', rest) {
        rest = &rest[at + 1..];
        let end = memchr::memchr2(b'<', b'>', rest).unwrap_or(rest.len());
        let name = rest[..end]
            .split(|byte| byte.is_ascii_whitespace() || *byte == b'/')
            .next()
            .unwrap_or_default();
        let local = name.rsplit(|byte| *byte == b':').next().unwrap_or_default();
        elements += 1;
        listed += usize::from(LISTED.contains(&local));
        let text = memchr::memchr(b'<', &rest[end..]).unwrap_or(rest.len() - end);
        if elements > 2 * ELEMENTS_MAX || listed > LISTED_MAX || end.max(text) > TEXT_BYTES_MAX {
            return false;
        }
    }
    // What has no markup is refused as soon as it is read.
    true
}

/// The longest reference: `&#x10FFFF;` with some leading zeros.
const REFERENCE_BYTES_MAX: usize = 16;

/// Between these stands no markup: nothing of meaning, or text.
const COMMENT: (&[u8], &[u8]) = (b"<!--", b"-->");
const INSTRUCTION: (&[u8], &[u8]) = (b"<?", b"?>");
const CDATA: (&[u8], &[u8]) = (b"<![CDATA[", b"]]>");

/// `xml` with the same meaning, and no reference or section that s3s would get wrong. What is malformed
/// stays as it is, for s3s to refuse.
pub(super) fn readable(xml: Bytes) -> Bytes {
    let bytes_max = written_bytes_max(&xml);
    if bytes_max == 0 {
        return xml;
    }
    let mut readable = Vec::with_capacity(bytes_max);
    let mut rest = xml.as_ref();
    while let Some(next) = rest.iter().position(|byte| matches!(byte, b'&' | b'<')) {
        let (text, markup) = rest.split_at(next);
        readable.extend_from_slice(text);
        rest = step(markup, &mut readable);
    }
    readable.extend_from_slice(rest);
    readable.into()
}

/// The most bytes that [`readable`] writes beside `xml`: none where `xml` can stay as it is.
pub(super) fn written_bytes_max(xml: &[u8]) -> usize {
    let is_special = |pair: &[u8]| pair == b"&#" || pair == b"<!";
    if !xml.windows(2).any(is_special) {
        return 0;
    }
    let (open, _) = CDATA;
    if !xml.windows(open.len()).any(|window| window == open) {
        return xml.len();
    }
    xml.iter().map(|byte| escaped(byte).len()).sum()
}

/// Writes what `markup` begins with; returns what follows it.
fn step<'a>(markup: &'a [u8], readable: &mut Vec<u8>) -> &'a [u8] {
    for section in [COMMENT, INSTRUCTION, CDATA] {
        if !markup.starts_with(section.0) {
            continue;
        }
        let Some((whole, text, rest)) = within(markup, section) else {
            // Nothing after it can mean anything.
            readable.extend_from_slice(markup);
            return &[];
        };
        if section == CDATA {
            escape(text, readable);
        } else {
            readable.extend_from_slice(whole);
        }
        return rest;
    }
    if let Some((character, rest)) = reference(markup) {
        readable.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        return rest;
    }
    let (first, rest) = markup.split_at(1);
    readable.extend_from_slice(first);
    rest
}

/// The section that `markup` begins with: whole, what stands in it, and what follows.
fn within<'a>(
    markup: &'a [u8],
    (open, close): (&[u8], &[u8]),
) -> Option<(&'a [u8], &'a [u8], &'a [u8])> {
    let inside = markup.strip_prefix(open)?;
    let len = inside
        .windows(close.len())
        .position(|window| window == close)?;
    let (whole, rest) = markup.split_at(open.len() + len + close.len());
    Some((whole, &inside[..len], rest))
}

fn escape(text: &[u8], readable: &mut Vec<u8>) {
    for byte in text {
        readable.extend_from_slice(escaped(byte));
    }
}

fn escaped(byte: &u8) -> &[u8] {
    match byte {
        b'&' => b"&amp;",
        b'<' => b"&lt;",
        b'>' => b"&gt;",
        other => std::slice::from_ref(other),
    }
}

/// The character that `markup` begins with a reference to, if s3s does not take that; and what follows.
fn reference(markup: &[u8]) -> Option<(char, &[u8])> {
    let end = markup
        .iter()
        .take(REFERENCE_BYTES_MAX)
        .position(|byte| *byte == b';')?;
    let name = markup[..end].strip_prefix(b"&#")?;
    let (digits, radix) = match name.strip_prefix(b"x") {
        Some(digits) => (digits, 16),
        None => (name, 10),
    };
    let digits = std::str::from_utf8(digits).ok()?;
    if !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let character = char::from_u32(u32::from_str_radix(digits, radix).ok()?)?;
    // No XML of any version has a NUL, and what is markup must stay a reference.
    let raw = character != '\0' && !(' '..'\u{fffe}').contains(&character);
    raw.then_some((character, &markup[end + 1..]))
}

#[cfg(test)]
mod tests {
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
}
