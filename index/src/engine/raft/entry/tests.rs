//! The bytes of entries, votes and positions: what one binary wrote, every later one reads.

use super::*;

fn log_id(term: u64, node: u64, index: u64) -> LogId {
    LogId::new(CommittedLeaderId::new(term, node), index)
}

fn batch() -> Batch {
    let key = |name: &'static str| Bytes::from_static(name.as_bytes());
    Batch {
        conditions: vec![
            Condition::Absent(key("a")),
            Condition::Exists(key("b")),
            Condition::SeqIs(key("c"), 300),
        ],
        operations: vec![
            Operation::Put(key("a"), key("value")),
            Operation::Delete(key("b")),
            Operation::Reclaim(key("chunks")),
        ],
        feed: key("event"),
        idempotency: Some(Idempotency {
            op_id: OpId(0x0102_0304),
            outcome: key("done"),
        }),
        epoch: 7,
    }
}

fn commit() -> Entry {
    let commands = vec![
        Command::Commit(vec![batch(), Batch::default()]),
        Command::Trim(5),
    ];
    Entry {
        log_id: log_id(4, 2, 300),
        payload: EntryPayload::Normal(Proposal::new(commands)),
    }
}

fn membership() -> Membership {
    let configs = vec![BTreeSet::from([1, 2, 3]), BTreeSet::from([2, 3, 4])];
    let member = |node: u64| (node, Member::new(format!("host{node}:9000")));
    Membership::new(configs, (1..=5).map(member).collect::<BTreeMap<_, _>>())
}

fn hex(bytes: &[u8]) -> String {
    crate::key::hexadecimal(bytes)
}

fn open(key: &[u8], sealed: Vec<u8>) -> Result<Entry, CodecError> {
    open_entry(key, &Bytes::from(sealed))
}

#[test]
fn the_bytes_of_an_entry_with_commands_are_fixed() {
    let sealed = seal_entry(b"key", &commit());
    assert_eq!(hex(&sealed), COMMIT);
    let entry = open(b"key", sealed).expect("it was just written");
    assert_eq!(entry.log_id, commit().log_id);
    let commands = |entry: Entry| match entry.payload {
        EntryPayload::Normal(proposal) => proposal.commands,
        other => panic!("{other:?}"),
    };
    assert_eq!(commands(entry), commands(commit()));
}

#[test]
fn the_bytes_of_blank_and_membership_entries_are_fixed() {
    let entry = |payload| Entry {
        log_id: log_id(4, 2, 301),
        payload,
    };
    let blank = seal_entry(b"key", &entry(EntryPayload::Blank));
    assert_eq!(hex(&blank), BLANK);
    let blank = open(b"key", blank).expect("it was just written");
    assert!(matches!(blank.payload, EntryPayload::Blank));
    let members = seal_entry(b"key", &entry(EntryPayload::Membership(membership())));
    assert_eq!(hex(&members), MEMBERS);
    let members = open(b"key", members).expect("it was just written");
    let EntryPayload::Membership(found) = members.payload else {
        panic!("{:?}", members.payload);
    };
    assert_eq!(found, membership());
}

#[test]
fn the_bytes_of_votes_and_positions_are_fixed() {
    for (vote, bytes) in [
        (Vote::new(4, 2), "010104020102"),
        (Vote::new_committed(4, 2), "010104020102030101"),
        (Vote::default(), ""),
    ] {
        let encoded = VoteRecord::from(&vote).encode();
        assert_eq!(hex(&encoded), bytes);
        let decoded = VoteRecord::decode(encoded.into()).expect("it was just written");
        assert_eq!(decoded.vote(), vote);
    }
    let stored = StoredMembership::new(Some(log_id(1, 1, 3)), membership());
    let record = PositionRecord::new(Some(log_id(4, 2, 300)), &stored);
    let encoded = record.encode();
    assert_eq!(hex(&encoded), POSITION);
    let decoded = PositionRecord::decode(encoded.into()).expect("it was just written");
    let position = decoded.position().expect("it knows all of it");
    assert_eq!(position, (Some(log_id(4, 2, 300)), stored));
}

#[test]
fn what_this_binary_does_not_know_is_refused_and_not_passed_over() {
    let mut record = EntryRecord::from(&commit());
    let unknown = BTreeMap::from([(99, Bytes::from_static(b"new"))]);
    record.unknown = unknown.clone();
    assert!(matches!(record.entry(), Err(CodecError::Unknown(_))));
    let mut record = EntryRecord::from(&commit());
    record.commands[0].unknown = unknown.clone();
    assert!(matches!(record.entry(), Err(CodecError::Unknown(_))));
    let mut record = EntryRecord::from(&commit());
    record.commands[0].batches[0].operations[1].unknown = unknown;
    assert!(matches!(record.entry(), Err(CodecError::Unknown(_))));
    let mut record = EntryRecord::from(&commit());
    record.commands[0].batches[0].operations[1].kind = 9;
    assert!(matches!(record.entry(), Err(CodecError::Kind(_))));
    let mut sealed = seal_entry(b"key", &commit());
    assert!(
        open(b"other key", sealed.clone()).is_err(),
        "it is of another place"
    );
    // Another format, with a checksum that is right for it.
    sealed[0] = envelope::FORMAT + 1;
    let later = Bytes::from(sealed);
    assert!(open_entry(b"key", &later).is_err());
}

#[test]
fn every_flipped_bit_of_an_entry_is_found() {
    let sealed = seal_entry(b"key", &commit());
    for at in 0..sealed.len() {
        let mut damaged = sealed.clone();
        damaged[at] ^= 0x10;
        assert!(open(b"key", damaged).is_err(), "{at}");
    }
}

const COMMIT: &str = "\
    01000000000000012c010a0101040201020302ac02036964016260011906010101020161060101020201620a01\
    01030201630302ac0202210d010101020161030576616c7565060101020201620b01010303066368756e6b7303\
    056576656e740410000000000000000000000000010203040504646f6e65060107000302010580e963af490e5c\
    d9\
";
const BLANK: &str = "01000000000000012d010a0101040201020302ad02a2dd21b330326ccf";
const MEMBERS: &str = "01000000000000012d010a0101040201020302ad02026601120801060101010201030801060102010301040250\
    0f010101020a686f7374313a393030300f010102020a686f7374323a393030300f010103020a686f7374333a39\
    3030300f010104020a686f7374343a393030300f010105020a686f7374353a39303030801aeffc84e416bc";
const POSITION: &str = "010a0101040201020302ac02020901010102010103010303660112080106010101020103080106010201030104\
    02500f010101020a686f7374313a393030300f010102020a686f7374323a393030300f010103020a686f737433\
    3a393030300f010104020a686f7374343a393030300f010105020a686f7374353a39303030";
