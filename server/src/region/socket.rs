//! The admin socket: HTTP with JSON over a Unix socket in the node's directory, which only its owner can open. The
//! `cairn` commands talk to it while the server runs.

use super::context::AdminContext;
use super::operate::{self, ClusterPlan};
use super::report::{self, Report};
use super::rotation::{self, AuthorityReport};
use super::{finalise, members, tokens, trust};
use anyhow::{Context, Result, bail, ensure};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use std::future::IntoFuture;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tracing::{info, warn};

/// Bytes of the path of a Unix socket at the most.
const PATH_MAX: usize = 107;
/// The longest that a token is good for.
const TTL_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Time between two attempts to tell the map where this node is.
const ADDRESS_PAUSE: Duration = Duration::from_secs(10);
/// Pause before a node that starts is looked at again.
const START_PAUSE: Duration = Duration::from_secs(1);

/// `POST /v1/token`
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// How long the token is good for.
    pub ttl_ms: u64,
}

/// Its answer.
#[derive(Debug, Serialize, Deserialize)]
pub struct TokenAnswer {
    /// The token.
    pub token: String,
}

/// A request about one node.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeRequest {
    /// Its name.
    pub node: String,
}

/// `POST /v1/index/replace`
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplaceRequest {
    /// The node that keeps the index.
    pub old: String,
    /// The node that is to.
    pub new: String,
}

/// What was done, line by line.
#[derive(Debug, Serialize, Deserialize)]
pub struct Done {
    /// The lines.
    pub done: Vec<String>,
}

/// Why nothing more was done.
#[derive(Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// What was wrong and what to do.
    pub error: String,
}

/// A refusal as an answer.
struct Fault(anyhow::Error);

impl<E: Into<anyhow::Error>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let error = format!("{:#}", self.0);
        warn!(error, "a command of the operator was refused");
        (StatusCode::CONFLICT, Json(Refusal { error })).into_response()
    }
}

/// Starts the operator's side of a node: listens for the commands, keeps the node's credentials up to date
/// ([`trust::follow`]), and tells the map when the node's address has changed. All end when the task is aborted.
///
/// # Errors
/// Another server runs with the node's directory, or the socket cannot be made.
pub async fn start(context: AdminContext) -> Result<JoinHandle<()>> {
    let path = context.home.socket();
    let listener = bind(&path).await?;
    let routes = router(context.clone());
    Ok(tokio::spawn(async move {
        let serving = axum::serve(listener, routes).into_future();
        let upkeep = async {
            keep_address(&context).await;
            trust::follow(context).await;
        };
        tokio::select! {
            ended = serving => warn!(?ended, "the admin socket has ended"),
            () = upkeep => {}
        }
    }))
}

/// Puts the address of the configuration into the map, as soon as the index answers.
async fn keep_address(context: &AdminContext) {
    let Some(address) = &context.advertise else {
        return;
    };
    while context.is_starting() {
        tokio::time::sleep(START_PAUSE).await;
    }
    let me = context.me();
    while let Err(error) = context
        .change(|view| operate::with_address(view, me, address))
        .await
    {
        warn!("the address of this node cannot be kept in the cluster map yet: {error:#}");
        tokio::time::sleep(ADDRESS_PAUSE).await;
    }
}

async fn bind(path: &Path) -> Result<UnixListener> {
    let shown = path.display();
    ensure!(
        path.as_os_str().len() <= PATH_MAX,
        "{shown} is longer than the {PATH_MAX} bytes that the path of a socket may have: use a shorter --node-dir"
    );
    if UnixStream::connect(path).await.is_ok() {
        bail!("another server runs with this node directory: it answers on {shown}");
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot remove the old {shown}"));
        }
        _ => {}
    }
    let listener = UnixListener::bind(path).with_context(|| format!("cannot listen on {shown}"))?;
    // The directory is closed to others already.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

fn router(context: AdminContext) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/finalise", post(finalise_format))
        .route("/v1/token", post(token))
        .route("/v1/nodes/remove", post(remove_node))
        .route("/v1/cluster/add", post(add_cluster))
        .route("/v1/index/add", post(add_index))
        .route("/v1/index/remove", post(remove_index))
        .route("/v1/index/replace", post(replace_index))
        .route("/v1/ca/status", get(authorities))
        .route("/v1/ca/new", post(new_authority))
        .route("/v1/ca/renew", post(renew_certificates))
        .route("/v1/ca/retire", post(retire_authority))
        .with_state(context)
}

async fn status(State(context): State<AdminContext>) -> Json<Report> {
    Json(report::gather(&context).await)
}

async fn finalise_format(State(context): State<AdminContext>) -> Result<Json<Done>, Fault> {
    Ok(done(finalise::run(&context).await?))
}

async fn token(
    State(context): State<AdminContext>,
    Json(request): Json<TokenRequest>,
) -> Result<Json<TokenAnswer>, Fault> {
    let ttl = Duration::from_millis(request.ttl_ms);
    if ttl.is_zero() || ttl > TTL_MAX {
        let longest = humantime::format_duration(TTL_MAX);
        return Err(anyhow::anyhow!("a token is good for at most {longest}").into());
    }
    let token = tokens::make(&context, ttl).await?;
    info!(token = %token.id, ?ttl, "a token to join with was made");
    let token = token.to_string();
    Ok(Json(TokenAnswer { token }))
}

async fn remove_node(
    State(context): State<AdminContext>,
    Json(request): Json<NodeRequest>,
) -> Result<Json<Done>, Fault> {
    let name = &request.node;
    if name == context.home.name() {
        return Err(anyhow::anyhow!("node {name} cannot remove itself: ask another node").into());
    }
    let view = context.stored_view().await?;
    let id = super::change::node_named(&view.map, name)?.id;
    let is_member = members::is_member(&context, id).await?;
    context
        .change(|view| operate::without_node(view, name, is_member))
        .await?;
    info!(node = name, "a node was removed");
    let line = format!(
        "node {name} is removed: stop its server, its certificate is good for nothing any more"
    );
    Ok(done(vec![line]))
}

async fn add_cluster(
    State(context): State<AdminContext>,
    Json(plan): Json<ClusterPlan>,
) -> Result<Json<Done>, Fault> {
    let (view, cluster) = context
        .change(|view| operate::with_cluster(view, &plan))
        .await?;
    let disks = view
        .map
        .disks
        .iter()
        .filter(|disk| disk.cluster == cluster.id)
        .count();
    let groups = view
        .groups
        .values()
        .filter(|group| group.cluster == cluster.id)
        .count();
    info!(cluster = %cluster.id, disks, groups, "a chunk cluster was made");
    Ok(done(vec![format!(
        "chunk cluster {} of {disks} disks: {} for large objects, {} for small ones, {groups} placement groups; the loss \
         of any {} is survived",
        cluster.id, cluster.striped, cluster.small, cluster.domain
    )]))
}

async fn add_index(
    State(context): State<AdminContext>,
    Json(request): Json<NodeRequest>,
) -> Result<Json<Done>, Fault> {
    Ok(done(members::add(&context, &request.node).await?))
}

async fn remove_index(
    State(context): State<AdminContext>,
    Json(request): Json<NodeRequest>,
) -> Result<Json<Done>, Fault> {
    Ok(done(members::remove(&context, &request.node).await?))
}

async fn replace_index(
    State(context): State<AdminContext>,
    Json(request): Json<ReplaceRequest>,
) -> Result<Json<Done>, Fault> {
    Ok(done(
        members::replace(&context, &request.old, &request.new).await?,
    ))
}

async fn authorities(State(context): State<AdminContext>) -> Result<Json<AuthorityReport>, Fault> {
    Ok(Json(rotation::status(&context).await?))
}

async fn new_authority(State(context): State<AdminContext>) -> Result<Json<Done>, Fault> {
    Ok(done(vec![rotation::begin(&context).await?]))
}

async fn renew_certificates(State(context): State<AdminContext>) -> Result<Json<Done>, Fault> {
    Ok(done(vec![rotation::renew(&context).await?]))
}

async fn retire_authority(State(context): State<AdminContext>) -> Result<Json<Done>, Fault> {
    Ok(done(vec![rotation::retire(&context).await?]))
}

fn done(done: Vec<String>) -> Json<Done> {
    Json(Done { done })
}

#[cfg(test)]
mod tests;
