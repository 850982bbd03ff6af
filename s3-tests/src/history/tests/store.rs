//! A key of a store, executed: written apart from the model, to hold the model against.

use crate::history::{Call, Condition, Outcome, Value, Version, Versioning};

/// What a store keeps of one key. Oldest version first; a delete marker has no value.
pub struct Store {
    pub versioning: Versioning,
    kept: Vec<(Version, Option<Value>)>,
    completed: Vec<(Value, Version)>,
    ids: usize,
}

impl Store {
    pub fn new(versioning: Versioning) -> Self {
        Self {
            versioning,
            kept: Vec::new(),
            completed: Vec::new(),
            ids: 0,
        }
    }

    /// Names of versions, of which some exist.
    pub fn names(&self) -> Vec<Version> {
        let ids = (0..self.ids).map(Version::Id);
        ids.chain([Version::Null]).collect()
    }

    /// Carries out a call.
    pub fn run(&mut self, call: Call) -> Outcome {
        match call {
            Call::Put(value, condition) => self.put(value, condition),
            Call::Complete(value, condition) => {
                if let Some((_, version)) = self.completed.iter().find(|done| done.0 == value) {
                    return Outcome::Stored(*version);
                }
                let outcome = self.put(value, condition);
                if let Outcome::Stored(version) = outcome {
                    self.completed.push((value, version));
                }
                outcome
            }
            Call::Delete(condition) => {
                let value = self.kept.last().and_then(|last| last.1);
                match (condition, value) {
                    (Condition::Is(_), None) => return Outcome::Missing,
                    (Condition::Is(asked), Some(value)) if asked != value => {
                        return Outcome::Failed;
                    }
                    _ => {}
                }
                if self.versioning == Versioning::Off {
                    self.kept.clear();
                    return Outcome::Deleted(None);
                }
                Outcome::Deleted(Some(self.add(None)))
            }
            Call::DeleteVersion(version) => {
                let Some(at) = self.kept.iter().position(|kept| kept.0 == version) else {
                    return Outcome::Deleted(None);
                };
                let (_, value) = self.kept.remove(at);
                Outcome::Deleted(value.is_none().then_some(version))
            }
            Call::Read => shown(self.kept.last()),
            Call::ReadVersion(version) => shown(self.kept.iter().find(|kept| kept.0 == version)),
            Call::List => Outcome::Listed(self.kept.iter().rev().copied().collect()),
            Call::Look => Outcome::Shown(self.kept.last().and_then(|last| last.1)),
            Call::SetVersioning(versioning) => {
                self.versioning = versioning;
                Outcome::Set
            }
        }
    }

    fn put(&mut self, value: Value, condition: Condition) -> Outcome {
        let current = self.kept.last().and_then(|last| last.1);
        match (condition, current) {
            (Condition::Absent, Some(_)) => Outcome::Failed,
            (Condition::Is(_), None) => Outcome::Missing,
            (Condition::Is(asked), Some(current)) if asked != current => Outcome::Failed,
            _ => Outcome::Stored(self.add(Some(value))),
        }
    }

    fn add(&mut self, value: Option<Value>) -> Version {
        let version = if self.versioning == Versioning::Enabled {
            self.ids += 1;
            Version::Id(self.ids - 1)
        } else {
            self.kept.retain(|kept| kept.0 != Version::Null);
            Version::Null
        };
        self.kept.push((version, value));
        version
    }
}

fn shown(kept: Option<&(Version, Option<Value>)>) -> Outcome {
    match kept {
        None => Outcome::Missing,
        Some((version, Some(value))) => Outcome::Found(*value, *version),
        Some((version, None)) => Outcome::Marker(*version),
    }
}
