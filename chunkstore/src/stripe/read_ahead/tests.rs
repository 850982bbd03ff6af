use super::*;
use futures::StreamExt;
use futures::channel::oneshot;
use parking_lot::Mutex;
use std::sync::Arc;

type Begun = Arc<Mutex<Vec<usize>>>;

/// Futures that note their number when they are first polled, and wait for their sender if they have one.
fn futures(
    answers: Vec<Option<oneshot::Receiver<()>>>,
) -> (Begun, impl Iterator<Item: Future<Output = usize>> + Unpin) {
    let begun = Begun::default();
    let note = Arc::clone(&begun);
    let futures = answers
        .into_iter()
        .enumerate()
        .map(move |(number, answer)| {
            let note = Arc::clone(&note);
            async move {
                note.lock().push(number);
                if let Some(answer) = answer {
                    answer.await.unwrap();
                }
                number
            }
        });
    (begun, futures)
}

#[test]
fn what_is_at_hand_is_read_when_it_is_its_turn() {
    let (begun, futures) = futures(vec![None, None, None]);
    let mut stream = ReadAhead::new(futures, 2);
    for number in 0..3 {
        assert_eq!(stream.next().now_or_never(), Some(Some(number)));
        assert_eq!(begun.lock().len(), number + 1);
    }
    assert_eq!(stream.next().now_or_never(), Some(None));
}

#[test]
fn while_the_first_is_awaited_others_are_under_way_and_order_is_kept() {
    let (mut senders, answers): (Vec<_>, Vec<_>) = (0..4).map(|_| oneshot::channel()).unzip();
    let (begun, futures) = futures(answers.into_iter().map(Some).collect());
    let mut stream = ReadAhead::new(futures, 3);
    assert_eq!(stream.next().now_or_never(), None);
    assert_eq!(*begun.lock(), [0, 1, 2], "three at once and no more");
    senders.remove(1).send(()).unwrap();
    assert_eq!(stream.next().now_or_never(), None, "the first is not there");
    senders.remove(0).send(()).unwrap();
    assert_eq!(stream.next().now_or_never(), Some(Some(0)));
    assert_eq!(stream.next().now_or_never(), Some(Some(1)));
    assert_eq!(stream.next().now_or_never(), None);
    assert_eq!(*begun.lock(), [0, 1, 2, 3]);
    for sender in senders {
        sender.send(()).unwrap();
    }
    assert_eq!(stream.next().now_or_never(), Some(Some(2)));
    assert_eq!(stream.next().now_or_never(), Some(Some(3)));
    assert_eq!(stream.next().now_or_never(), Some(None));
}
