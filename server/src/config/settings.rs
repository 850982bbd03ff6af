//! What can be set. Each field is a line of the TOML file, a `CAIRN_...` variable and a flag.

use super::ConfigError;
use super::units::{Size, Span};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// Where settings come from: a file, if one is named, under the flags and variables.
#[derive(Debug, Clone, Default, Args)]
pub struct Source {
    /// The TOML file.
    #[arg(long, env = "CAIRN_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Settings given by flags and variables.
    #[command(flatten)]
    pub settings: Settings,
}

/// Every setting; `None` where it was not given.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Directories of the disks, one for each device
    #[arg(
        long,
        env = "CAIRN_DATA",
        value_delimiter = ',',
        value_name = "DIR,..."
    )]
    pub data: Option<Vec<PathBuf>>,
    /// Directory of the index [default: `index` in the first data directory]
    #[arg(long, env = "CAIRN_INDEX_DIR", value_name = "DIR")]
    pub index_dir: Option<PathBuf>,
    /// Address of the S3 service [default: 127.0.0.1:9000]
    #[arg(long, env = "CAIRN_LISTEN", value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    /// Address of /metrics and /health [default: 127.0.0.1:9001]
    #[arg(long, env = "CAIRN_ADMIN_LISTEN", value_name = "ADDR:PORT")]
    pub admin_listen: Option<SocketAddr>,
    /// Directory of the node, where this server is one of a region of several; see `cairn cluster create`
    #[arg(long, env = "CAIRN_NODE_DIR", value_name = "DIR")]
    pub node_dir: Option<PathBuf>,
    /// Address for calls of other nodes [default: 0.0.0.0:9002]
    #[arg(long, env = "CAIRN_RPC_LISTEN", value_name = "ADDR:PORT")]
    pub rpc_listen: Option<SocketAddr>,
    /// Where other nodes reach it [default: `rpc_listen`, where that is an address of its own]
    #[arg(long, env = "CAIRN_RPC_ADVERTISE", value_name = "HOST:PORT")]
    pub rpc_advertise: Option<String>,
    /// Address for nodes that join, used where the cluster's authority is kept [default: `rpc_listen`, next port]
    #[arg(long, env = "CAIRN_JOIN_LISTEN", value_name = "ADDR:PORT")]
    pub join_listen: Option<SocketAddr>,
    /// Name of the region [default: us-east-1]
    #[arg(long, env = "CAIRN_REGION", value_name = "NAME")]
    pub region: Option<String>,
    /// Other names of the region that clients may sign with
    #[arg(
        long,
        env = "CAIRN_REGION_ALIASES",
        value_delimiter = ',',
        value_name = "NAME,..."
    )]
    pub region_aliases: Option<Vec<String>>,
    /// Domains under which `bucket.DOMAIN` names a bucket
    #[arg(
        long,
        env = "CAIRN_DOMAINS",
        value_delimiter = ',',
        value_name = "DOMAIN,..."
    )]
    pub domains: Option<Vec<String>>,
    /// Access key of the root user [default: generated at the first start]
    #[arg(long, env = "CAIRN_ROOT_ACCESS_KEY", value_name = "KEY")]
    pub root_access_key: Option<String>,
    /// Secret key of the root user
    #[arg(
        long,
        env = "CAIRN_ROOT_SECRET_KEY",
        value_name = "SECRET",
        hide_env_values = true
    )]
    pub root_secret_key: Option<String>,
    /// Further users
    #[arg(
        long = "user",
        env = "CAIRN_USERS",
        value_delimiter = ',',
        hide_env_values = true,
        value_name = "NAME:CANONICAL_ID:ACCESS_KEY:SECRET"
    )]
    pub users: Option<Vec<UserSetting>>,
    /// Memory of the whole process; requests past it get 503 SlowDown; at least 256MiB [default: 1GiB]
    #[arg(long, env = "CAIRN_MEMORY_LIMIT", value_name = "SIZE")]
    pub memory_limit: Option<Size>,
    /// Memory of the index's block cache, part of the limit [default: a twelfth of it]
    #[arg(long, env = "CAIRN_INDEX_CACHE", value_name = "SIZE")]
    pub index_cache: Option<Size>,
    /// Memory for what is read again and again, part of the limit; 0 for none [default: a twelfth of what the limit
    /// has above 256MiB]
    #[arg(long, env = "CAIRN_CACHE_MEMORY", value_name = "SIZE")]
    pub cache_memory: Option<Size>,
    /// Directory, on a device of its own, for more of that than fits the memory
    #[arg(long, env = "CAIRN_CACHE_PATH", value_name = "DIR")]
    pub cache_path: Option<PathBuf>,
    /// Size of that directory; at least 64MiB
    #[arg(long, env = "CAIRN_CACHE_DISK", value_name = "SIZE")]
    pub cache_disk: Option<Size>,
    /// Largest object kept in the index itself [default: 16KiB]
    #[arg(long, env = "CAIRN_INLINE_LIMIT", value_name = "SIZE")]
    pub inline_limit: Option<Size>,
    /// Largest object kept as whole copies and not in stripes [default: 128KiB]
    #[arg(long, env = "CAIRN_SMALL_LIMIT", value_name = "SIZE")]
    pub small_limit: Option<Size>,
    /// Size at which a volume file is closed and the next one begun [default: 1GiB]
    #[arg(long, env = "CAIRN_VOLUME_SIZE", value_name = "SIZE")]
    pub volume_size: Option<Size>,
    /// Room that writes leave free on each device, for deletes and compaction [default: 1 % of it, 64MiB to 4GiB]
    #[arg(long, env = "CAIRN_DISK_RESERVE", value_name = "SIZE")]
    pub disk_reserve: Option<Size>,
    /// Age of its first byte at which a write is refused [default: 24h]
    #[arg(long, env = "CAIRN_WRITE_DEADLINE", value_name = "TIME")]
    pub write_deadline: Option<Span>,
    /// Time after which a GET is aborted [default: 24h]
    #[arg(long, env = "CAIRN_READ_DEADLINE", value_name = "TIME")]
    pub read_deadline: Option<Span>,
    /// Time between a delete and the freeing of its data; longer than the read deadline [default: 25h]
    #[arg(long, env = "CAIRN_RECLAIM_GRACE", value_name = "TIME")]
    pub reclaim_grace: Option<Span>,
    /// Time after which an upload that nobody completes is aborted [default: never]
    #[arg(long, env = "CAIRN_UPLOAD_EXPIRY", value_name = "TIME")]
    pub upload_expiry: Option<Span>,
    /// Time between two rounds of each background task [default: 60s]
    #[arg(long, env = "CAIRN_TASK_INTERVAL", value_name = "TIME")]
    pub task_interval: Option<Span>,
    /// Bytes a second that repair, compaction and scrubbing may move [default: 128MiB]
    #[arg(long, env = "CAIRN_TASK_RATE", value_name = "SIZE")]
    pub task_rate: Option<Size>,
    /// Time that requests in flight are given at a stop [default: 30s]
    #[arg(long, env = "CAIRN_DRAIN_TIMEOUT", value_name = "TIME")]
    pub drain_timeout: Option<Span>,
    /// What is logged, as a filter of the `tracing` library [default: info,openraft=off]
    #[arg(long, env = "CAIRN_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// Log lines as `text` or `json` [default: text]
    #[arg(long, env = "CAIRN_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// A user of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserSetting {
    /// Display name.
    pub name: String,
    /// Canonical id, with which buckets record their owner; it must never change.
    pub canonical_id: String,
    /// Access key.
    pub access_key: String,
    /// Secret key.
    pub secret_key: String,
}

impl UserSetting {
    /// The user as the gateway knows it.
    #[must_use]
    pub fn to_user(&self) -> gateway::auth::User {
        gateway::auth::User {
            name: self.name.clone(),
            canonical_id: self.canonical_id.clone(),
            access_key: self.access_key.clone(),
            secret_key: self.secret_key.clone().into(),
        }
    }
}

impl FromStr for UserSetting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.splitn(4, ':').collect();
        let [name, canonical_id, access_key, secret_key] = parts[..] else {
            return Err("a user is NAME:CANONICAL_ID:ACCESS_KEY:SECRET".to_owned());
        };
        Ok(Self {
            name: name.to_owned(),
            canonical_id: canonical_id.to_owned(),
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
        })
    }
}

impl Source {
    /// The settings of the file, if one is named, with flags and variables laid over them; and the
    /// file's text, for messages.
    ///
    /// # Errors
    /// [`ConfigError`] when the file cannot be read or understood; the message names the line.
    pub fn load(&self) -> Result<(Settings, String), ConfigError> {
        let Some(path) = &self.config else {
            return Ok((self.settings.clone(), String::new()));
        };
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable {
            path: shown.clone(),
            reason: error.to_string(),
        })?;
        let malformed = |error: toml::de::Error| ConfigError::Malformed {
            path: shown.clone(),
            reason: error.to_string(),
        };
        let file: Settings = toml::from_str(&text).map_err(malformed)?;
        Ok((self.settings.over(&file), text))
    }
}

impl Settings {
    /// These settings, and where one was not given, that of `base`.
    #[must_use]
    fn over(&self, base: &Self) -> Self {
        let table = |settings: &Self| {
            toml::Table::try_from(settings).expect("settings are plain values with text names")
        };
        let mut merged = table(base);
        merged.extend(table(self));
        merged
            .try_into()
            .expect("settings read what settings wrote")
    }
}
