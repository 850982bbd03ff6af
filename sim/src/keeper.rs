//! The cluster map: marked by what machines report of disks, and followed by each machine after a while.

use crate::dice::Dice;
use crate::log::Log;
use chunkstore::testing::{ClusterShape, first_view, with_disk_state};
use chunkstore::{Finding, HealthSink};
use parking_lot::Mutex;
use scheduler::DirtyGroups;
use std::sync::Arc;
use tokio::sync::watch;
use types::{ClusterView, DiskId, DiskState};

type View = Arc<ClusterView>;

/// See the module.
#[derive(Debug)]
pub(crate) struct Keeper {
    dice: Dice,
    log: Arc<Log>,
    dirty: Arc<DirtyGroups>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    view: View,
    followers: Vec<watch::Sender<View>>,
}

impl Keeper {
    pub fn new(shape: &ClusterShape, ids: &[DiskId], dice: Dice, log: Arc<Log>) -> Self {
        Self {
            dice,
            log,
            dirty: Arc::default(),
            state: Mutex::new(State {
                view: Arc::new(first_view(shape, ids)),
                followers: Vec::new(),
            }),
        }
    }

    /// What was found wanting.
    pub fn dirty(&self) -> &Arc<DirtyGroups> {
        &self.dirty
    }

    pub fn view(&self) -> View {
        Arc::clone(&self.state.lock().view)
    }

    /// The view as one machine comes to know it.
    pub fn follow(&self) -> watch::Receiver<View> {
        let mut state = self.state.lock();
        let (sender, receiver) = watch::channel(Arc::clone(&state.view));
        state.followers.retain(|follower| !follower.is_closed());
        state.followers.push(sender);
        receiver
    }

    /// Marks a disk.
    pub fn mark(&self, disk: DiskId, state: DiskState) {
        let mut own = self.state.lock();
        if own.view.map.state(disk) == state {
            return;
        }
        self.log.line(format_args!("map: disk {disk} is {state:?}"));
        own.view = Arc::new(with_disk_state(&own.view, disk, state));
        for follower in own.followers.clone() {
            let view = Arc::clone(&own.view);
            let after = self.dice.millis(0, 300);
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                // Nobody is woken: tokio wakes those who wait for a change in an order that it draws by
                // itself. They look again when something else happens.
                follower.send_if_modified(|current| {
                    if view.map.epoch > current.map.epoch {
                        *current = view;
                    }
                    false
                });
            });
        }
    }
}

fn severity(state: DiskState) -> u8 {
    match state {
        DiskState::Up => 0,
        DiskState::ReadOnly => 1,
        _ => 2,
    }
}

impl HealthSink for Keeper {
    fn disk_failed(&self, disk: DiskId, state: DiskState, _reason: &str) {
        if severity(state) > severity(self.view().map.state(disk)) {
            self.mark(disk, state);
        }
    }

    fn unreachable(&self, disk: DiskId, reason: &str) {
        self.disk_failed(disk, DiskState::Down, reason);
    }

    fn finding(&self, finding: Finding) {
        self.dirty.add_shard(finding.shard);
    }
}
