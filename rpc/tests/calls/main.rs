//! Calls between real sockets of one process: who is let in, what arrives, and what is known when it does not.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod calls;
mod handshake;
mod join;
mod links;
mod metrics;
mod protocol;
mod support;
