//! The vocabulary that every other crate of Cairn shares: identifiers, order, limits, profiles,
//! placement groups, the cluster map, manifests and the encoding of persisted values.
//!
//! What may live here: plain values and pure functions over them. What may not: I/O, tokio, S3 or
//! HTTP types, and anything that only one crate needs. The two exceptions are [`clock`] and
//! [`entropy`], the only places of the workspace that read time and randomness, each behind a trait.

pub mod clock;
pub mod cluster_map;
pub mod cluster_view;
pub mod entropy;
pub mod envelope;
pub mod format;
pub mod ids;
pub mod limits;
pub mod manifest;
pub mod order;
pub mod pg;
pub mod planted;
pub mod profile;
pub mod run_on;
pub mod wire;

pub use clock::Clock;
pub use cluster_map::{
    ChunkCluster, ClusterMap, DiskInfo, DiskState, NodeInfo, Role, Roles, ZoneInfo,
};
pub use cluster_view::ClusterView;
pub use entropy::Entropy;
pub use format::{Finalised, FormatVersion};
pub use ids::{
    BucketId, ChunkClusterId, ChunkId, DiskId, InstallationId, ManifestId, NodeId, OpId,
    PartitionId, PgId, RegionId, UploadId, VersionId, ZoneId,
};
pub use manifest::{ChunkRef, Manifest, ManifestPage, PartEntry};
pub use order::Order;
pub use pg::{PgClass, PlacementGroup, ShardSet};
pub use planted::Planted;
pub use profile::{Domain, ErasureProfile};
pub use run_on::RunOn;
