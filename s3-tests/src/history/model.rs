//! What one operation does to one key.

use super::{Call, Condition, Event, Outcome, Value, Version, Versioning};
use std::collections::{HashMap, HashSet};

/// A key, as the answers so far allow it to be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct KeyState {
    pub versioning: Versioning,
    /// Newest first.
    pub versions: Vec<Entry>,
    /// Values whose upload has been completed, of those that are completed more than once.
    completed: Vec<Value>,
}

/// A version, or a delete marker, which has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Entry {
    pub name: Name,
    pub value: Option<Value>,
}

/// What a version is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Name {
    Known(Version),
    /// The event that made it was not answered, and nobody has seen its id yet.
    Unseen(usize),
}

/// What the whole history tells of names: answers that come later name what was made before.
pub(super) struct Names {
    of_value: HashMap<Value, Version>,
    /// Ids that answered writes and deletes have made.
    made: HashSet<usize>,
    /// Values whose upload is completed by more than one event.
    repeated: HashSet<Value>,
    /// By id: the last list that has it, and its place there. Versions never change their order, so a list
    /// tells in which order they were made; without that, every two writes that overlap would double the
    /// states that are possible.
    listed: HashMap<usize, (usize, usize)>,
}

/// Whether a condition holds.
#[derive(PartialEq, Eq)]
enum Holds {
    Yes,
    No,
    /// `If-Match` and no object.
    NoObject,
}

impl Names {
    /// Reads the names out of a history; the later of two events that were given the same id.
    pub fn read(events: &[Event]) -> Result<Self, usize> {
        let mut names = Self {
            of_value: HashMap::new(),
            made: HashSet::new(),
            repeated: HashSet::new(),
            listed: HashMap::new(),
        };
        let mut completed = HashSet::new();
        let mut maker: HashMap<usize, (usize, Option<Value>)> = HashMap::new();
        for (index, event) in events.iter().enumerate() {
            if let Call::Complete(value, _) = event.call
                && !completed.insert(value)
            {
                names.repeated.insert(value);
            }
            let (value, version) = match (&event.call, &event.outcome) {
                (Call::Put(value, _) | Call::Complete(value, _), Outcome::Stored(version)) => {
                    names.of_value.insert(*value, *version);
                    (Some(*value), *version)
                }
                (Call::Delete(_), Outcome::Deleted(Some(version))) => (None, *version),
                _ => continue,
            };
            let Version::Id(id) = version else { continue };
            names.made.insert(id);
            if let Some((other, of)) = maker.insert(id, (index, value))
                && (of != value || value.is_none())
            {
                return Err(index.max(other));
            }
        }
        for (index, event) in events.iter().enumerate() {
            match &event.outcome {
                Outcome::Found(value, version) => names.seen(*value, *version),
                Outcome::Listed(entries) => {
                    for (at, (version, value)) in entries.iter().enumerate() {
                        if let Version::Id(id) = version {
                            names.listed.insert(*id, (index, at));
                        }
                        value.iter().for_each(|value| names.seen(*value, *version));
                    }
                }
                _ => {}
            }
        }
        Ok(names)
    }

    fn seen(&mut self, value: Value, version: Version) {
        self.of_value.entry(value).or_insert(version);
    }
}

impl KeyState {
    /// A key that does not exist.
    pub fn new(versioning: Versioning) -> Self {
        Self {
            versioning,
            versions: Vec::new(),
            completed: Vec::new(),
        }
    }

    /// The states in which the key may be after `event` took effect on this one with the outcome that it
    /// had; none if it cannot have had it here. For an unknown outcome, those in which it changed
    /// something.
    pub fn step(&self, names: &Names, index: usize, event: &Event) -> Vec<Self> {
        let outcome = &event.outcome;
        match event.call {
            Call::Put(value, condition) => {
                self.write(names, (index, outcome), value, condition, false)
            }
            Call::Complete(value, condition) => {
                self.write(names, (index, outcome), value, condition, true)
            }
            Call::Delete(condition) => self.delete(names, index, condition, outcome),
            Call::DeleteVersion(version) => self.delete_version(names, version, outcome),
            Call::Read => self.read(names, 0, outcome),
            Call::ReadVersion(version) => self.read_version(names, version, outcome),
            Call::List => self.list(names, outcome),
            Call::Look => {
                let fits = *outcome == Outcome::Shown(self.current());
                fits.then(|| self.clone()).into_iter().collect()
            }
            Call::SetVersioning(versioning) => {
                let is_set = matches!(outcome, Outcome::Set | Outcome::Unknown);
                let next = Self {
                    versioning,
                    ..self.clone()
                };
                is_set.then_some(next).into_iter().collect()
            }
        }
    }

    fn current(&self) -> Option<Value> {
        self.versions.first().and_then(|entry| entry.value)
    }

    fn holds(&self, condition: Condition) -> Holds {
        match (condition, self.current()) {
            (Condition::Always, _) | (Condition::Absent, None) => Holds::Yes,
            (Condition::Absent, Some(_)) => Holds::No,
            (Condition::Is(_), None) => Holds::NoObject,
            (Condition::Is(value), Some(current)) if value == current => Holds::Yes,
            (Condition::Is(_), Some(_)) => Holds::No,
        }
    }

    fn write(
        &self,
        names: &Names,
        (index, outcome): (usize, &Outcome),
        value: Value,
        condition: Condition,
        is_completion: bool,
    ) -> Vec<Self> {
        if is_completion && self.completed.contains(&value) {
            // A completion of what is completed says again what the first one said, and changes nothing.
            match outcome {
                Outcome::Stored(version) if names.of_value.get(&value) == Some(version) => {
                    return vec![self.clone()];
                }
                Outcome::Stored(_) | Outcome::Unknown => return Vec::new(),
                _ => {}
            }
        }
        match (self.holds(condition), outcome) {
            (Holds::Yes, Outcome::Stored(_) | Outcome::Unknown) => {
                let known = match outcome {
                    Outcome::Stored(version) => Some(*version),
                    _ => names.of_value.get(&value).copied(),
                };
                let mut next = self.inserted(names, (index, known), Some(value));
                if let Some(next) = &mut next
                    && is_completion
                    && names.repeated.contains(&value)
                {
                    next.completed.push(value);
                    next.completed.sort_unstable();
                }
                next.into_iter().collect()
            }
            (Holds::No, Outcome::Failed) | (Holds::NoObject, Outcome::Missing) => {
                vec![self.clone()]
            }
            _ => Vec::new(),
        }
    }

    /// With a new newest version; None if it cannot be called what the answer calls it, or a list has it
    /// below one that is there already.
    fn inserted(
        &self,
        names: &Names,
        (index, known): (usize, Option<Version>),
        value: Option<Value>,
    ) -> Option<Self> {
        let makes_null = self.versioning != Versioning::Enabled;
        let name = match known {
            Some(version) if (version == Version::Null) != makes_null => return None,
            Some(version) => Name::Known(version),
            None if makes_null => Name::Known(Version::Null),
            None => Name::Unseen(index),
        };
        if let Name::Known(version) = name
            && self
                .versions
                .iter()
                .any(|entry| names.is_listed_below(version, entry.name))
        {
            return None;
        }
        let mut next = self.clone();
        if makes_null {
            next.versions.retain(|entry| entry.name != name);
        }
        next.versions.insert(0, Entry { name, value });
        Some(next)
    }

    fn delete(
        &self,
        names: &Names,
        index: usize,
        condition: Condition,
        outcome: &Outcome,
    ) -> Vec<Self> {
        match (self.holds(condition), outcome) {
            (Holds::No, Outcome::Failed) | (Holds::NoObject, Outcome::Missing) => {
                vec![self.clone()]
            }
            (Holds::No | Holds::NoObject, _) | (_, Outcome::Failed | Outcome::Missing) => {
                Vec::new()
            }
            (Holds::Yes, _) if self.versioning == Versioning::Off => {
                let mut next = self.clone();
                next.versions
                    .retain(|entry| entry.name != Name::Known(Version::Null));
                let fits = matches!(outcome, Outcome::Deleted(None) | Outcome::Unknown);
                fits.then_some(next).into_iter().collect()
            }
            (Holds::Yes, _) => {
                let known = match outcome {
                    Outcome::Deleted(Some(marker)) => Some(*marker),
                    Outcome::Unknown => None,
                    _ => return Vec::new(),
                };
                self.inserted(names, (index, known), None)
                    .into_iter()
                    .collect()
            }
        }
    }

    fn delete_version(&self, names: &Names, version: Version, outcome: &Outcome) -> Vec<Self> {
        let removed = |at: usize| {
            let mut next = self.clone();
            next.versions.remove(at);
            next
        };
        if let Some(at) = self.place(version) {
            let marker = self.versions[at].value.is_none().then_some(version);
            let fits = *outcome == Outcome::Deleted(marker) || *outcome == Outcome::Unknown;
            return fits.then(|| removed(at)).into_iter().collect();
        }
        let may_be_unseen =
            matches!(outcome, Outcome::Unknown) || *outcome == Outcome::Deleted(Some(version));
        let mut next = Vec::new();
        if *outcome == Outcome::Deleted(None) {
            next.push(self.clone());
        }
        if may_be_unseen {
            next.extend(self.unseen_markers(names, version).map(removed));
        }
        next
    }

    fn place(&self, version: Version) -> Option<usize> {
        let name = Name::Known(version);
        self.versions.iter().position(|entry| entry.name == name)
    }

    /// The places of delete markers that may turn out to be `version`.
    fn unseen_markers(
        &self,
        names: &Names,
        version: Version,
    ) -> impl Iterator<Item = usize> + use<'_> {
        let may_be = names.may_be_unseen(version);
        (0..self.versions.len()).filter(move |at| may_be && self.is_unseen_marker(*at))
    }

    fn is_unseen_marker(&self, at: usize) -> bool {
        let entry = self.versions[at];
        entry.value.is_none() && matches!(entry.name, Name::Unseen(_))
    }

    /// Reads the version at a place, which may be past the end.
    fn read(&self, names: &Names, at: usize, outcome: &Outcome) -> Vec<Self> {
        let seen = match (self.versions.get(at), outcome) {
            (None, Outcome::Missing) => return vec![self.clone()],
            (Some(_), Outcome::Found(value, version)) => (*version, Some(*value)),
            (Some(_), Outcome::Marker(version)) => (*version, None),
            _ => return Vec::new(),
        };
        let mut next = self.clone();
        let fits = next.recognise(names, at, seen);
        fits.then_some(next).into_iter().collect()
    }

    /// Whether the version at a place can be what was seen; if so it has that name from now on.
    fn recognise(&mut self, names: &Names, at: usize, seen: (Version, Option<Value>)) -> bool {
        let (version, value) = seen;
        let entry = self.versions[at];
        let is_unseen = self.is_unseen_marker(at);
        if entry.value != value {
            return false;
        }
        if is_unseen && names.may_be_unseen(version) && self.place(version).is_none() {
            self.versions[at].name = Name::Known(version);
            return true;
        }
        entry.name == Name::Known(version)
    }

    fn read_version(&self, names: &Names, version: Version, outcome: &Outcome) -> Vec<Self> {
        let is_named = match outcome {
            Outcome::Found(_, seen) | Outcome::Marker(seen) => *seen == version,
            _ => true,
        };
        match self.place(version) {
            _ if !is_named => Vec::new(),
            Some(at) => self.read(names, at, outcome),
            None if *outcome == Outcome::Missing => vec![self.clone()],
            None => self
                .unseen_markers(names, version)
                .flat_map(|at| self.read(names, at, outcome))
                .collect(),
        }
    }

    fn list(&self, names: &Names, outcome: &Outcome) -> Vec<Self> {
        let Outcome::Listed(seen) = outcome else {
            return Vec::new();
        };
        let mut next = self.clone();
        let fits = seen.len() == self.versions.len()
            && (0..seen.len()).all(|at| next.recognise(names, at, seen[at]));
        fits.then_some(next).into_iter().collect()
    }
}

impl Names {
    /// Whether the last list with this version has the other one above it.
    fn is_listed_below(&self, version: Version, other: Name) -> bool {
        let place = |version| match version {
            Version::Id(id) => self.listed.get(&id),
            Version::Null => None,
        };
        let Name::Known(other) = other else {
            return false;
        };
        match (place(version), place(other)) {
            (Some((list, at)), Some((same, above))) => list == same && at > above,
            _ => false,
        }
    }

    /// Whether a version may be one whose maker was not answered.
    fn may_be_unseen(&self, version: Version) -> bool {
        matches!(version, Version::Id(id) if !self.made.contains(&id))
    }
}
