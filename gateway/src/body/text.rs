//! The check of a body that s3s reads whole: XML. It must not be too long, and must be UTF-8: the XML
//! parser looks at names and values alone, and passes over other bytes.

use super::PayloadError;
use std::borrow::Cow;

/// How far a text has been checked.
#[derive(Debug)]
pub(super) struct Text {
    bytes_max: u64,
    received: u64,
    /// The beginning of a character whose end has not come.
    unfinished: Vec<u8>,
}

impl Text {
    pub(super) fn new(bytes_max: u64) -> Self {
        Self {
            bytes_max,
            received: 0,
            unfinished: Vec::new(),
        }
    }

    /// Checks the next bytes; `declared` is how many there will be in all, if that is known.
    pub(super) fn push(&mut self, data: &[u8], declared: Option<u64>) -> Result<(), PayloadError> {
        self.received += data.len() as u64;
        if self.received > self.bytes_max {
            return Err(PayloadError::TextTooLong {
                bytes_max: self.bytes_max,
            });
        }
        let joined = if self.unfinished.is_empty() {
            Cow::Borrowed(data)
        } else {
            Cow::Owned([&self.unfinished, data].concat())
        };
        let end = match std::str::from_utf8(&joined) {
            Ok(_) => joined.len(),
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => return Err(PayloadError::NotText),
        };
        self.unfinished = joined[end..].to_vec();
        // s3s does not read on after the last byte.
        let is_last = declared == Some(self.received);
        if is_last && !self.unfinished.is_empty() {
            return Err(PayloadError::NotText);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pieces: &[&[u8]]) -> Result<(), PayloadError> {
        let declared = pieces.iter().map(|piece| piece.len() as u64).sum();
        let mut text = Text::new(10);
        pieces
            .iter()
            .try_for_each(|piece| text.push(piece, Some(declared)))
    }

    #[test]
    fn text_may_be_cut_anywhere() {
        let text = "aé€𝄞".as_bytes();
        for at in 0..text.len() {
            assert_eq!(check(&[&text[..at], &text[at..]]), Ok(()), "{at}");
        }
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(check(&bytes), Ok(()));
    }

    #[test]
    fn what_is_no_text_or_too_long_is_refused() {
        for bad in [&b"\xff"[..], b"a\xc3", b"\xed\xa0\x80", b"\xc3a"] {
            assert_eq!(check(&[bad]), Err(PayloadError::NotText), "{bad:?}");
            let (first, rest) = bad.split_at(1);
            assert_eq!(check(&[first, rest]), Err(PayloadError::NotText), "{bad:?}");
        }
        let too_long = PayloadError::TextTooLong { bytes_max: 10 };
        assert_eq!(check(&[b"12345", b"678901"]), Err(too_long));
    }
}
