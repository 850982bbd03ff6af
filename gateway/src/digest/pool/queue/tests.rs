use super::*;

const WIDTH: usize = 16;

fn queue() -> Queue {
    Queue::new(WIDTH, 2)
}

fn open(queue: &mut Queue) -> (BodyId, Arc<Notify>) {
    let room = Arc::new(Notify::new());
    (queue.open(Arc::clone(&room)), room)
}

fn bytes(length: usize) -> Bytes {
    Bytes::from(vec![1; length])
}

fn ids(slices: &[Slice]) -> Vec<BodyId> {
    slices.iter().map(|slice| slice.id).collect()
}

fn has_room(room: &Notify) -> bool {
    use futures::FutureExt;
    room.notified().now_or_never().is_some()
}

#[test]
fn a_body_alone_is_hashed_as_soon_as_it_has_a_lane_full() {
    let mut queue = queue();
    let (id, _) = open(&mut queue);
    assert!(!queue.push(id, bytes(READY_BYTES / 2)));
    assert!(!queue.begin_worker(), "too little to wake a worker for");
    queue.push(id, bytes(READY_BYTES));
    assert!(queue.begin_worker());
    assert!(!queue.begin_worker(), "one is enough, and on its way");
    let slices = queue.take();
    assert_eq!(ids(&slices), [id]);
    let length: usize = slices[0].pieces.iter().map(Bytes::len).sum();
    assert_eq!(length, SLICE_BYTES);
    assert!(
        !queue.begin_worker(),
        "the rest waits for the worker that has the body"
    );
}

#[test]
fn bodies_wait_for_each_other_until_one_is_awaited() {
    let mut queue = queue();
    let bodies: Vec<BodyId> = (0..8).map(|_| open(&mut queue).0).collect();
    for id in &bodies[..3] {
        queue.push(*id, bytes(READY_BYTES));
        assert!(
            !queue.begin_worker(),
            "fewer than half of the bodies are ready"
        );
    }
    // This one has too little to be hashed with the others, but for its end.
    queue.push(bodies[7], bytes(REST_BYTES + 1));
    assert!(!queue.begin_worker());
    assert!(matches!(queue.end(bodies[7]), Ending::Awaited(_)));
    assert!(queue.begin_worker());
    let slices = queue.take();
    assert_eq!(ids(&slices), [bodies[7], bodies[0], bodies[1], bodies[2]]);
    queue.give_back(slices);
    assert!(queue.take().is_empty(), "the worker ends");
}

#[test]
fn half_of_the_bodies_are_enough() {
    let mut queue = queue();
    let bodies: Vec<BodyId> = (0..8).map(|_| open(&mut queue).0).collect();
    for id in &bodies[..4] {
        queue.push(*id, bytes(READY_BYTES));
    }
    assert!(queue.begin_worker());
    assert_eq!(ids(&queue.take()), bodies[..4]);
}

#[test]
fn more_bodies_than_lanes_get_a_second_worker() {
    let mut queue = queue();
    for _ in 0..2 * WIDTH + 1 {
        let (id, _) = open(&mut queue);
        queue.push(id, bytes(AWAITED_BYTES));
    }
    assert!(queue.begin_worker());
    assert_eq!(queue.take().len(), WIDTH);
    assert!(queue.begin_worker());
    assert_eq!(queue.take().len(), WIDTH);
    assert!(!queue.begin_worker(), "no more workers than there may be");
}

#[test]
fn a_full_body_has_room_again_when_half_is_hashed() {
    let mut queue = queue();
    let (id, room) = open(&mut queue);
    assert!(queue.push(id, bytes(HELD_BYTES_MAX)));
    assert!(queue.begin_worker());
    let mut rounds = 0;
    while !has_room(&room) {
        let slices = queue.take();
        assert_eq!(ids(&slices), [id]);
        queue.give_back(slices);
        rounds += 1;
    }
    let half = HELD_BYTES_MAX / 2 / SLICE_BYTES;
    assert!((half..half + 2).contains(&rounds), "{rounds}");
    assert!(!queue.push(id, bytes(1)));
}

#[test]
fn pieces_are_counted_with_the_buffers_that_they_keep() {
    let mut queue = queue();
    let (id, _) = open(&mut queue);
    let pushed = (1..).find(|_| queue.push(id, bytes(1)));
    assert!(pushed.unwrap() <= HELD_BYTES_MAX / PIECE_BYTES);
}

#[test]
fn a_small_rest_needs_no_worker() {
    let mut queue = queue();
    let (id, _) = open(&mut queue);
    queue.push(id, bytes(REST_BYTES));
    assert!(matches!(queue.end(id), Ending::Rest(..)));
    assert!(queue.bodies.is_empty());
}

#[test]
fn what_is_closed_is_forgotten_in_every_state() {
    let mut queue = queue();
    let bodies: Vec<BodyId> = (0..3).map(|_| open(&mut queue).0).collect();
    queue.push(bodies[0], bytes(1));
    queue.push(bodies[1], bytes(READY_BYTES));
    queue.push(bodies[2], bytes(AWAITED_BYTES));
    for id in bodies {
        queue.close(id);
        queue.close(id);
    }
    assert!(queue.bodies.is_empty() && queue.ready.is_empty() && queue.awaited.is_empty());
    let (id, _) = open(&mut queue);
    queue.push(id, bytes(AWAITED_BYTES));
    assert!(queue.begin_worker());
    let slices = queue.take();
    queue.close(id);
    queue.give_back(slices);
    assert!(queue.bodies.is_empty());
    assert!(queue.take().is_empty());
    assert_eq!(queue.workers, 0);
}
