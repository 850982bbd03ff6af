//! What every operation is given.

use crate::admission::MemoryBudget;
use crate::auth::{Identity, Users};
use crate::cache::HotCache;
use crate::config::GatewayConfig;
use crate::digest::Md5Pool;
use crate::error::{self, ApiError};
use crate::policy;
use chunkstore::ChunkStore;
use index::{Bucket, Index};
use s3s::S3Request;
use std::sync::Arc;
use types::Clock;

/// The services that operations are made of. Shared by all of them.
#[derive(Clone)]
pub struct Context {
    /// Names, versions and manifests.
    pub index: Index,
    /// Object bytes.
    pub chunks: ChunkStore,
    /// What is read again and again of them, if that is kept.
    pub cache: Option<HotCache>,
    /// Who may sign.
    pub users: Users,
    /// Limits and times.
    pub config: GatewayConfig,
    /// Memory that request bodies may take.
    pub budget: MemoryBudget,
    /// Hashes large bodies.
    pub md5_pool: Md5Pool,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// A bucket, and the signer who has been found to own it.
pub(crate) struct Owned {
    pub(crate) bucket: Bucket,
    pub(crate) signer: Identity,
}

impl Context {
    /// Who signed the request.
    pub(crate) fn signer<T>(&self, request: &S3Request<T>) -> Result<Identity, ApiError> {
        Ok(self.users.signer(request.credentials.as_ref())?.clone())
    }

    /// The bucket `name`, which the signer must own; `expected_owner` is
    /// x-amz-expected-bucket-owner.
    pub(crate) async fn owned<T>(
        &self,
        request: &S3Request<T>,
        name: &str,
        expected_owner: Option<&str>,
    ) -> Result<Owned, ApiError> {
        let signer = self.signer(request)?;
        let bucket = self
            .index
            .bucket(name)
            .await?
            .ok_or_else(|| error::no_such_bucket().with_detail("BucketName", name))?;
        policy::check_owner(&signer, &bucket.owner, expected_owner)?;
        Ok(Owned { bucket, signer })
    }
}
