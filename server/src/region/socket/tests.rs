//! Tests of the socket itself; what is behind it has tests of its own.

use super::*;
use crate::region::first::context;

#[tokio::test]
async fn only_the_owner_opens_it_and_one_server_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let context = context(dir.path()).await;
    let path = context.home.socket();
    // One that a killed server left behind.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let server = start(context.clone()).await.unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let error = start(context).await.unwrap_err().to_string();
    assert!(error.contains("another server"), "{error}");
    server.abort();
}

#[tokio::test]
async fn a_path_that_is_too_long_is_told() {
    let error = bind(Path::new(&format!("/{}", "x".repeat(200))))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("--node-dir"), "{error}");
}
