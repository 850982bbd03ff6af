//! Log lines and metrics.

use crate::config::Config;
use anyhow::{Context, Result};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::io::IsTerminal;
use std::time::Duration;
use tokio::task::JoinHandle;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

/// How often what was observed is folded into the histograms. Until then each observation is kept by itself.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

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
    let filter: Targets = config.log.parse()?;
    let lines = fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match config.log_format {
        crate::config::LogFormat::Text => lines.boxed(),
        crate::config::LogFormat::Json => lines.json().boxed(),
    };
    tracing_subscriber::registry()
        .with(lines)
        .with(filter.with_target("s3s", LevelFilter::OFF))
        .try_init()
        .map_err(|error| anyhow::anyhow!("logging is already started: {error}"))?;
    PrometheusBuilder::new()
        .set_buckets(&SECONDS)?
        .install_recorder()
        .context("cannot collect metrics")
}

/// Keeps the histograms small for as long as the process runs, whether or not anyone reads them.
pub fn keep_up(metrics: PrometheusHandle) -> JoinHandle<()> {
    let mut ticks = tokio::time::interval(UPKEEP_INTERVAL);
    tokio::spawn(async move {
        loop {
            ticks.tick().await;
            metrics.run_upkeep();
        }
    })
}
