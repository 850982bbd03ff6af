//! S3 keys inside index keys: escaped and terminated, so that whatever follows them does not disturb
//! their order.
//!
//! Byte 00 becomes 00 FF and the end is 00 01, as in FoundationDB's tuple layer. Byte order of the
//! result is byte order of the S3 keys, and an escaped prefix without its end is a prefix of exactly
//! the keys that begin with it.

/// Ends an escaped S3 key; occurs nowhere else in it.
pub const TERMINATOR: [u8; 2] = [0x00, 0x01];
/// Follows a 00 that is part of the S3 key.
const ESCAPED_ZERO: u8 = 0xff;

/// Appends `text` escaped, without an end: a prefix, or a delimiter to look for.
pub fn put_unterminated(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + TERMINATOR.len());
    for byte in text.bytes() {
        out.push(byte);
        if byte == 0 {
            out.push(ESCAPED_ZERO);
        }
    }
}

/// Appends `text` escaped, with its end.
pub fn put(out: &mut Vec<u8>, text: &str) {
    put_unterminated(out, text);
    out.extend_from_slice(&TERMINATOR);
}

/// Reads an escaped text from the front of `bytes` and moves `bytes` past its end. `None` when there
/// is no end, an escape is wrong, or the text is not UTF-8.
#[must_use]
pub fn take(bytes: &mut &[u8]) -> Option<String> {
    let mut text = Vec::with_capacity(bytes.len());
    let mut rest = *bytes;
    loop {
        let zero = rest.iter().position(|byte| *byte == 0)?;
        text.extend_from_slice(&rest[..zero]);
        let mark = *rest.get(zero + 1)?;
        rest = &rest[zero + 2..];
        match mark {
            ESCAPED_ZERO => text.push(0),
            mark if mark == TERMINATOR[1] => break,
            _ => return None,
        }
    }
    *bytes = rest;
    String::from_utf8(text).ok()
}

/// Reads a text that is escaped but not ended, as the name of a group in a scan is. `None` when an
/// escape is wrong or the text is not UTF-8.
#[must_use]
pub fn unescape(bytes: &[u8]) -> Option<String> {
    let mut ended = bytes.to_vec();
    ended.extend_from_slice(&TERMINATOR);
    let mut rest = ended.as_slice();
    take(&mut rest).filter(|_| rest.is_empty())
}

/// Offset of the end of the escaped text at the front of `bytes`, or all of `bytes` when it has none.
#[must_use]
pub fn text_end(bytes: &[u8]) -> usize {
    bytes
        .windows(TERMINATOR.len())
        .position(|pair| pair == TERMINATOR)
        .unwrap_or(bytes.len())
}
