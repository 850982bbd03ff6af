//! What happened, one line each, and what should not have.

use crate::time::SimClock;
use parking_lot::Mutex;
use std::fmt::{self, Write};
use types::Clock;

/// The log of one run.
#[derive(Debug)]
pub(crate) struct Log {
    clock: SimClock,
    is_shown: bool,
    lines: Mutex<String>,
    violations: Mutex<Vec<String>>,
}

impl Log {
    /// A log whose lines are also printed as they come, if that is wanted.
    pub fn new(is_shown: bool) -> Self {
        Self {
            clock: SimClock::new(),
            is_shown,
            lines: Mutex::default(),
            violations: Mutex::default(),
        }
    }

    /// Adds a line, which begins with the seconds since the start.
    pub fn line(&self, text: fmt::Arguments<'_>) {
        let seconds = self.clock.monotonic().as_secs_f64();
        if self.is_shown {
            println!("{seconds:.3} {text}");
        }
        writeln!(self.lines.lock(), "{seconds:.3} {text}")
            .expect("a string takes all that is written");
    }

    /// Adds a line about something that must never happen.
    pub fn violation(&self, text: fmt::Arguments<'_>) {
        self.line(format_args!("VIOLATION {text}"));
        self.violations.lock().push(text.to_string());
    }

    pub fn take(&self) -> (String, Vec<String>) {
        let lines = std::mem::take(&mut *self.lines.lock());
        (lines, std::mem::take(&mut *self.violations.lock()))
    }
}
