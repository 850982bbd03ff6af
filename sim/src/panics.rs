//! Panics of tasks that nobody waits for, which the runtime would keep to itself.

use std::cell::RefCell;
use std::sync::Once;

thread_local! {
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Notes panics of all threads from now on, each for its own thread.
pub(crate) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let shown = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.with_borrow_mut(|panics| panics.push(panic.to_string()));
            shown(panic);
        }));
    });
}

/// The panics of this thread since the last call.
pub(crate) fn take() -> Vec<String> {
    PANICS.take()
}
