//! Commits whose outcome must become known, for no longer than is configured.

use crate::context::Context;
pub(crate) use index::until_known::{Failed, MayBeStore};
use types::OpId;

/// [`index::until_known::until_known`] with the gateway's clock and deadline.
pub(crate) async fn until_known<T, E, F>(
    context: &Context,
    op_id: &mut OpId,
    attempt: impl FnMut(OpId) -> F,
) -> Result<T, Failed<E>>
where
    E: MayBeStore,
    F: Future<Output = Result<T, E>>,
{
    let limits = (context.clock.as_ref(), context.config.commit_deadline);
    index::until_known::until_known(limits, op_id, attempt).await
}
