//! ListBuckets.

use crate::api::{BucketPage, ListBuckets};
use crate::context::Context;
use crate::key::Key;
use crate::ops::bucket::{by_name, owned_key};
use crate::ops::draft::{decode_key, records};
use crate::store::StoreError;

/// Names read at a time.
const NAMES_PER_PAGE: usize = 1000;

pub(crate) async fn list(ctx: &Context, list: ListBuckets<'_>) -> Result<BucketPage, StoreError> {
    let mut result = BucketPage::default();
    if list.max == 0 {
        return Ok(result);
    }
    let mut range = Key::owned_buckets_range(list.owner, list.prefix);
    if !list.after.is_empty() {
        range = range.after(&owned_key(list.owner, list.after).encode());
    }
    while range.start < range.end {
        let limit = NAMES_PER_PAGE.min(list.max.saturating_add(1));
        let page = ctx.control().scan(range.clone().page(limit, None)).await?;
        let more = page.more;
        for (key, _) in records::<bool>(page)? {
            range = range.after(&key);
            let Key::OwnedBucket { name, .. } = decode_key(&key)? else {
                continue;
            };
            // A name that is being created or deleted has no bucket yet, or no more.
            let Some(bucket) = by_name(ctx, &name).await? else {
                continue;
            };
            if result.buckets.len() == list.max {
                result.next = result.buckets.last().map(|bucket| bucket.name.clone());
                return Ok(result);
            }
            result.buckets.push(bucket);
        }
        if !more {
            break;
        }
    }
    Ok(result)
}
