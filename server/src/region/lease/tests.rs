//! Tests of the lease.

use super::*;
use types::clock::ManualClock;
use types::entropy::SeededEntropy;

fn index() -> Index {
    let clock = Arc::new(ManualClock::at(1));
    Index::in_memory(clock, Arc::new(SeededEntropy::new(1)))
}

const ONE: (NodeId, bool) = (NodeId(1), true);
const OTHER: (NodeId, bool) = (NodeId(2), true);

#[tokio::test]
async fn one_holds_it_until_it_was_left_alone_for_long() {
    let index = index();
    let (mut one, mut other) = (Seen::default(), Seen::default());
    let at = Duration::from_secs;
    let holds = |who: (NodeId, bool)| Some(who.0);
    let first = round(&index, ONE, at(0), &mut one).await.unwrap();
    assert_eq!(first, holds(ONE));
    for seconds in [100, 111] {
        let seen = round(&index, OTHER, at(seconds), &mut other).await;
        assert_eq!(seen.unwrap(), holds(ONE));
    }
    // Written anew: the time begins again.
    round(&index, ONE, at(10), &mut one).await.unwrap();
    for (seconds, holder) in [(112, ONE), (123, ONE), (124, OTHER)] {
        let seen = round(&index, OTHER, at(seconds), &mut other).await;
        assert_eq!(seen.unwrap(), holds(holder));
    }
    let seen = round(&index, ONE, at(24), &mut one).await.unwrap();
    assert_eq!(seen, holds(OTHER));
}

#[tokio::test]
async fn who_has_not_the_role_only_looks() {
    let index = index();
    let mut seen = Seen::default();
    let visitor = (NodeId(3), false);
    let holder = round(&index, visitor, Duration::ZERO, &mut seen).await;
    assert_eq!(holder.unwrap(), None);
}

#[tokio::test]
async fn of_two_that_take_it_over_at_once_one_wins() {
    let index = index();
    let (mut one, mut other) = (Seen::default(), Seen::default());
    let now = Duration::ZERO;
    let (first, second) = tokio::join!(
        round(&index, ONE, now, &mut one),
        round(&index, OTHER, now, &mut other)
    );
    let won = [(first, ONE), (second, OTHER)].map(|(seen, who)| seen.unwrap() == Some(who.0));
    assert!(won[0] != won[1]);
}
