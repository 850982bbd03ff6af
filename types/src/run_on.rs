//! Who runs the work that a component does by itself.

/// What a component's own work runs on: the commits of a partition, the writes to a disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RunOn {
    /// Threads of its own, so that nothing else waits when the work waits for a device.
    #[default]
    Threads,
    /// Tasks of the runtime at hand. For simulations: on a runtime of one thread, with engines and devices in
    /// memory, everything then happens in an order that follows from the runtime alone.
    Tasks,
}
