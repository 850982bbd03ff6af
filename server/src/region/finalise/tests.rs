//! Tests of finalising: what may be, by what the nodes tell.

use super::*;
use crate::region::first::context;
use crate::region::status::NodeStatus;
use types::NodeInfo;
use types::format::FormatRange;

fn node(name: &str, newest: Option<u32>) -> (NodeInfo, Result<NodeStatus, String>) {
    let node = NodeInfo {
        name: name.to_owned(),
        ..Default::default()
    };
    let status = newest.map(|newest| NodeStatus {
        product: "1.0.0".to_owned(),
        formats: FormatRange {
            newest: FormatVersion(newest),
            ..Default::default()
        },
        ..Default::default()
    });
    (node, status.ok_or_else(|| "no answer".to_owned()))
}

fn next(finalised: u32, nodes: &Asked) -> Next {
    Next::of(FormatVersion(finalised), nodes)
}

#[test]
fn a_format_is_finalised_only_when_every_node_knows_it() {
    let new = vec![node("n1", Some(2)), node("n2", Some(2))];
    assert_eq!(next(1, &new), Next::Possible(FormatVersion(2)));
    assert_eq!(next(2, &new), Next::Nothing);
    let refused = |asked: &Asked| match next(1, asked) {
        Next::Waits(FormatVersion(2), reasons) => reasons,
        other => panic!("{other:?}"),
    };
    let mixed = vec![node("n1", Some(2)), node("n2", Some(1)), node("n3", None)];
    let reasons = refused(&mixed);
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(reasons[0].contains("n2") && reasons[0].contains("upgrade"));
    assert!(reasons[1].contains("n3") && reasons[1].contains("no answer"));
    // One that does not answer may be old, whatever the others are.
    let silent = vec![node("n1", Some(2)), node("n2", None)];
    assert_eq!(refused(&silent).len(), 1);
    let old = vec![node("n1", Some(1)), node("n2", None)];
    assert_eq!(next(1, &old), Next::Nothing);
}

#[test]
fn a_binary_that_begins_with_a_later_format_does_not_count_as_knowing_an_earlier_one() {
    let (info, status) = node("n1", Some(3));
    let mut status = status.unwrap();
    status.formats.oldest = FormatVersion(3);
    let asked = vec![(info, Ok(status)), node("n2", Some(2))];
    assert!(matches!(
        next(2, &asked),
        Next::Waits(FormatVersion(3), reasons) if reasons.len() == 1
    ));
}

#[tokio::test]
async fn where_nothing_is_newer_nothing_is_changed() {
    let dir = tempfile::tempdir().unwrap();
    let context = context(dir.path()).await;
    let newest = FormatVersion::NEWEST;
    context.formats.take_over(newest).unwrap();
    let kept = format::load(&context.index).await.unwrap();
    if kept.finalised < newest {
        format::store(&context.index, kept, newest).await.unwrap();
    }
    let before = format::load(&context.index).await.unwrap();
    let done = run(&context).await.unwrap();
    assert!(done[0].contains("no node knows a newer one"), "{done:?}");
    assert_eq!(format::load(&context.index).await.unwrap(), before);
}

#[tokio::test]
async fn a_node_that_meets_a_format_it_does_not_know_stops() {
    let dir = tempfile::tempdir().unwrap();
    let context = context(dir.path()).await;
    let stop = CancellationToken::new();
    let following = follow(
        context.index.clone(),
        Arc::clone(&context.formats),
        stop.clone(),
    );
    let kept = format::load(&context.index).await.unwrap();
    let unknown = FormatVersion(FormatVersion::NEWEST.0 + 1);
    format::store(&context.index, kept, unknown).await.unwrap();
    tokio::select! {
        never = following => match never {},
        () = stop.cancelled() => {}
    }
    assert!(context.formats.finalised().get() < unknown);
}
