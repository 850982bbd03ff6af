//! The admin address: metrics, health, and the state of the disks. It gives no access to objects, and
//! listens on the loopback interface unless it is told otherwise.

use crate::assemble::Storage;
use crate::cluster::Cluster;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use index::Index;
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// What the admin routes show. Clones show the same.
#[derive(Clone)]
pub struct Admin {
    metrics: PrometheusHandle,
    /// The disks and the index, once they are open.
    open: Arc<OnceLock<(Arc<Cluster>, Index)>>,
    /// True from the moment that requests are served until the drain begins.
    ready: Arc<AtomicBool>,
}

impl Admin {
    /// Shows the collected metrics, and that nothing is open yet.
    pub fn new(metrics: PrometheusHandle) -> Self {
        Self {
            metrics,
            open: Arc::default(),
            ready: Arc::default(),
        }
    }

    /// Shows `storage` from now on.
    pub fn show(&self, storage: &Storage) {
        let open = (Arc::clone(&storage.cluster), storage.index.clone());
        assert!(self.open.set(open).is_ok(), "storage is opened once");
    }

    /// Says whether requests are served.
    pub fn ready(&self, is_ready: bool) {
        self.ready.store(is_ready, Ordering::Relaxed);
    }
}

/// One disk in `/admin/v1/disks`.
#[derive(Debug, Serialize)]
struct DiskStatus {
    id: String,
    state: &'static str,
    directory: Option<String>,
    capacity_bytes: u64,
    available_bytes: u64,
    live_bytes: u64,
    shards: u64,
}

/// The routes.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/health/live", get(live))
        .route("/health/serving", get(serving))
        .route("/health/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/admin/v1/disks", get(disks))
        .with_state(admin)
}

/// 200 while a restart would not help; 503 once the index takes no commits any more.
async fn live(State(admin): State<Admin>) -> impl IntoResponse {
    match admin.open.get().and_then(|(_, index)| index.failure()) {
        None => (StatusCode::OK, "alive\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("restart: {why}\n")),
    }
}

/// 200 while this server takes requests, though it may have to refuse writes: what a load balancer asks. One that asked
/// for more would turn away from all servers at once when disks of a region are lost, and with them from all reads.
async fn serving(State(admin): State<Admin>) -> impl IntoResponse {
    let failure = admin.open.get().and_then(|(_, index)| index.failure());
    if admin.ready.load(Ordering::Relaxed) && failure.is_none() {
        (StatusCode::OK, "serving\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not serving\n")
    }
}

/// 200 while every object can be read and written, 503 otherwise.
async fn ready(State(admin): State<Admin>) -> impl IntoResponse {
    let starting = (StatusCode::SERVICE_UNAVAILABLE, "starting or stopping\n");
    let Some((cluster, index)) = admin.open.get() else {
        return starting;
    };
    if !admin.ready.load(Ordering::Relaxed) {
        return starting;
    }
    if !cluster.can_write() {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "too few disks to take writes safely\n",
        );
    }
    if index.failure().is_some() {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "the index takes no commits until a restart\n",
        );
    }
    (StatusCode::OK, "ready\n")
}

async fn metrics(State(admin): State<Admin>) -> String {
    if let Some((cluster, _)) = admin.open.get() {
        cluster.record_metrics();
    }
    admin.metrics.render()
}

async fn disks(State(admin): State<Admin>) -> Json<Vec<DiskStatus>> {
    let known = admin.open.get().map(|(cluster, _)| cluster.disks());
    let disks = known
        .unwrap_or_default()
        .into_iter()
        .map(|disk| DiskStatus {
            id: disk.id.to_string(),
            state: disk.state,
            directory: disk.directory.map(|path| path.display().to_string()),
            capacity_bytes: disk.usage.capacity,
            available_bytes: disk.usage.available,
            live_bytes: disk.usage.live,
            shards: disk.usage.shards,
        });
    Json(disks.collect())
}
