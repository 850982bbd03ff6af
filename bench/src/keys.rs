//! The names of the objects, from their numbers.

use crate::content::scatter;

/// How keys are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Layout {
    /// All under one prefix, each greater than the last.
    Flat,
    /// Over 65,536 folders on two levels.
    Tree,
}

/// The folder of everything that one run makes.
#[derive(Debug, Clone)]
pub struct Keys {
    prefix: String,
    layout: Layout,
}

impl Keys {
    /// Keys under `prefix/`.
    pub fn new(prefix: &str, layout: Layout) -> Self {
        Self {
            prefix: format!("{prefix}/"),
            layout,
        }
    }

    /// What every key begins with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The key of an object. It needs no percent-encoding.
    pub fn key(&self, number: u64) -> String {
        let prefix = &self.prefix;
        match self.layout {
            Layout::Flat => format!("{prefix}{number:012}"),
            Layout::Tree => {
                let folder = scatter(number);
                let (upper, lower) = (folder >> 56, folder >> 48 & 0xff);
                format!("{prefix}{upper:02x}/{lower:02x}/{number:012}")
            }
        }
    }
}

/// Percent-encodes everything but unreserved characters.
pub fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flat_keys_are_in_the_order_of_their_numbers() {
        let keys = Keys::new("run", Layout::Flat);
        assert_eq!(keys.key(7), "run/000000000007");
        assert!(keys.key(99) < keys.key(100));
    }

    #[test]
    fn a_tree_has_many_folders() {
        let keys = Keys::new("run", Layout::Tree);
        let folders: std::collections::BTreeSet<String> =
            (0..1000).map(|n| keys.key(n)[4..9].to_owned()).collect();
        assert!(folders.len() > 950, "{} folders", folders.len());
        assert!(keys.key(5).ends_with("/000000000005"));
    }

    #[test]
    fn encodes_what_is_reserved() {
        assert_eq!(percent_encode("a/b+c=~é"), "a%2Fb%2Bc%3D~%C3%A9");
    }
}
