//! Calls between the roles of a region, mutually authenticated.
//!
//! ```text
//! caller  Network -> Peer -> Call --- TLS 1.3, HTTP/2 ---> Server -> Service -> handler
//!         Identity (certificate, trust bundle)             Identity
//! ```
//!
//! - [`identity`]: the cluster's certificate authority, nodes' certificates, and whom a process trusts.
//! - [`server`]: a listener for nodes of the cluster only, and the table of methods behind it.
//! - [`client`]: peers by node id, and calls whose errors say whether they may have been executed.
//! - [`join`]: one-time tokens, and how a new node gets its first certificate.
//!
//! A call is a method's name, a small record, and a body: none, bytes, or a stream. This crate does not know what
//! the methods do; it knows who calls, from which installation and region, and how long the caller
//! waits.

pub mod body;
pub mod client;
pub mod counters;
pub mod error;
pub mod identity;
pub mod join;
mod message;
mod node;
pub mod server;
mod transport;

pub use node::{Limits, Node};
