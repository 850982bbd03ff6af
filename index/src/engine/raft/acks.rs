//! Who has heard a leader, and when: whether it may go on as one.
//!
//! openraft's own measure (`millis_since_quorum_ack`) is taken when its loop turns, and the loop waits for
//! each sync of the log. This one is taken where answers arrive.

use super::types::{Membership, Vote};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::Duration;

/// Answers to one node's messages as the leader of one group.
#[derive(Debug, Default)]
pub struct Acks {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Under which vote the answers below were given.
    vote: Vote,
    /// When the vote was first seen to be won: a quorum had granted it just then.
    since: Duration,
    /// When each member was sent something that it has answered.
    heard: BTreeMap<u64, Duration>,
    /// When each member was last sent anything.
    sent: BTreeMap<u64, Duration>,
    /// Until when nothing is sent.
    silent_until: Option<Duration>,
    /// When the last silence ended.
    resumed: Duration,
}

impl State {
    fn under(&mut self, vote: Vote, now: Duration) -> &mut Self {
        if self.vote != vote {
            *self = Self {
                vote,
                since: now,
                ..Self::default()
            };
        }
        self
    }

    fn quorum_heard(&self, me: u64, members: &Membership, now: Duration) -> Duration {
        let config = |voters: &std::collections::BTreeSet<u64>| {
            let heard = |node: &u64| {
                let heard = self.heard.get(node).copied();
                let heard = if *node == me { Some(now) } else { heard };
                heard.unwrap_or(self.since)
            };
            let mut times: Vec<Duration> = voters.iter().map(heard).collect();
            times.sort_unstable();
            // With n voters, n / 2 may be later ones' business: the rest is a majority.
            times.get(voters.len().saturating_sub(1) / 2).copied()
        };
        let configs = members.get_joint_config().iter().filter_map(config);
        configs.min().unwrap_or(now)
    }
}

impl Acks {
    /// Notes that something is being sent to `node`.
    pub fn sending(&self, vote: Vote, node: u64, now: Duration) {
        let mut state = self.state.lock();
        state.under(vote, now).sent.insert(node, now);
    }

    /// Notes that `node` has accepted the leader in an answer to what was sent at `sent`.
    pub fn heard(&self, vote: Vote, node: u64, sent: Duration) {
        let mut state = self.state.lock();
        if state.vote == vote {
            let heard = state.heard.entry(node).or_default();
            *heard = sent.max(*heard);
        }
    }

    /// How long ago a quorum has last accepted `me` as the leader by `vote`.
    pub fn quorum_age(&self, vote: Vote, me: u64, members: &Membership, now: Duration) -> Duration {
        let mut state = self.state.lock();
        let heard = state.under(vote, now).quorum_heard(me, members, now);
        now.saturating_sub(heard)
    }

    /// How long a quorum has not answered although it was asked to.
    pub fn unanswered(&self, vote: Vote, me: u64, members: &Membership, now: Duration) -> Duration {
        let mut state = self.state.lock();
        let state = state.under(vote, now);
        let heard = state.quorum_heard(me, members, now);
        now.saturating_sub(heard.max(state.resumed))
    }

    /// Members that were sent nothing since `before`.
    pub fn quiet(&self, vote: Vote, members: &Membership, me: u64, before: Duration) -> Vec<u64> {
        let state = self.state.lock();
        let is_quiet = |node: &u64| {
            let sent = state.sent.get(node).filter(|_| state.vote == vote);
            sent.is_none_or(|sent| *sent < before)
        };
        let others = members.nodes().map(|(node, _)| *node);
        others
            .filter(|node| *node != me && is_quiet(node))
            .collect()
    }

    /// Sends nothing under `vote` until `until`, so that the others may elect another leader.
    pub fn fall_silent(&self, vote: Vote, until: Duration) {
        let mut state = self.state.lock();
        if state.vote == vote {
            state.silent_until = Some(until);
        }
    }

    /// Whether nothing is to be sent under `vote`. When the silence has ended, answers are waited for anew.
    pub fn is_silent(&self, vote: Vote, now: Duration) -> bool {
        let mut state = self.state.lock();
        match state.silent_until.filter(|_| state.vote == vote) {
            Some(until) if now < until => true,
            Some(_) => {
                state.silent_until = None;
                state.resumed = now;
                false
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const MS: Duration = Duration::from_millis(1);

    fn members(configs: &[&[u64]]) -> Membership {
        let set = |config: &&[u64]| config.iter().copied().collect::<BTreeSet<_>>();
        Membership::new(configs.iter().map(set).collect(), ())
    }

    #[test]
    fn a_quorum_of_each_config_counts_the_leader_itself() {
        let (acks, vote) = (Acks::default(), Vote::new_committed(3, 1));
        let age = |configs: &[&[u64]]| acks.quorum_age(vote, 1, &members(configs), 100 * MS);
        acks.sending(vote, 2, 10 * MS);
        assert_eq!(age(&[&[1, 2, 3]]), 90 * MS, "since it was elected");
        acks.heard(vote, 2, 70 * MS);
        assert_eq!(age(&[&[1, 2, 3]]), 30 * MS);
        assert_eq!(age(&[&[1]]), Duration::ZERO);
        assert_eq!(age(&[&[1, 2]]), 30 * MS, "both are needed");
        assert_eq!(age(&[&[1, 2, 3, 4]]), 90 * MS, "three are needed");
        assert_eq!(age(&[&[1, 2, 3], &[3, 4, 5]]), 90 * MS, "in each config");
        acks.heard(Vote::new_committed(2, 1), 3, 99 * MS);
        assert_eq!(age(&[&[1, 2, 3, 4]]), 90 * MS, "of another time as leader");
        acks.heard(vote, 3, 80 * MS);
        assert_eq!(age(&[&[1, 2, 3, 4]]), 30 * MS);
    }

    #[test]
    fn silence_is_of_one_vote_and_ends() {
        let (acks, vote) = (Acks::default(), Vote::new_committed(3, 1));
        acks.sending(vote, 2, 10 * MS);
        acks.fall_silent(vote, 50 * MS);
        assert!(acks.is_silent(vote, 49 * MS));
        assert!(!acks.is_silent(Vote::new_committed(4, 1), 49 * MS));
        assert!(!acks.is_silent(vote, 50 * MS));
        let all = members(&[&[1, 2, 3]]);
        assert_eq!(acks.unanswered(vote, 1, &all, 60 * MS), 10 * MS);
        assert_eq!(acks.quorum_age(vote, 1, &all, 60 * MS), 50 * MS);
        assert_eq!(acks.quiet(vote, &all, 1, 10 * MS), [3]);
    }
}
