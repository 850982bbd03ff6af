//! The encoding of persisted records: a run of tagged fields, each `tag, length, bytes` with tag and
//! length as LEB128 numbers, in rising order of tag. A field that has its default value is left out.
//! Fields that this binary does not know are kept and written back, so that an older binary may
//! rewrite what a newer one wrote.
//!
//! Records are declared with [`record!`](crate::record), which writes the struct and both directions.
//! A tag, once used, is never given another meaning.

mod input;

pub use input::{Fields, Input};

use bytes::Bytes;
use std::collections::BTreeMap;

/// Why bytes could not be read as a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end inside a field.
    #[error("the record ends inside a field")]
    Truncated,
    /// A number has more bits than its type.
    #[error("a number in the record is too large for its type")]
    NumberTooLarge,
    /// Tags are not in rising order.
    #[error("field {0} is repeated or out of order")]
    FieldOrder(u32),
    /// A field has bytes that its type does not allow.
    #[error("the record's {what} has a value that is not allowed")]
    BadValue {
        /// What was being read.
        what: &'static str,
    },
}

/// Fields with tags that this binary does not know, by tag.
pub type UnknownFields = BTreeMap<u32, Bytes>;

/// A value that can be a field of a record.
pub trait Field: Sized {
    /// Appends the bytes of the value.
    fn put(&self, out: &mut Vec<u8>);
    /// Reads a value from exactly `bytes`.
    ///
    /// # Errors
    /// [`DecodeError`] when `bytes` are not what `put` writes.
    fn take(bytes: Input<'_>) -> Result<Self, DecodeError>;
    /// True for the value that a missing field stands for.
    fn is_default(&self) -> bool;
}

/// Appends `number` as LEB128.
pub fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number as u8 & 0x7f) | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends `bytes` with their length in front.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends what `put` appends, with its length in front.
pub fn put_sized(out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    // Nearly every length is one byte long. A longer one moves the bytes that were written.
    out.push(0);
    put(out);
    let length = out.len() - at - 1;
    if let Ok(length @ ..0x80) = u8::try_from(length) {
        out[at] = length;
        return;
    }
    let mut number = Vec::with_capacity(10);
    put_number(&mut number, length as u64);
    out.splice(at..=at, number);
}

/// Appends `value` as field `tag`, unless it is the default.
pub fn put_field<T: Field>(out: &mut Vec<u8>, tag: u32, value: &T) {
    if !value.is_default() {
        put_number(out, u64::from(tag));
        put_sized(out, |out| value.put(out));
    }
}

/// Declares a record: a struct whose fields carry tags, with `encode`, `decode` and `Field`.
///
/// The struct gets one more public field, `unknown`, which holds what this binary does not know.
/// Encoding writes known and unknown fields in rising order of tag.
#[macro_export]
macro_rules! record {
    ($(#[$doc:meta])* pub struct $name:ident {
        $($(#[$field_doc:meta])* $tag:literal => $field:ident: $type:ty,)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct $name {
            $(
                $(#[$field_doc])*
                #[doc = concat!("(Field ", stringify!($tag), " of the record.)")]
                pub $field: $type,
            )*
            /// Fields that a newer binary wrote, kept on rewrite.
            pub unknown: $crate::wire::UnknownFields,
        }

        impl $name {
            /// The record as bytes.
            #[must_use]
            pub fn encode(&self) -> Vec<u8> {
                let mut out = Vec::new();
                $crate::wire::Field::put(self, &mut out);
                out
            }

            /// Reads a record from exactly `bytes`.
            ///
            /// # Errors
            /// When `bytes` are not what `encode` writes.
            pub fn decode(bytes: bytes::Bytes) -> Result<Self, $crate::wire::DecodeError> {
                <Self as $crate::wire::Field>::take($crate::wire::Input::of(&bytes))
            }
        }

        impl $crate::wire::Field for $name {
            fn put(&self, out: &mut Vec<u8>) {
                let mut unknown = self.unknown.iter().peekable();
                $(
                    while let Some((tag, body)) = unknown.next_if(|(tag, _)| **tag < $tag) {
                        $crate::wire::put_number(out, u64::from(*tag));
                        $crate::wire::put_bytes(out, body);
                    }
                    $crate::wire::put_field(out, $tag, &self.$field);
                )*
                for (tag, body) in unknown {
                    $crate::wire::put_number(out, u64::from(*tag));
                    $crate::wire::put_bytes(out, body);
                }
            }

            fn take(
                bytes: $crate::wire::Input<'_>,
            ) -> Result<Self, $crate::wire::DecodeError> {
                let mut record = Self::default();
                for field in bytes.fields() {
                    match field? {
                        $(($tag, body) => record.$field = $crate::wire::Field::take(body)?,)*
                        (tag, body) => {
                            record.unknown.insert(tag, body.to_bytes());
                        }
                    }
                }
                Ok(record)
            }

            fn is_default(&self) -> bool {
                *self == Self::default()
            }
        }
    };
}

macro_rules! number_field {
    ($($type:ty),*) => {$(
        impl Field for $type {
            fn put(&self, out: &mut Vec<u8>) {
                put_number(out, u64::from(*self));
            }
            fn take(mut bytes: Input<'_>) -> Result<Self, DecodeError> {
                let number = bytes.take_number()?;
                if !bytes.is_empty() {
                    return Err(DecodeError::BadValue { what: "number" });
                }
                Self::try_from(number).map_err(|_| DecodeError::NumberTooLarge)
            }
            fn is_default(&self) -> bool {
                *self == 0
            }
        }
    )*};
}
number_field!(u8, u16, u32, u64);

impl Field for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    fn take(bytes: Input<'_>) -> Result<Self, DecodeError> {
        match &*bytes {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(DecodeError::BadValue { what: "flag" }),
        }
    }
    fn is_default(&self) -> bool {
        !*self
    }
}

impl Field for Bytes {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
    fn take(bytes: Input<'_>) -> Result<Self, DecodeError> {
        Ok(bytes.to_bytes())
    }
    fn is_default(&self) -> bool {
        self.is_empty()
    }
}

impl Field for String {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }
    fn take(bytes: Input<'_>) -> Result<Self, DecodeError> {
        bytes.to_text().map(str::to_owned)
    }
    fn is_default(&self) -> bool {
        self.is_empty()
    }
}

impl<const N: usize> Field for [u8; N] {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
    fn take(bytes: Input<'_>) -> Result<Self, DecodeError> {
        Self::try_from(&*bytes).map_err(|_| DecodeError::BadValue {
            what: "fixed bytes",
        })
    }
    fn is_default(&self) -> bool {
        self.iter().all(|byte| *byte == 0)
    }
}

/// A missing value is a missing field; a present one is written even if it is its type's default.
impl<T: Field> Field for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        if let Some(value) = self {
            value.put(out);
        }
    }
    fn take(bytes: Input<'_>) -> Result<Self, DecodeError> {
        T::take(bytes).map(Some)
    }
    fn is_default(&self) -> bool {
        self.is_none()
    }
}

impl<T: Field> Field for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        for item in self {
            put_sized(out, |out| item.put(out));
        }
    }
    fn take(mut bytes: Input<'_>) -> Result<Self, DecodeError> {
        let mut items = Self::new();
        while !bytes.is_empty() {
            items.push(T::take(bytes.take_bytes()?)?);
        }
        Ok(items)
    }
    fn is_default(&self) -> bool {
        self.is_empty()
    }
}

impl<T: Field> Field for BTreeMap<String, T> {
    fn put(&self, out: &mut Vec<u8>) {
        for (name, value) in self {
            put_bytes(out, name.as_bytes());
            put_sized(out, |out| value.put(out));
        }
    }
    fn take(mut bytes: Input<'_>) -> Result<Self, DecodeError> {
        let mut map = Self::new();
        while !bytes.is_empty() {
            let name = String::take(bytes.take_bytes()?)?;
            map.insert(name, T::take(bytes.take_bytes()?)?);
        }
        Ok(map)
    }
    fn is_default(&self) -> bool {
        self.is_empty()
    }
}

macro_rules! number_id_field {
    ($($type:ident),*) => {$(
        impl Field for crate::ids::$type {
            fn put(&self, out: &mut Vec<u8>) {
                self.0.put(out);
            }
            fn take(bytes: Input<'_>) -> Result<Self, DecodeError> {
                Field::take(bytes).map(Self)
            }
            fn is_default(&self) -> bool {
                self.0 == 0
            }
        }
    )*};
}
number_id_field!(
    BucketId,
    PartitionId,
    NodeId,
    ZoneId,
    RegionId,
    ChunkClusterId,
    PgId
);

macro_rules! wide_id_field {
    ($($type:ident),*) => {$(
        impl Field for crate::ids::$type {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_bytes());
            }
            fn take(bytes: Input<'_>) -> Result<Self, DecodeError> {
                <[u8; 16]>::take(bytes).map(Self::from_bytes)
            }
            fn is_default(&self) -> bool {
                self.0 == 0
            }
        }
    )*};
}
wide_id_field!(
    InstallationId,
    DiskId,
    ChunkId,
    ManifestId,
    UploadId,
    OpId,
    VersionId
);

impl Field for crate::order::Order {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_bytes());
    }
    fn take(bytes: Input<'_>) -> Result<Self, DecodeError> {
        <[u8; Self::LEN]>::take(bytes).map(Self::from_bytes)
    }
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests;
