//! What the operations are told by the configuration. Listen addresses and domains belong to
//! [`crate::http`].

use std::time::Duration;
use types::limits;

/// Limits and times of the S3 operations.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// Name of the region, as clients see it in GetBucketLocation and x-amz-bucket-region.
    pub region: String,
    /// Further names of the region that CreateBucket accepts as its LocationConstraint.
    pub region_aliases: Vec<String>,
    /// Bytes that the bodies of all requests together may take in memory.
    pub memory_limit_bytes: u64,
    /// Longest time that a request waits for its share of that memory before it is refused.
    pub admission_wait: Duration,
    /// Largest object kept in the index itself, in bytes.
    pub inline_bytes: usize,
    /// Least size of every part but the last, in bytes.
    pub part_bytes_min: u64,
    /// How long a commit whose outcome is not known is retried.
    pub commit_deadline: Duration,
    /// Time after which a completion of an upload is answered with 200, and its connection kept
    /// alive with white space until its outcome follows in the body.
    pub keep_alive_after: Duration,
    /// Time after which a GET is aborted, so that what it reads may be reclaimed afterwards.
    pub read_deadline: Duration,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            region: "us-east-1".to_owned(),
            region_aliases: Vec::new(),
            memory_limit_bytes: 512 * 1024 * 1024,
            admission_wait: Duration::from_secs(2),
            inline_bytes: limits::INLINE_BYTES_DEFAULT,
            part_bytes_min: limits::PART_BYTES_MIN,
            commit_deadline: Duration::from_secs(20),
            keep_alive_after: Duration::from_secs(10),
            read_deadline: limits::READ_DEADLINE,
        }
    }
}

/// Why a configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// There is no region.
    #[error("region: a name is needed, for instance us-east-1")]
    NoRegion,
    /// Inline objects would not fit an index value.
    #[error("inline_bytes: {given} is more than an index value holds; at most {max}")]
    InlineTooLarge {
        /// The configured size.
        given: usize,
        /// The largest size possible.
        max: usize,
    },
    /// Large uploads and downloads would never be admitted.
    #[error("memory_limit: {given} bytes for bodies do not suffice; at least {min}")]
    MemoryTooSmall {
        /// The configured limit.
        given: u64,
        /// The smallest limit that works.
        min: u64,
    },
    /// A GET could read what has been reclaimed already.
    #[error("read_deadline: {given:?} is more than the {max:?} that deleted data is kept")]
    ReadDeadlineTooLong {
        /// The configured deadline.
        given: Duration,
        /// The longest deadline possible.
        max: Duration,
    },
}

impl GatewayConfig {
    /// Checks what the types do not say.
    ///
    /// # Errors
    /// The first value that cannot work.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.region.is_empty() {
            return Err(ConfigError::NoRegion);
        }
        if self.inline_bytes > limits::INLINE_BYTES_CAP {
            let (given, max) = (self.inline_bytes, limits::INLINE_BYTES_CAP);
            return Err(ConfigError::InlineTooLarge { given, max });
        }
        let min = crate::admission::BUDGET_BYTES_MIN;
        if self.memory_limit_bytes < min {
            return Err(ConfigError::MemoryTooSmall {
                given: self.memory_limit_bytes,
                min,
            });
        }
        if self.read_deadline > limits::READ_DEADLINE {
            let (given, max) = (self.read_deadline, limits::READ_DEADLINE);
            return Err(ConfigError::ReadDeadlineTooLong { given, max });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
