//! Log lines and metrics.

use crate::config::Config;
use anyhow::{Context, Result};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Buckets, in seconds, of every duration histogram.
const SECONDS: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];

/// Starts logging to standard error as configured, and collecting metrics.
///
/// # Errors
/// When either was started before in this process.
pub fn start(config: &Config) -> Result<PrometheusHandle> {
    // s3s logs every refused request as an error; the request span tells of them at its own level.
    let filter = EnvFilter::try_new(format!("{},s3s=off", config.log))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let started = match config.log_format {
        crate::config::LogFormat::Text => lines.try_init(),
        crate::config::LogFormat::Json => lines.json().try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("logging is already started: {error}"))?;
    PrometheusBuilder::new()
        .set_buckets(&SECONDS)?
        .install_recorder()
        .context("cannot collect metrics")
}
