//! While a node dies the others notice at different times. Beats of three nodes in three zones, as the server sends
//! them, and a node that dies or is cut off at any moment: nobody else is ever given up.

use super::*;

const MS: fn(u64) -> Duration = Duration::from_millis;
/// Time between beats, and between decisions.
const EVERY_MS: u64 = 250;
/// From the death of a node to the decision that it is out: a second of silence, two decisions, and what a beat and
/// its answer take.
const SOON_MS: u64 = 1600;
const DEATH_MS: u64 = 3000;
const END_MS: u64 = 8000;

/// What becomes of the last node.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Dies,
    /// Nothing that it sends arrives.
    IsNotHeard,
    /// Nothing arrives at it.
    HearsNobody,
}

#[derive(Debug, Clone)]
struct Plan {
    /// Disks of each node.
    disks: [usize; 3],
    /// Which node it happens to, and what.
    victim: usize,
    fate: Fate,
    /// Which of the others keeps the map: the first or the second.
    keeper: usize,
    /// When each node beats first, within 250 ms.
    beats: [u64; 3],
    /// When the keeper decides first.
    decides: u64,
    /// How long a message takes, at the most.
    latency: u64,
    /// How much later a beat may be.
    jitter: u64,
    seed: u64,
    /// The victim is up again after this time.
    back_after: Option<u64>,
}

/// One node: when it heard each other one, and what that one said then of whom it had heard (as times).
#[derive(Debug, Default, Clone)]
struct Peer {
    heard: BTreeMap<usize, (u64, BTreeMap<usize, u64>)>,
}

impl Peer {
    fn pulse(&self) -> BTreeMap<usize, u64> {
        self.heard.iter().map(|(id, (at, _))| (*id, *at)).collect()
    }
}

struct Message {
    arrives: u64,
    from: usize,
    to: usize,
    pulse: BTreeMap<usize, u64>,
    is_answer: bool,
}

struct World {
    plan: Plan,
    peers: [Peer; 3],
    messages: Vec<Message>,
    random: u64,
}

impl World {
    fn random(&mut self, below: u64) -> u64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.random >> 33) % (below + 1)
    }

    fn is_gone(&self, now: u64) -> bool {
        let end = self
            .plan
            .back_after
            .map_or(u64::MAX, |after| DEATH_MS + after);
        (DEATH_MS..end).contains(&now)
    }

    fn is_cut(&self, from: usize, to: usize, now: u64) -> bool {
        let victim = self.plan.victim;
        self.is_gone(now)
            && match self.plan.fate {
                Fate::Dies => from == victim || to == victim,
                Fate::IsNotHeard => from == victim,
                Fate::HearsNobody => to == victim,
            }
    }

    fn send(&mut self, from: usize, to: usize, now: u64, is_answer: bool) {
        if self.is_cut(from, to, now) {
            return;
        }
        let arrives = now + self.random(self.plan.latency);
        let pulse = self.peers[from].pulse();
        self.messages.push(Message {
            arrives,
            from,
            to,
            pulse,
            is_answer,
        });
    }

    fn deliver(&mut self, now: u64) {
        let arrived = |message: &mut Message| message.arrives <= now;
        let arrived: Vec<Message> = self.messages.extract_if(.., arrived).collect();
        for message in arrived {
            let Message { from, to, .. } = message;
            if self.plan.fate == Fate::Dies && to == self.plan.victim && self.is_gone(now) {
                continue;
            }
            self.peers[to].heard.insert(from, (now, message.pulse));
            if !message.is_answer {
                self.send(to, from, now, true);
            }
        }
    }

    fn heard(&self, me: usize, now: u64) -> Heard {
        let mut heard = Heard::new();
        for (id, (at, pulse)) in &self.peers[me].heard {
            heard.insert((node(me), node(*id)), MS(now - at));
            for (other, at) in pulse {
                heard.insert((node(*id), node(*other)), MS(now - at));
            }
        }
        heard
    }
}

fn node(number: usize) -> NodeId {
    NodeId(u32::try_from(number).unwrap() + 1)
}

/// Each change of what the map marks, and when; and whether a healthy node was ever marked.
fn run(plan: &Plan) -> Vec<(u64, BTreeSet<NodeId>)> {
    let me = (0..3)
        .filter(|at| *at != plan.victim)
        .nth(plan.keeper)
        .unwrap();
    let witness = |(number, disks): (usize, &usize)| Witness {
        id: node(number),
        zone: ZoneId(u16::try_from(number).unwrap()),
        disks: *disks,
    };
    let all: Vec<Witness> = plan.disks.iter().enumerate().map(witness).collect();
    let mut world = World {
        plan: plan.clone(),
        peers: Default::default(),
        messages: Vec::new(),
        random: plan.seed,
    };
    let (mut beats, mut decides) = (plan.beats, plan.decides);
    let mut watch = OutageWatch::new(Duration::ZERO);
    let (mut down, mut changes) = (BTreeSet::new(), Vec::new());
    for time in 0..END_MS {
        let was_gone = time > 0 && world.is_gone(time - 1);
        if plan.fate == Fate::Dies && was_gone && !world.is_gone(time) {
            // A new process has heard nobody, and beats at once.
            world.peers[plan.victim] = Peer::default();
            beats[plan.victim] = time;
        }
        world.deliver(time);
        for (from, next) in beats.iter_mut().enumerate() {
            if time >= *next {
                *next = time + EVERY_MS + world.random(plan.jitter);
                for to in (0..3).filter(|to| *to != from) {
                    world.send(from, to, time, false);
                }
            }
        }
        if time >= decides {
            decides = time + EVERY_MS + world.random(plan.jitter);
            let heard = world.heard(me, time);
            let (at, limits) = (MS(time), OutageLimits::default());
            let decided = watch.decide(&all, node(me), &heard, (&down, at), limits);
            if decided != down {
                changes.push((time, decided.clone()));
                down = decided;
            }
        }
    }
    changes
}

fn plans() -> impl Strategy<Value = Plan> {
    let disks = prop::sample::select(vec![[3, 3, 3], [6, 2, 2], [2, 6, 2], [2, 2, 6], [1, 2, 9]]);
    let fates = prop::sample::select(vec![Fate::Dies, Fate::IsNotHeard, Fate::HearsNobody]);
    let phases = (prop::array::uniform3(0..EVERY_MS), 0..EVERY_MS);
    let who = (0_usize..3, 0_usize..2);
    let times = (1_u64..20, 0_u64..20, any::<u64>());
    let back = prop::option::of(50_u64..3000);
    (disks, fates, phases, who, times, back).prop_map(
        |(disks, fate, (beats, decides), (victim, keeper), (latency, jitter, seed), back_after)| {
            Plan {
                disks,
                victim,
                fate,
                keeper,
                beats,
                decides,
                latency,
                jitter,
                seed,
                back_after,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn a_dying_node_is_out_soon_and_no_other_one_ever(plan in plans()) {
        let changes = run(&plan);
        let victim = BTreeSet::from([node(plan.victim)]);
        for (at, down) in &changes {
            prop_assert!(down.is_subset(&victim), "{down:?} at {at}: {changes:?}");
        }
        if plan.back_after.is_none() {
            let [(at, down)] = &changes[..] else {
                return Err(TestCaseError::fail(format!("{changes:?}")));
            };
            prop_assert_eq!(down, &victim);
            prop_assert!((DEATH_MS..=DEATH_MS + SOON_MS).contains(at), "{at}");
        }
    }
}
