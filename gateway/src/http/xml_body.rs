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
mod tests;
