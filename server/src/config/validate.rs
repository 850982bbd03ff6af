//! From settings to the configuration in force: defaults filled in, values checked against each other.

use super::settings::{LogFormat, Settings, Source, UserSetting};
use super::units::{Size, Span};
use super::{ConfigError, MemoryPlan};
use gateway::cache::{CacheConfig, DISK_BYTES_MIN, DiskCacheConfig};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use types::limits;

/// The default of `memory_limit`, in bytes.
const MEMORY_LIMIT: u64 = 1 << 30;
/// The default of `log`. openraft tells of every step, and of every attempt to reach a node that is gone.
const LOG: &str = "info,openraft=off";
/// Shorter deadlines would refuse every request.
const DEADLINE_MIN: Duration = Duration::from_millis(100);

/// The root user's key pair, where it was configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootCredentials {
    /// Access key.
    pub access_key: String,
    /// Secret key.
    pub secret_key: String,
}

/// A server as a node of a region of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeConfig {
    /// Directory of the node.
    pub dir: PathBuf,
    /// Address for calls of other nodes.
    pub rpc_listen: SocketAddr,
    /// Where other nodes reach it, `host:port`; `None` where that was not said and cannot be told.
    pub rpc_advertise: Option<String>,
    /// Address for nodes that join.
    pub join_listen: SocketAddr,
}

/// The configuration in force.
#[derive(Debug, Clone)]
pub struct Config {
    /// Directories of the disks; at least one on a single machine.
    pub data: Vec<PathBuf>,
    /// Directory of the index.
    pub index_dir: PathBuf,
    /// What this server is in a region of several; `None` on a single machine.
    pub node: Option<NodeConfig>,
    /// Address of the S3 service.
    pub listen: SocketAddr,
    /// Address of /metrics and /health.
    pub admin_listen: SocketAddr,
    /// Name of the region.
    pub region: String,
    /// Other names of the region.
    pub region_aliases: Vec<String>,
    /// Domains for virtual-host style.
    pub domains: Vec<String>,
    /// The root user's keys; `None` lets the server generate them.
    pub root: Option<RootCredentials>,
    /// Further users.
    pub users: Vec<UserSetting>,
    /// Who has which part of `memory_limit`.
    pub memory: MemoryPlan,
    /// The cache of what is read again and again, if there is one.
    pub cache: Option<CacheConfig>,
    /// Largest inline object in bytes.
    pub inline_limit: usize,
    /// Largest small object in bytes.
    pub small_limit: usize,
    /// Bytes of a full volume.
    pub volume_size: u64,
    /// Bytes left free on each device; `None` takes a share of the device.
    pub disk_reserve: Option<u64>,
    /// See `types::limits::WRITE_DEADLINE`.
    pub write_deadline: Duration,
    /// See `types::limits::READ_DEADLINE`.
    pub read_deadline: Duration,
    /// See `types::limits::RECLAIM_GRACE`.
    pub reclaim_grace: Duration,
    /// Age at which an open upload is aborted; `None` for never.
    pub upload_expiry: Option<Duration>,
    /// Time between two rounds of a background task.
    pub task_interval: Duration,
    /// Bytes a second for background tasks.
    pub task_rate: u64,
    /// Time for requests in flight at a stop.
    pub drain_timeout: Duration,
    /// Log filter.
    pub log: String,
    /// Log format.
    pub log_format: LogFormat,
}

/// Turns a bad value of setting `name` into an error that says where it stands.
struct Place<'a> {
    source: &'a Source,
    text: String,
}

impl Place<'_> {
    fn error(&self, name: &'static str, reason: impl Into<String>) -> ConfigError {
        let flag = format!("--{}", name.replace('_', "-"));
        let starts = |line: &str| {
            line.trim_start()
                .strip_prefix(name)
                .is_some_and(|rest| rest.trim_start().starts_with('='))
                || line.trim() == format!("[[{name}]]")
        };
        let place = match (&self.source.config, self.text.lines().position(starts)) {
            (Some(path), Some(line)) => format!("{}:{}", path.display(), line + 1),
            _ => format!("{flag} or CAIRN_{}", name.to_uppercase()),
        };
        ConfigError::BadValue {
            place,
            name,
            reason: reason.into(),
        }
    }
}

impl Config {
    /// Reads, merges and checks; touches nothing but the configuration file.
    ///
    /// # Errors
    /// [`ConfigError`] naming the line, flag or variable.
    pub fn load(source: &Source) -> Result<Self, ConfigError> {
        let (settings, text) = source.load()?;
        let place = Place { source, text };
        let data = data_dirs(&settings, &place)?;
        let node = node(&settings, &place)?;
        let home = node.as_ref().map_or_else(|| &data[0], |node| &node.dir);
        let index_dir = settings
            .index_dir
            .clone()
            .unwrap_or_else(|| home.join("index"));
        let listen = settings
            .listen
            .unwrap_or(SocketAddr::from(([127, 0, 0, 1], 9000)));
        let admin_listen = settings
            .admin_listen
            .unwrap_or(SocketAddr::from(([127, 0, 0, 1], 9001)));
        if listen == admin_listen && listen.port() != 0 {
            return Err(place.error("admin_listen", "is the address of the S3 service too"));
        }
        let size = |given: Option<Size>, default: u64| given.map_or(default, |size| size.0);
        let span = |given: Option<Span>, default: Duration| given.map_or(default, |span| span.0);
        let memory = memory(&settings, &place)?;
        let config = Self {
            data,
            index_dir,
            node,
            listen,
            admin_listen,
            region: settings
                .region
                .clone()
                .unwrap_or_else(|| "us-east-1".to_owned()),
            region_aliases: settings.region_aliases.clone().unwrap_or_default(),
            domains: settings.domains.clone().unwrap_or_default(),
            root: root(&settings, &place)?,
            users: settings.users.clone().unwrap_or_default(),
            memory,
            cache: cache(&settings, &place, memory.cache)?,
            inline_limit: size(settings.inline_limit, limits::INLINE_BYTES_DEFAULT as u64) as usize,
            small_limit: size(settings.small_limit, limits::SMALL_BYTES_DEFAULT as u64) as usize,
            volume_size: size(settings.volume_size, 1 << 30),
            disk_reserve: settings.disk_reserve.map(|size| size.0),
            write_deadline: span(settings.write_deadline, limits::WRITE_DEADLINE),
            read_deadline: span(settings.read_deadline, limits::READ_DEADLINE),
            reclaim_grace: span(settings.reclaim_grace, limits::RECLAIM_GRACE),
            upload_expiry: settings.upload_expiry.map(|span| span.0),
            task_interval: span(settings.task_interval, Duration::from_secs(60)),
            task_rate: size(settings.task_rate, 128 << 20),
            drain_timeout: span(settings.drain_timeout, Duration::from_secs(30)),
            log: settings.log.clone().unwrap_or_else(|| LOG.to_owned()),
            log_format: settings.log_format.unwrap_or_default(),
        };
        config.check(&place)?;
        Ok(config)
    }

    fn check(&self, place: &Place<'_>) -> Result<(), ConfigError> {
        let name_ok = |name: &String| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        if !name_ok(&self.region) {
            return Err(place.error("region", "a region is letters, digits and `-`"));
        }
        if !self.region_aliases.iter().all(name_ok) {
            return Err(place.error("region_aliases", "a region is letters, digits and `-`"));
        }
        if self.inline_limit > limits::INLINE_BYTES_CAP {
            let cap = Size(limits::INLINE_BYTES_CAP as u64);
            return Err(place.error("inline_limit", format!("at most {cap}")));
        }
        if self.small_limit > limits::SMALL_BYTES_CAP || self.small_limit < self.inline_limit {
            let cap = Size(limits::SMALL_BYTES_CAP as u64);
            return Err(place.error("small_limit", format!("between `inline_limit` and {cap}")));
        }
        if !(4 << 20..=4 << 30).contains(&self.volume_size) {
            return Err(place.error("volume_size", "between 4MiB and 4GiB"));
        }
        if self.task_rate == 0 {
            return Err(place.error("task_rate", "must not be 0"));
        }
        if self.task_interval < Duration::from_millis(10) {
            return Err(place.error("task_interval", "at least 10ms"));
        }
        if self.read_deadline > limits::READ_DEADLINE {
            let longest = Span(limits::READ_DEADLINE);
            return Err(place.error("read_deadline", format!("at most {longest}")));
        }
        if self.reclaim_grace <= self.read_deadline {
            let reason = "must be longer than `read_deadline`, or a running GET loses its data";
            return Err(place.error("reclaim_grace", reason));
        }
        if let Err(error) = self.log.parse::<tracing_subscriber::filter::Targets>() {
            return Err(place.error("log", error.to_string()));
        }
        if self.write_deadline < DEADLINE_MIN {
            return Err(place.error("write_deadline", format!("at least {}", Span(DEADLINE_MIN))));
        }
        if self.read_deadline < DEADLINE_MIN {
            return Err(place.error("read_deadline", format!("at least {}", Span(DEADLINE_MIN))));
        }
        if let Err(error) = gateway::host::Hosts::new(&self.domains, &[]) {
            return Err(place.error("domains", error.to_string()));
        }
        if self.data.contains(&self.index_dir) {
            return Err(place.error(
                "index_dir",
                "is the directory of a disk; name one of its own",
            ));
        }
        self.check_users(place)
    }

    fn check_users(&self, place: &Place<'_>) -> Result<(), ConfigError> {
        check_user_lengths(&self.users, place)?;
        let root = self.root.iter().map(|root| gateway::auth::User {
            name: "root".to_owned(),
            canonical_id: "the root user's, which is not known here".to_owned(),
            access_key: root.access_key.clone(),
            secret_key: root.secret_key.clone().into(),
        });
        let users = root.chain(self.users.iter().map(UserSetting::to_user));
        match gateway::auth::Users::new(users) {
            Ok(_) => Ok(()),
            Err(error) => Err(place.error("users", error.to_string())),
        }
    }
}

fn data_dirs(settings: &Settings, place: &Place<'_>) -> Result<Vec<PathBuf>, ConfigError> {
    let data = settings.data.clone().unwrap_or_default();
    let needs_one = settings.node_dir.is_none();
    if (needs_one && data.is_empty()) || data.iter().any(|dir| dir.as_os_str().is_empty()) {
        return Err(place.error(
            "data",
            "name at least one directory, for example --data ./data",
        ));
    }
    // `x/.` and `x` are one directory.
    let plain = |dir: &PathBuf| dir.components().collect::<PathBuf>();
    let distinct: BTreeSet<PathBuf> = data
        .iter()
        .map(|dir| std::path::absolute(dir).map_or_else(|_| plain(dir), |dir| plain(&dir)))
        .collect();
    if distinct.len() < data.len() {
        return Err(place.error(
            "data",
            "a directory is named twice; each disk needs its own",
        ));
    }
    Ok(data)
}

fn node(settings: &Settings, place: &Place<'_>) -> Result<Option<NodeConfig>, ConfigError> {
    let Some(dir) = settings.node_dir.clone() else {
        let given = [
            ("rpc_listen", settings.rpc_listen.is_some()),
            ("rpc_advertise", settings.rpc_advertise.is_some()),
            ("join_listen", settings.join_listen.is_some()),
        ];
        return match given.iter().find(|(_, is_given)| *is_given) {
            Some((name, _)) => Err(place.error(name, "means nothing without `node_dir`")),
            None => Ok(None),
        };
    };
    if dir.as_os_str().is_empty() {
        return Err(place.error("node_dir", "name a directory"));
    }
    let rpc_listen = settings
        .rpc_listen
        .unwrap_or(SocketAddr::from(([0, 0, 0, 0], 9002)));
    let rpc_advertise = match &settings.rpc_advertise {
        Some(address) => {
            let good = parse_address(address).map_err(|why| place.error("rpc_advertise", why))?;
            Some(good)
        }
        None if rpc_listen.ip().is_unspecified() || rpc_listen.port() == 0 => None,
        None => Some(rpc_listen.to_string()),
    };
    let next_port = match rpc_listen.port() {
        0 => 0,
        u16::MAX if settings.join_listen.is_none() => {
            return Err(place.error(
                "join_listen",
                "is needed: no port follows that of `rpc_listen`",
            ));
        }
        port => port.wrapping_add(1),
    };
    let join_listen = settings
        .join_listen
        .unwrap_or(SocketAddr::new(rpc_listen.ip(), next_port));
    if join_listen == rpc_listen && rpc_listen.port() != 0 {
        return Err(place.error(
            "join_listen",
            "is `rpc_listen` too; give it an address of its own",
        ));
    }
    Ok(Some(NodeConfig {
        dir,
        rpc_listen,
        rpc_advertise,
        join_listen,
    }))
}

/// An address that others can connect to: `host:port`, the host a name or an address of one machine.
///
/// # Errors
/// Why it is none.
pub fn parse_address(text: &str) -> Result<String, String> {
    let wrong = |why: &str| Err(format!("`{text}` {why}; write for example `10.0.0.5:9002`"));
    let Some((host, port)) = text.rsplit_once(':') else {
        return wrong("has no port");
    };
    if !port.parse::<u16>().is_ok_and(|port| port != 0) {
        return wrong("has no port from 1 to 65535");
    }
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let is_name = |host: &str| {
        !host.is_empty()
            && host.len() <= 253
            && host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
    };
    match bare.unwrap_or(host).parse::<std::net::IpAddr>() {
        Ok(ip) if ip.is_unspecified() || ip.is_multicast() => {
            wrong("is not the address of one machine, so nobody can connect to it")
        }
        Ok(ip) if ip.is_ipv6() != bare.is_some() => {
            wrong("needs brackets around an IPv6 address alone")
        }
        Ok(_) => Ok(text.to_owned()),
        Err(_) if bare.is_none() && is_name(host) => Ok(text.to_owned()),
        Err(_) => wrong("names no host"),
    }
}

fn memory(settings: &Settings, place: &Place<'_>) -> Result<MemoryPlan, ConfigError> {
    let limit = settings.memory_limit.map_or(MEMORY_LIMIT, |size| size.0);
    let index_cache = settings.index_cache.map(|size| size.0);
    let cache = settings.cache_memory.map(|size| size.0);
    let plan = MemoryPlan::new(limit, index_cache, cache);
    let plan = match settings.node_dir {
        Some(_) => plan.and_then(MemoryPlan::in_region),
        None => plan,
    };
    plan.map_err(|reason| place.error("memory_limit", reason))
}

fn cache(
    settings: &Settings,
    place: &Place<'_>,
    memory_bytes: u64,
) -> Result<Option<CacheConfig>, ConfigError> {
    let disk = match (&settings.cache_path, settings.cache_disk) {
        (None, None) => None,
        (Some(directory), Some(Size(bytes))) if bytes >= DISK_BYTES_MIN => Some(DiskCacheConfig {
            directory: directory.clone(),
            bytes,
        }),
        (None, Some(_)) => return Err(place.error("cache_path", "is missing beside cache_disk")),
        (Some(_), _) => {
            let least = Size(DISK_BYTES_MIN);
            return Err(place.error("cache_disk", format!("at least {least}, beside cache_path")));
        }
    };
    if memory_bytes == 0 && disk.is_some() {
        let reason = "a cache on disk needs some memory too: set `cache_memory`";
        return Err(place.error("cache_path", reason));
    }
    Ok((memory_bytes > 0).then_some(CacheConfig { memory_bytes, disk }))
}

fn root(settings: &Settings, place: &Place<'_>) -> Result<Option<RootCredentials>, ConfigError> {
    match (&settings.root_access_key, &settings.root_secret_key) {
        (None, None) => Ok(None),
        (Some(access_key), Some(secret_key)) => {
            if access_key.len() < 3
                || !access_key
                    .bytes()
                    .all(|b| b.is_ascii_graphic() && b != b'/')
            {
                let reason = "at least 3 printable characters without `/`";
                return Err(place.error("root_access_key", reason));
            }
            if secret_key.len() < 8 {
                return Err(place.error("root_secret_key", "at least 8 characters"));
            }
            let (access_key, secret_key) = (access_key.clone(), secret_key.clone());
            Ok(Some(RootCredentials {
                access_key,
                secret_key,
            }))
        }
        (Some(_), None) => Err(place.error("root_secret_key", "is missing beside root_access_key")),
        (None, Some(_)) => Err(place.error("root_access_key", "is missing beside root_secret_key")),
    }
}

/// What the gateway does not ask of a user: lengths. `Users::new` finds the rest.
fn check_user_lengths(users: &[UserSetting], place: &Place<'_>) -> Result<(), ConfigError> {
    for user in users {
        let UserSetting {
            name,
            canonical_id,
            access_key,
            secret_key,
        } = user;
        if name.is_empty()
            || canonical_id.is_empty()
            || access_key.len() < 3
            || secret_key.len() < 8
        {
            let reason = format!(
                "user `{name}` needs a name, a canonical id, an access key of at least 3 and a secret of at least 8 characters"
            );
            return Err(place.error("users", reason));
        }
    }
    Ok(())
}
