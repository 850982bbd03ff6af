//! Bytes that are being read: a part of a value, without a copy and without a count of references.

use super::DecodeError;
use bytes::Bytes;
use std::ops::Deref;

/// A part of a value that is being read. It is a slice that knows the [`Bytes`] it lies in, so that a
/// field of bytes can share their memory.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    whole: &'a Bytes,
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    /// All of `whole`.
    #[must_use]
    pub fn of(whole: &'a Bytes) -> Self {
        Self { whole, rest: whole }
    }

    /// The bytes, sharing the memory of the value.
    #[must_use]
    pub fn to_bytes(self) -> Bytes {
        self.whole.slice_ref(self.rest)
    }

    /// The bytes as text.
    ///
    /// # Errors
    /// When they are not UTF-8.
    pub fn to_text(self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.rest).map_err(|_| DecodeError::BadValue { what: "text" })
    }

    /// Reads a LEB128 number from the front.
    ///
    /// # Errors
    /// When the bytes end inside the number, or it has more than 64 bits.
    pub fn take_number(&mut self) -> Result<u64, DecodeError> {
        let mut number = 0_u64;
        for (index, byte) in self.rest.iter().copied().enumerate().take(10) {
            if index == 9 && byte > 1 {
                return Err(DecodeError::NumberTooLarge);
            }
            number |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                self.rest = &self.rest[index + 1..];
                return Ok(number);
            }
        }
        Err(if self.rest.len() < 10 {
            DecodeError::Truncated
        } else {
            DecodeError::NumberTooLarge
        })
    }

    /// Reads bytes with their length in front, from the front.
    ///
    /// # Errors
    /// When fewer bytes follow than the length says.
    pub fn take_bytes(&mut self) -> Result<Self, DecodeError> {
        let length =
            usize::try_from(self.take_number()?).map_err(|_| DecodeError::NumberTooLarge)?;
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(Self {
            whole: self.whole,
            rest: taken,
        })
    }

    /// The fields of the record that these bytes are.
    #[must_use]
    pub fn fields(self) -> Fields<'a> {
        Fields {
            rest: self,
            last: None,
        }
    }
}

impl Deref for Input<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.rest
    }
}

/// The fields of a record, in rising order of tag. Nothing follows an error.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    rest: Input<'a>,
    last: Option<u32>,
}

impl<'a> Fields<'a> {
    fn take(&mut self) -> Result<(u32, Input<'a>), DecodeError> {
        let tag =
            u32::try_from(self.rest.take_number()?).map_err(|_| DecodeError::NumberTooLarge)?;
        if self.last.is_some_and(|last| last >= tag) {
            return Err(DecodeError::FieldOrder(tag));
        }
        self.last = Some(tag);
        Ok((tag, self.rest.take_bytes()?))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Input<'a>), DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.take();
        if field.is_err() {
            self.rest.rest = &[];
        }
        Some(field)
    }
}
