//! Tests of the decision: who gets in, once, and as which node.

use super::*;
use crate::region::first::{context, context_at, description};
use rpc::identity::{Certificate, NodeKey};
use rpc::join::JoinToken;
use std::sync::Arc;
use std::time::Duration;
use types::Clock;
use types::clock::SystemClock;

const HOUR: Duration = Duration::from_secs(3600);

fn wanted(token: &JoinToken, key: &NodeKey, description: &NodeDescription) -> Wanted {
    Wanted {
        token: token.id,
        secret: token.secret.clone(),
        certificate_request: key.certificate_request().unwrap().into(),
        key: key.fingerprint(),
        description: description.encode().into(),
        address: "127.0.0.1:5".parse().unwrap(),
    }
}

fn node_of(certificate: &Certificate) -> NodeId {
    certificate.node().unwrap().node
}

#[tokio::test]
async fn a_token_lets_one_node_in_and_again_when_the_answer_was_lost() {
    let dir = tempfile::tempdir().unwrap();
    let context = context(dir.path()).await;
    let token = tokens::make(&context, HOUR).await.unwrap();
    assert_eq!(token.addresses, ["10.0.0.1:9003"]);
    let decision = decision(context.clone());
    let key = NodeKey::generate().unwrap();
    let wanted_2 = wanted(&token, &key, &description(2, "b"));
    let grant = decision.decide(wanted_2.clone()).await.unwrap();
    assert_eq!(node_of(&grant.certificate), NodeId(2));
    let answer = JoinAnswer::decode(grant.answer).unwrap();
    assert_eq!(answer.root(), context.home.root_key().unwrap());
    assert_eq!((answer.disks.len(), answer.peers().len()), (2, 2));

    let again = decision.decide(wanted_2).await.unwrap();
    assert_eq!(node_of(&again.certificate), NodeId(2));
    assert_eq!(
        JoinAnswer::decode(again.answer).unwrap().disks,
        answer.disks
    );
    let view = context.stored_view().await.unwrap();
    assert_eq!((view.map.nodes.len(), view.map.disks.len()), (2, 4));
    assert!(view.map.nodes[1].is_down, "nobody has heard it yet");
    assert_eq!(check_map(&view), Ok(()));

    let other = wanted(&token, &NodeKey::generate().unwrap(), &description(3, "c"));
    assert_eq!(decision.decide(other).await.unwrap_err().0, NOT_GOOD);
    let changed = wanted(&token, &key, &description(3, "c"));
    let refused = decision.decide(changed).await.unwrap_err();
    assert!(refused.0.contains("other settings"), "{refused}");
    assert_eq!(context.stored_view().await.unwrap(), view);
}

#[tokio::test]
async fn a_binary_that_does_not_know_the_finalised_format_is_not_let_in() {
    let dir = tempfile::tempdir().unwrap();
    let context = context(dir.path()).await;
    let kept = format::load(&context.index).await.unwrap();
    let second = types::FormatVersion(2);
    format::store(&context.index, kept, second).await.unwrap();
    let token = tokens::make(&context, HOUR).await.unwrap();
    let decision = decision(context.clone());
    let key = NodeKey::generate().unwrap();
    let before = context.stored_view().await.unwrap();
    let mut node = description(2, "b");
    let old = decision.decide(wanted(&token, &key, &node)).await;
    let refused = old.unwrap_err().0;
    assert!(refused.contains("newer version"), "{refused}");
    assert_eq!(context.stored_view().await.unwrap(), before);
    // The token is good still, for the right version.
    node.formats.newest = second;
    let grant = decision.decide(wanted(&token, &key, &node)).await.unwrap();
    assert_eq!(node_of(&grant.certificate), NodeId(2));
}

#[tokio::test]
async fn tokens_that_are_not_good_are_all_told_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let context = context(dir.path()).await;
    let decision = decision(context.clone());
    let key = NodeKey::generate().unwrap();
    let refused = async |token: &JoinToken| {
        let wanted = wanted(token, &key, &description(2, "b"));
        decision.decide(wanted).await.unwrap_err().0
    };
    let good = tokens::make(&context, HOUR).await.unwrap();
    let other = tokens::make(&context, HOUR).await.unwrap();
    let unknown = JoinToken::new(good.authority, Vec::new(), &*context.entropy);
    assert_eq!(refused(&unknown).await, NOT_GOOD);
    let mixed = JoinToken {
        secret: other.secret.clone(),
        ..good.clone()
    };
    assert_eq!(refused(&mixed).await, NOT_GOOD);
    let ended = tokens::make(&context, Duration::from_millis(1))
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(refused(&ended).await, NOT_GOOD);
    assert_eq!(context.stored_view().await.unwrap().map.nodes.len(), 1);
}

#[tokio::test]
async fn a_node_that_cannot_be_is_refused_and_its_token_stays_good() {
    let dir = tempfile::tempdir().unwrap();
    let context = context(dir.path()).await;
    let decision = decision(context.clone());
    let token = tokens::make(&context, HOUR).await.unwrap();
    let key = NodeKey::generate().unwrap();
    let same_name = NodeDescription {
        name: "n1".to_owned(),
        ..description(2, "b")
    };
    let refused = decision
        .decide(wanted(&token, &key, &same_name))
        .await
        .unwrap_err();
    assert!(refused.0.contains("node name n1"), "{refused}");
    let same_address = NodeDescription {
        addresses: description(1, "a").addresses,
        ..description(2, "b")
    };
    let refused = decision
        .decide(wanted(&token, &key, &same_address))
        .await
        .unwrap_err();
    assert!(refused.0.contains("10.0.0.1"), "{refused}");
    let no_address = NodeDescription {
        addresses: Vec::new(),
        ..description(2, "b")
    };
    let refused = decision
        .decide(wanted(&token, &key, &no_address))
        .await
        .unwrap_err();
    assert!(refused.0.contains("address"), "{refused}");
    decision
        .decide(wanted(&token, &key, &description(2, "b")))
        .await
        .unwrap();
}

#[tokio::test]
async fn the_number_of_a_node_that_was_removed_is_never_given_again() {
    let dir = tempfile::tempdir().unwrap();
    let context = context(dir.path()).await;
    let decision = decision(context.clone());
    let token = tokens::make(&context, HOUR).await.unwrap();
    let key = NodeKey::generate().unwrap();
    let first = wanted(&token, &key, &description(2, "b"));
    decision.decide(first.clone()).await.unwrap();
    let remove = |view: &ClusterView| crate::region::operate::without_node(view, "n2", false);
    context.change(remove).await.unwrap();
    let refused = decision.decide(first).await.unwrap_err();
    assert!(refused.0.contains("removed"), "{refused}");
    let token = tokens::make(&context, HOUR).await.unwrap();
    let again = wanted(&token, &NodeKey::generate().unwrap(), &description(2, "b"));
    let grant = decision.decide(again).await.unwrap();
    assert_eq!(node_of(&grant.certificate), NodeId(3));
}

#[tokio::test]
async fn nodes_that_join_at_once_get_numbers_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let context = context_at(dir.path(), Arc::new(SystemClock::new()) as Arc<dyn Clock>).await;
    let decision = Arc::new(decision(context.clone()));
    let mut joining = tokio::task::JoinSet::new();
    for number in 2..8 {
        let token = tokens::make(&context, HOUR).await.unwrap();
        let decision = Arc::clone(&decision);
        joining.spawn(async move {
            let key = NodeKey::generate().unwrap();
            let wanted = wanted(&token, &key, &description(number, "b"));
            node_of(&decision.decide(wanted).await.unwrap().certificate)
        });
    }
    let mut numbers = joining.join_all().await;
    numbers.sort();
    assert_eq!(numbers, (2..8).map(NodeId).collect::<Vec<_>>());
    let view = context.stored_view().await.unwrap();
    assert_eq!((view.map.nodes.len(), view.map.disks.len()), (7, 14));
}
