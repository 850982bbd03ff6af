//! Commits whose outcome must become known, as a gateway makes them.

use crate::machine::Machine;
pub(crate) use index::until_known::{Failed, MayBeStore};
use std::time::Duration;
use types::OpId;

/// Time for which a gateway tries to find out.
const COMMIT_DEADLINE: Duration = Duration::from_secs(10);

/// [`index::until_known::until_known`] with the machine's clock.
pub(crate) async fn until_known<T, E, F>(
    machine: &Machine,
    op_id: &mut OpId,
    attempt: impl FnMut(OpId) -> F,
) -> Result<T, Failed<E>>
where
    E: MayBeStore,
    F: Future<Output = Result<T, E>>,
{
    let limits = (machine.clock.as_ref() as _, COMMIT_DEADLINE);
    index::until_known::until_known(limits, op_id, attempt).await
}
