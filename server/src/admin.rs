//! The admin address: metrics, health, and the state of the disks. It gives no access to objects, and
//! listens on the loopback interface unless it is told otherwise.

use crate::cluster::Cluster;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use index::Index;
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What the admin routes show.
#[derive(Clone)]
pub struct Admin {
    /// The collected metrics.
    pub metrics: PrometheusHandle,
    /// The disks.
    pub cluster: Arc<Cluster>,
    /// The index.
    pub index: Index,
    /// True from the moment that requests are served until the drain begins.
    pub ready: Arc<AtomicBool>,
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
        .route("/health/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/admin/v1/disks", get(disks))
        .with_state(admin)
}

/// 200 while a restart would not help; 503 once the index takes no commits any more.
async fn live(State(admin): State<Admin>) -> impl IntoResponse {
    match admin.index.failure() {
        None => (StatusCode::OK, "alive\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("restart: {why}\n")),
    }
}

/// 200 while every object can be read and written, 503 otherwise.
async fn ready(State(admin): State<Admin>) -> impl IntoResponse {
    if !admin.ready.load(Ordering::Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "starting or stopping\n");
    }
    if !admin.cluster.can_write() {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "too few disks to take writes safely\n",
        );
    }
    if admin.index.failure().is_some() {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "the index takes no commits until a restart\n",
        );
    }
    (StatusCode::OK, "ready\n")
}

async fn metrics(State(admin): State<Admin>) -> String {
    admin.cluster.record_metrics();
    admin.metrics.render()
}

async fn disks(State(admin): State<Admin>) -> Json<Vec<DiskStatus>> {
    let disks = admin.cluster.disks().into_iter().map(|disk| DiskStatus {
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
