//! Configuration: one TOML file, of which each value is also a `CAIRN_...` variable and a flag.
//!
//! A flag wins over a variable, a variable over the file, the file over the default. [`Source`] is
//! what was given; [`Config`] is what is in force, checked.

mod memory;
mod settings;
mod units;
mod validate;

pub use memory::MemoryPlan;
pub use settings::{LogFormat, Source, UserSetting};
#[cfg(test)]
use units::Size;
pub use units::Span;
pub use validate::{Config, NodeConfig, parse_address};

/// What is wrong with a configuration, and where.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {path}: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// The file is not TOML, has an unknown name, or a value of the wrong kind.
    #[error("{path}: {reason}")]
    Malformed {
        /// The file.
        path: String,
        /// The line, what stands there, and what was expected.
        reason: String,
    },
    /// A value is not allowed.
    #[error("{place}: `{name}`: {reason}")]
    BadValue {
        /// File and line, or the flag or variable.
        place: String,
        /// The setting.
        name: &'static str,
        /// What is wrong and what to do.
        reason: String,
    },
}

#[cfg(test)]
mod tests;
