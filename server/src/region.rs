//! A server as a node of a region of several.

#[allow(dead_code, reason = "the server that starts as a node uses the rest")]
pub mod change;
pub mod describe;
#[allow(dead_code, reason = "the server that starts as a node uses the rest")]
pub mod home;
