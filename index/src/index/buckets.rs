//! What the index does with buckets.

use super::Index;
use crate::api::{Bucket, BucketPage, ListBuckets};
use crate::error::{CreateBucketError, DeleteBucketError, UpdateBucketError};
use crate::key::bucket::Versioning;
use crate::store::StoreError;
use crate::{list, ops};
use std::collections::BTreeMap;
use types::{BucketId, PartitionId};

impl Index {
    /// Creates a bucket, private and without versioning. A creation that was interrupted is finished by
    /// the next call with the same name.
    ///
    /// # Errors
    /// [`CreateBucketError`].
    pub async fn create_bucket(
        &self,
        name: &str,
        owner: &str,
    ) -> Result<Bucket, CreateBucketError> {
        self.create_bucket_with_tags(name, owner, &BTreeMap::new())
            .await
    }

    /// Creates a bucket as [`Index::create_bucket`] does, which has these tags from its first moment on. (One that was
    /// interrupted, of which nobody was told that it is there, and that an attempt of another account meets, is
    /// finished without tags.)
    ///
    /// # Errors
    /// [`CreateBucketError`].
    pub async fn create_bucket_with_tags(
        &self,
        name: &str,
        owner: &str,
        tags: &BTreeMap<String, String>,
    ) -> Result<Bucket, CreateBucketError> {
        ops::bucket::create(&self.ctx, name, owner, tags).await
    }

    /// Deletes an empty bucket; its open uploads are aborted. A deletion that was interrupted is finished,
    /// or undone, by the next call that meets it.
    ///
    /// # Errors
    /// [`DeleteBucketError`].
    pub async fn delete_bucket(&self, name: &str) -> Result<(), DeleteBucketError> {
        ops::bucket::delete(&self.ctx, name).await
    }

    /// The bucket of this name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn bucket(&self, name: &str) -> Result<Option<Bucket>, StoreError> {
        ops::bucket::by_name(&self.ctx, name).await
    }

    /// The bucket with this id in `partition`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn bucket_by_id(
        &self,
        partition: PartitionId,
        id: BucketId,
    ) -> Result<Option<Bucket>, StoreError> {
        ops::bucket::by_id(&self.ctx, partition, id).await
    }

    /// The buckets of an account, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_buckets(&self, owner: &str) -> Result<Vec<Bucket>, StoreError> {
        let all = ListBuckets {
            owner,
            prefix: "",
            after: "",
            max: usize::MAX,
        };
        Ok(list::buckets::list(&self.ctx, all).await?.buckets)
    }

    /// A page of an account's buckets, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_buckets_page(&self, list: ListBuckets<'_>) -> Result<BucketPage, StoreError> {
        list::buckets::list(&self.ctx, list).await
    }

    /// Enables or suspends versioning.
    ///
    /// # Errors
    /// [`UpdateBucketError`].
    pub async fn set_versioning(
        &self,
        bucket: &Bucket,
        versioning: Versioning,
    ) -> Result<Bucket, UpdateBucketError> {
        ops::bucket::set_versioning(&self.ctx, bucket, versioning).await
    }

    /// The tags of a bucket; empty when it has none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn bucket_tags(
        &self,
        bucket: &Bucket,
    ) -> Result<BTreeMap<String, String>, StoreError> {
        ops::bucket_config::tags(&self.ctx, bucket).await
    }

    /// Replaces the tags of a bucket; an empty map removes them. Doing it twice is harmless.
    ///
    /// # Errors
    /// [`UpdateBucketError`], never `CannotRemoveVersioning`.
    pub async fn set_bucket_tags(
        &self,
        bucket: &Bucket,
        tags: BTreeMap<String, String>,
    ) -> Result<(), UpdateBucketError> {
        ops::bucket_config::set_tags(&self.ctx, bucket, tags).await
    }
}
