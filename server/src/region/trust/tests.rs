//! Tests of taking over whom to trust, and of renewing certificates.

use super::*;
use crate::region::first::{context, context_at};
use crate::region::rotation;
use std::sync::Arc;
use types::Clock;
use types::clock::ManualClock;
use types::limits::RPC_CLOCK_BACKDATE;

fn follower(context: &AdminContext) -> Follower {
    Follower {
        context: context.clone(),
        tried: None,
    }
}

#[tokio::test]
async fn nothing_changes_while_nothing_is_to_be_done() {
    let dir = tempfile::tempdir().unwrap();
    let context = context(dir.path()).await;
    let before = context.home.credentials().unwrap();
    follower(&context).step().await.unwrap();
    let after = context.home.credentials().unwrap();
    assert_eq!(before.certificate(), after.certificate());
    assert_eq!(before.bundle(), after.bundle());
}

#[tokio::test]
async fn a_certificate_is_renewed_a_month_before_it_ends_and_not_all_the_time() {
    let dir = tempfile::tempdir().unwrap();
    let now_ms = types::clock::SystemClock::new().now_ms();
    let clock = Arc::new(ManualClock::at(now_ms));
    let context = context_at(dir.path(), Arc::clone(&clock) as Arc<dyn Clock>).await;
    let mut follower = follower(&context);
    let first = context.network.node().identity.not_after_ms();
    clock.advance(NODE_VALIDITY - RENEW_BEFORE - RPC_CLOCK_BACKDATE);
    follower.step().await.unwrap();
    assert_eq!(context.network.node().identity.not_after_ms(), first);
    clock.advance(RPC_CLOCK_BACKDATE * 2);
    follower.step().await.unwrap();
    let second = context.network.node().identity.not_after_ms();
    assert!(second > first, "the running process uses it");
    assert_eq!(
        context
            .home
            .credentials()
            .unwrap()
            .certificate()
            .not_after_ms(),
        second
    );
    follower.step().await.unwrap();
    assert_eq!(context.network.node().identity.not_after_ms(), second);
}

#[tokio::test]
async fn without_a_node_that_signs_it_is_said_and_the_old_certificate_stays() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(types::clock::SystemClock::new().now_ms()));
    let context = context_at(dir.path(), Arc::clone(&clock) as Arc<dyn Clock>).await;
    let authority = load(&context).await.unwrap().issuer;
    context.home.remove_authority(authority).unwrap();
    let mut follower = follower(&context);
    clock.advance(NODE_VALIDITY - Duration::from_secs(24 * 3600));
    let error = follower.step().await.unwrap_err().to_string();
    assert!(error.contains("no node issues"), "{error}");
    follower.step().await.unwrap();
    clock.advance(RENEW_PAUSE);
    follower.step().await.unwrap_err();
}

#[tokio::test]
async fn an_authority_is_replaced_in_three_steps_and_none_is_taken_early() {
    let dir = tempfile::tempdir().unwrap();
    let context = context(dir.path()).await;
    let first = load(&context).await.unwrap().issuer;
    let error = rotation::renew(&context).await.unwrap_err().to_string();
    assert!(error.contains("cairn ca new"), "{error}");
    rotation::retire(&context).await.unwrap_err();

    let following = tokio::spawn(follow(context.clone()));
    let said = rotation::begin(&context).await.unwrap();
    assert!(said.contains("trusted by every node"), "{said}");
    let trust = load(&context).await.unwrap();
    assert_eq!((trust.bundle.authorities().len(), trust.issuer), (2, first));
    let error = rotation::begin(&context).await.unwrap_err().to_string();
    assert!(error.contains("under way"), "{error}");
    let error = rotation::retire(&context).await.unwrap_err().to_string();
    assert!(error.contains("cairn ca renew"), "{error}");

    let said = rotation::renew(&context).await.unwrap();
    assert!(said.contains("cairn ca retire"), "{said}");
    let held = context.home.credentials().unwrap();
    let issuer = held
        .bundle()
        .issuer_of(held.certificate())
        .unwrap()
        .fingerprint();
    assert_ne!(issuer, first);

    let said = rotation::retire(&context).await.unwrap();
    assert!(said.contains(&issuer.to_string()), "{said}");
    following.abort();
    let held = context.home.credentials().unwrap();
    assert_eq!(held.bundle().authorities().len(), 1);
    assert_eq!(context.home.authorities().unwrap().len(), 1);
    // Everything goes on with the new authority alone.
    follower(&context).step().await.unwrap();
    let status = rotation::status(&context).await.unwrap();
    assert!(status.next.starts_with("nothing"), "{}", status.next);
}
