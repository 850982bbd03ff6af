//! The way of a call, and the death of a machine.

use crate::dice::Dice;
use tokio_util::sync::CancellationToken;

/// Whether a machine is alive. Of a dead one nothing happens any more: its calls never return.
#[derive(Debug, Clone, Default)]
pub(crate) struct Alive(CancellationToken);

impl Alive {
    pub fn kill(&self) {
        self.0.cancel();
    }

    pub fn is_dead(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Returns when the machine dies.
    pub async fn dead(&self) {
        self.0.cancelled().await;
    }
}

/// Takes as long as a message, and for ever when its sender has died meanwhile.
pub(crate) async fn travel(alive: &Alive, dice: &Dice, is_slow: bool) {
    let most_ms = match dice.below(100) {
        _ if is_slow => 600,
        0..40 => 0,
        40..95 => 4,
        _ => 40,
    };
    if most_ms == 0 {
        tokio::task::yield_now().await;
    } else {
        tokio::time::sleep(dice.millis(0, most_ms)).await;
    }
    if alive.is_dead() {
        std::future::pending::<()>().await;
    }
}
