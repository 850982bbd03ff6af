//! The head of a key that has `v/` records (`h/`). Every batch that touches such a key conditions on
//! its seq, and every batch that changes a `v/` record writes it, so the key's versions change as one.

use types::Order;
use types::record;

record! {
    /// What is known of the `v/` records of a key. Present exactly while there are any.
    pub struct HeadRecord {
        /// The newest order of the key, the current version's included.
        1 => newest: Order,
        /// Order of the null version when it is among the `v/` records.
        2 => null_order: Option<Order>,
        /// Number of `v/` records.
        3 => count: u64,
    }
}

#[cfg(test)]
mod tests;
