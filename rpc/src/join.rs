//! How a node without a certificate gets one: with a one-time token that its operator carries from the
//! cluster to the node.
//!
//! The token names the cluster's authority by its fingerprint, so the node knows whom it talks to before
//! it sends anything. The exchange has a listener of its own: the one for calls never talks to anybody without a
//! certificate. Who joins, and as which node, is decided by a [`Decision`], which knows the tokens.
//!
//! ```text
//! node:     length u32 | JoinRequest { token, certificate request, description }
//! cluster:  length u32 | JoinReply { certificate, trust bundle, what the cluster says }
//! ```

mod exchange;
mod listener;
mod node;
mod token;

pub use exchange::{Grant, JoinRefused, Wanted};
pub use listener::{Decision, JoinLimits, JoinServer};
pub use node::{JoinError, Joined, join};
pub use token::{JoinToken, Secret, TokenError, TokenHash, TokenId};

#[cfg(test)]
mod tests;
