//! Which bucket and region a Host header names.
//!
//! With the domain `example.com` and the region `pek3`:
//!
//! ```text
//! example.com                      path style
//! pek3.example.com                 path style, region pek3
//! my.bucket.example.com            bucket my.bucket
//! my.bucket.pek3.example.com       bucket my.bucket, region pek3
//! anything else, and every IP      path style
//! ```
//!
//! So a bucket called like a region, or ending in `.` and a region, is reached by path style only.

use s3s::S3Result;
use s3s::host::{S3Host, VirtualHost};
use std::sync::Arc;

/// Parses Host headers against the configured domains and regions. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Hosts {
    /// Lower case, longest first, so that of two overlapping domains the closer one counts.
    domains: Arc<[String]>,
    regions: Arc<[String]>,
}

/// A domain that cannot be one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{domain}` is not a domain name: give it like `example.com`, without scheme or port")]
pub struct InvalidDomain {
    /// The domain as configured.
    pub domain: String,
}

/// What a Host header names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostTarget {
    /// The bucket of virtual-host style; `None` means that the path begins with the bucket.
    pub bucket: Option<String>,
    /// The region, where the host names one.
    pub region: Option<String>,
}

impl Hosts {
    /// Hosts under `domains`, in `regions`.
    ///
    /// # Errors
    /// A domain is empty or has characters that no host name has.
    pub fn new(domains: &[String], regions: &[String]) -> Result<Self, InvalidDomain> {
        let mut own = Vec::new();
        for domain in domains {
            let lower = domain.to_ascii_lowercase();
            if !is_domain(&lower) {
                return Err(InvalidDomain {
                    domain: domain.clone(),
                });
            }
            own.push(lower);
        }
        own.sort_by_key(|domain| std::cmp::Reverse(domain.len()));
        Ok(Self {
            domains: own.into(),
            regions: regions.into(),
        })
    }

    /// What `host`, the value of a Host header, names.
    #[must_use]
    pub fn target(&self, host: &str) -> HostTarget {
        let name = without_port(host).to_ascii_lowercase();
        self.domains
            .iter()
            .find_map(|domain| self.below(&name, domain))
            .unwrap_or_default()
    }

    fn below(&self, name: &str, domain: &str) -> Option<HostTarget> {
        let prefix = name.strip_suffix(domain)?;
        if prefix.is_empty() {
            return Some(HostTarget::default());
        }
        let prefix = prefix.strip_suffix('.')?;
        for region in self.regions.iter() {
            let Some(bucket) = prefix.strip_suffix(region.as_str()) else {
                continue;
            };
            let region = Some(region.clone());
            if bucket.is_empty() {
                return Some(HostTarget {
                    bucket: None,
                    region,
                });
            }
            if let Some(bucket) = bucket.strip_suffix('.') {
                return Some(HostTarget {
                    bucket: Some(bucket.to_owned()),
                    region,
                });
            }
        }
        Some(HostTarget {
            bucket: Some(prefix.to_owned()),
            region: None,
        })
    }
}

impl S3Host for Hosts {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let target = self.target(host);
        let mut parsed = VirtualHost::new(host);
        if let Some(bucket) = target.bucket {
            parsed = parsed.with_bucket(bucket);
        }
        if let Some(region) = target.region {
            parsed = parsed.with_region(region);
        }
        Ok(parsed)
    }
}

/// Cuts `:port` off. An IPv6 address in brackets keeps its brackets, and names no bucket.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn is_domain(domain: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    domain.split('.').all(label) && domain.parse::<std::net::IpAddr>().is_err()
}

#[cfg(test)]
mod tests;
