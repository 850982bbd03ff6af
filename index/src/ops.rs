//! The operations, one family a file. Each reads what it depends on, drafts a batch, commits it, and
//! decides anew when what it read has changed.

pub(crate) mod bucket;
pub(crate) mod bucket_config;
pub(crate) mod complete;
pub(crate) mod control;
pub(crate) mod copy;
pub(crate) mod delete;
pub(crate) mod draft;
pub(crate) mod pages;
pub(crate) mod parts;
pub(crate) mod put;
pub(crate) mod read;
pub(crate) mod reclaim;
pub(crate) mod scan;
pub(crate) mod share;
pub(crate) mod tags;
pub(crate) mod upload;
pub(crate) mod versions;
