//! Every bound of the system, with its unit and its reason. Relations between them are checked by
//! the compiler at the end of the file.

use std::time::Duration;

/// Operations in one index batch; every engine that may come (Raft, SQL) can hold this many.
pub const BATCH_OPERATIONS_MAX: usize = 128;
/// Bytes of keys and values in one index batch.
pub const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of one index value.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;
/// Bytes of one encoded index key: an S3 key of 1,024 bytes doubles when every byte is escaped.
pub const KEY_BYTES_MAX: usize = 4 * 1024;

/// Bytes of an S3 object key (S3: "Object key names", 1,024 bytes of UTF-8).
pub const OBJECT_KEY_BYTES_MAX: usize = 1024;
/// Bytes of user metadata, names and values together (S3: "User-defined metadata", 2 KiB).
pub const USER_METADATA_BYTES_MAX: usize = 2 * 1024;
/// Bytes of one object (S3: "Amazon S3 multipart upload limits", 48.8 TiB since late 2025).
pub const OBJECT_BYTES_MAX: u64 = 10_000 * PART_BYTES_MAX;
/// Bytes of one PUT and of one part.
pub const PART_BYTES_MAX: u64 = 5 * 1024 * 1024 * 1024;
/// Bytes of every part but the last.
pub const PART_BYTES_MIN: u64 = 5 * 1024 * 1024;
/// The highest part number; numbers start at 1.
pub const PART_NUMBER_MAX: u16 = 10_000;
/// Entries of a list page.
pub const LIST_KEYS_MAX: usize = 1000;
/// Buckets of a page of ListBuckets: what S3 lets an account have before it must ask for more.
pub const LIST_BUCKETS_MAX: usize = 10_000;
/// Keys of one DeleteObjects request.
pub const DELETE_OBJECTS_MAX: usize = 1000;

/// Object bytes in one chunk.
pub const CHUNK_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bytes of a full data cell of a striped profile.
pub const CELL_BYTES: usize = 256 * 1024;
/// Bytes of object data behind one block checksum.
pub const BLOCK_BYTES: usize = 64 * 1024;
/// Bytes that a shard record's place in a volume is a multiple of.
pub const RECORD_ALIGN_BYTES: u64 = 4 * 1024;
/// Parts of a manifest kept in one `x/` page.
pub const MANIFEST_PAGE_PARTS: usize = 256;
/// Chunks kept in one `x/` page: at about 80 bytes each they stay far below an index value's limit.
pub const MANIFEST_PAGE_CHUNKS: usize = 256;
/// Chunks that a manifest keeps in its version record; more go to `x/` pages.
pub const MANIFEST_INLINE_CHUNKS: usize = 64;

/// Default for the largest object kept in the index itself.
pub const INLINE_BYTES_DEFAULT: usize = 16 * 1024;
/// Default for the largest object kept by the small-object profile.
pub const SMALL_BYTES_DEFAULT: usize = 128 * 1024;
/// Largest configurable inline object: its value must fit an index value.
pub const INLINE_BYTES_CAP: usize = 60 * 1024;
/// Largest configurable small object: one shard record holds it whole.
pub const SMALL_BYTES_CAP: usize = 512 * 1024;

/// Age of its oldest chunk at which a commit is refused.
pub const WRITE_DEADLINE: Duration = Duration::from_secs(24 * 3600);
/// Time after which a GET is aborted.
pub const READ_DEADLINE: Duration = Duration::from_secs(24 * 3600);
/// Observed time between a delete and the freeing of its chunks.
pub const RECLAIM_GRACE: Duration = Duration::from_secs(25 * 3600);
/// Age at which a chunk that no version names may be taken for an orphan.
pub const ORPHAN_AGE: Duration = Duration::from_secs(48 * 3600);
/// Time for which the outcome of an operation id is remembered.
pub const OUTCOME_TTL: Duration = Duration::from_secs(15 * 60);
/// Time for which a completed upload answers a repeated Complete.
pub const COMPLETED_UPLOAD_TTL: Duration = Duration::from_secs(7 * 24 * 3600);

/// Validity of a cluster's certificate authority: longer than anything it signs, and than the hardware.
pub const RPC_CA_VALIDITY: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Validity of a node's certificate: a stolen key is worth nothing after it, and a month of failed
/// renewals is seen in time.
pub const RPC_NODE_VALIDITY: Duration = Duration::from_secs(90 * 24 * 3600);
/// How long before it is issued a certificate begins, for nodes whose clock is behind.
pub const RPC_CLOCK_BACKDATE: Duration = Duration::from_secs(3600);
/// How long after its end a certificate is still taken, for a clock of ours that is ahead.
pub const RPC_CLOCK_TOLERANCE: Duration = Duration::from_secs(5 * 60);
/// Bytes of the header of a call or an answer, the method's own record in it. Longer things are bodies.
pub const RPC_HEADER_BYTES_MAX: usize = 128 * 1024;
/// Bytes of the longest HTTP/2 frame between nodes: a cell with its checksums and header is one frame.
pub const RPC_FRAME_BYTES: u32 = 512 * 1024;
/// Bytes of a body that is sent in the same frame as its header, at the price of a copy.
pub const RPC_JOINED_BYTES: usize = 8 * 1024;
/// Bytes from which a body goes over a connection for bodies, so that small calls do not wait behind it.
pub const RPC_BULK_BYTES: usize = 32 * 1024;
/// Bytes of the buffers that TLS and framing hold for one connection.
pub const RPC_TLS_BUFFER_BYTES: usize = 192 * 1024;
/// Bytes of a message of joining: certificates and a description of a node are a few thousand.
pub const RPC_JOIN_BYTES_MAX: usize = 64 * 1024;
/// Time between checks of the certificates of open connections; a changed bundle is looked at at once.
pub const RPC_TRUST_CHECK: Duration = Duration::from_secs(60);

const _: () = assert!(CELL_BYTES + 64 * 1024 <= RPC_FRAME_BYTES as usize);
const _: () = assert!(VALUE_BYTES_MAX < RPC_HEADER_BYTES_MAX);
const _: () = assert!(WRITE_DEADLINE.as_secs() * 2 <= ORPHAN_AGE.as_secs());
const _: () = assert!(RECLAIM_GRACE.as_secs() > READ_DEADLINE.as_secs());
const _: () = assert!(INLINE_BYTES_DEFAULT <= INLINE_BYTES_CAP);
const _: () = assert!(INLINE_BYTES_CAP + 1024 <= VALUE_BYTES_MAX);
const _: () = assert!(SMALL_BYTES_DEFAULT <= SMALL_BYTES_CAP);
const _: () = assert!(CELL_BYTES.is_multiple_of(BLOCK_BYTES));
const _: () = assert!(2 * OBJECT_KEY_BYTES_MAX + 64 <= KEY_BYTES_MAX);
