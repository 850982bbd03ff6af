//! Faults under load: many clients through several gateways of the real binary, faults that come and go by a
//! schedule that follows from a seed, and a judgement of everything that the clients were told.
//!
//! | module | what |
//! |---|---|
//! | [`workload`] | clients that write, read, list and race on a few keys at once, with values that are unique |
//! | [`client`], [`record`] | the requests, and what was recorded of them |
//! | [`faults`] | what goes wrong when: a pure function of the seed |
//! | [`target`], [`zone`], [`net`] | processes, disks and the network that it goes wrong in |
//! | [`check`] | what a record shows: a pure function too, tested on records known to be bad |
//! | [`run`], [`report`] | one run, and the file of results |
//! | [`failover`] | how long clients wait when something fails |

pub mod check;
pub mod client;
pub mod failover;
pub mod faults;
pub mod native;
pub mod net;
pub mod record;
pub mod report;
pub mod run;
pub mod target;
pub mod workload;
pub mod zone;
