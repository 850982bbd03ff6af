use super::*;

#[test]
fn buffers_have_the_length_asked_for() {
    const MIB: usize = 1024 * 1024;
    for length in [0, 1, 65_535, 65_536, 65_537, 300_000, 4 * MIB, 4 * MIB + 1] {
        let mut buffer = Buffer::take(length);
        assert_eq!(buffer.len(), length);
        buffer.fill(7);
        let bytes = buffer.freeze(length / 2);
        assert_eq!(bytes.len(), length / 2);
        assert!(bytes.iter().all(|byte| *byte == 7));
    }
}

#[test]
fn a_buffer_comes_back_after_the_last_of_its_bytes_and_not_before() {
    static POOL: Pool = Pool::new();
    let buffer = POOL.take(200_000);
    let place = buffer.as_ptr();
    let bytes = buffer.freeze(150_000);
    let part = bytes.slice(5..10);
    drop(bytes);
    assert_ne!(POOL.take(200_000).as_ptr(), place, "it is still in use");
    drop(part);
    assert_eq!(POOL.take(250_000).as_ptr(), place, "of the same class");
}

#[test]
fn what_is_said_to_be_held_is_held() {
    static POOL: Pool = Pool::new();
    for length in [0, 1, 65_535, 65_536, 65_537, 768 * 1024, 5 * 1024 * 1024] {
        assert_eq!(held_bytes(length), POOL.take(length).bytes.len());
    }
}

#[test]
fn what_is_kept_is_bounded() {
    static POOL: Pool = Pool::new();
    for class in 0..CLASSES {
        let length = CLASS_BYTES.0 << class;
        let many: Vec<Buffer> = (0..100).map(|_| POOL.take(length)).collect();
        drop(many);
        let kept = POOL.0[class].lock().len();
        assert_eq!(kept * length, KEPT_CLASS_BYTES);
    }
}
