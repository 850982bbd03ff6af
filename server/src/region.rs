//! A server as a node of a region of several.

#[allow(dead_code, reason = "the server that starts as a node uses it")]
pub mod beat;
#[allow(dead_code, reason = "the server that starts as a node uses the rest")]
pub mod change;
pub mod describe;
#[allow(dead_code, reason = "the server that starts as a node uses it")]
pub mod dirty;
#[allow(dead_code, reason = "the server that starts as a node uses it")]
pub mod follow;
#[allow(dead_code, reason = "the server that starts as a node uses the rest")]
pub mod home;
#[allow(dead_code, reason = "the server that starts as a node uses it")]
pub mod keeper;
#[cfg(test)]
pub mod testing;
