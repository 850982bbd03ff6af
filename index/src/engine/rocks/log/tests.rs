//! The end of a log: whole, torn or damaged, over several blocks.

use super::*;

const WHOLE: u8 = 1;

fn put_fragment(log: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    let mut covered = vec![kind];
    covered.extend_from_slice(payload);
    let sum = checksum(CrcAlgorithm::Crc32Iscsi, &covered) as u32;
    let masked = sum.rotate_right(15).wrapping_add(0xa282_ead8);
    log.extend_from_slice(&masked.to_le_bytes());
    log.extend_from_slice(&(payload.len() as u16).to_le_bytes());
    log.extend_from_slice(&covered);
}

/// Appends a record as RocksDB does: in fragments that no block's end goes through.
fn put_record(log: &mut Vec<u8>, mut payload: &[u8]) {
    let mut is_first = true;
    loop {
        let left = BLOCK_BYTES - log.len() % BLOCK_BYTES;
        if left < HEADER_BYTES {
            log.resize(log.len() + left, 0);
            continue;
        }
        let take = payload.len().min(left - HEADER_BYTES);
        let (now, later) = payload.split_at(take);
        let kind = match (is_first, later.is_empty()) {
            (true, true) => WHOLE,
            (true, false) => FIRST,
            (false, true) => LAST,
            (false, false) => MIDDLE,
        };
        put_fragment(log, kind, now);
        (payload, is_first) = (later, false);
        if payload.is_empty() {
            return;
        }
    }
}

/// A log of records of these lengths, and where each begins.
fn log_of(lengths: &[usize]) -> (Vec<u8>, Vec<usize>) {
    let mut log = Vec::new();
    let mut starts = Vec::new();
    for (number, length) in lengths.iter().enumerate() {
        starts.push(log.len());
        put_record(&mut log, &vec![number as u8 + 1; *length]);
    }
    (log, starts)
}

const LENGTHS: [usize; 4] = [100, 70_000, 40, 80_000];

fn end(log: &[u8]) -> End {
    end_of(log).expect("reading from memory does not fail")
}

#[test]
fn whole_logs_are_whole() {
    assert_eq!(end(&[]), End::Whole);
    assert_eq!(end(&log_of(&LENGTHS).0), End::Whole);
    // Records that end right at, and just before, the end of a block.
    for short in 0..10 {
        let exact = BLOCK_BYTES - HEADER_BYTES - short;
        assert_eq!(
            end(&log_of(&[exact, 5]).0),
            End::Whole,
            "{short} bytes are left"
        );
    }
}

#[test]
fn a_cut_or_zeroed_or_garbled_last_record_is_torn() {
    let (log, starts) = log_of(&LENGTHS);
    let last = starts[3];
    for at in (last + 1..log.len()).step_by(997) {
        assert_eq!(end(&log[..at]), End::Torn(last as u64), "cut at {at}");
        let mut zeroed = log.clone();
        zeroed[at..].fill(0);
        assert_eq!(end(&zeroed), End::Torn(last as u64), "zeroed from {at}");
        let mut garbled = log.clone();
        garbled[at] ^= 0x80;
        assert_eq!(end(&garbled), End::Torn(last as u64), "flipped at {at}");
    }
    assert_eq!(end(&log[..last]), End::Whole);
}

#[test]
fn a_fault_in_an_earlier_record_is_damage_wherever_it_is() {
    let (log, starts) = log_of(&LENGTHS);
    let headers = starts[1]..starts[1] + HEADER_BYTES;
    for at in headers.chain((0..starts[3]).step_by(499)) {
        let record = starts
            .iter()
            .rev()
            .find(|start| **start <= at)
            .expect("it is in one");
        let mut flipped = log.clone();
        flipped[at] ^= 0x10;
        assert_eq!(
            end(&flipped),
            End::Damaged(*record as u64),
            "flipped at {at}"
        );
    }
    let mut hole = log.clone();
    hole[BLOCK_BYTES..2 * BLOCK_BYTES].fill(0);
    assert_eq!(end(&hole), End::Damaged(starts[1] as u64));
}

#[test]
fn fragments_that_do_not_belong_together_are_damage() {
    for kinds in [
        [FIRST, WHOLE].as_slice(),
        &[FIRST, FIRST],
        &[LAST],
        &[WHOLE, MIDDLE],
    ] {
        let mut log = Vec::new();
        for kind in kinds {
            put_fragment(&mut log, *kind, b"payload");
        }
        assert!(matches!(end(&log), End::Damaged(_)), "{kinds:?}");
    }
}
