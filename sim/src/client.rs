//! Clients: what they ask for, at random, and what they are told.

use crate::dice::Dice;
use crate::gateway::{Gateway, Reply, Upload};
use crate::record::{Open, Place};
use crate::world::{BUCKETS, GATEWAYS, World, keys};
use index::VersionRef;
use parking_lot::Mutex;
use s3_tests::history::{Call, Condition, Outcome, Value, Versioning};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Writes with an unknown outcome after which a key is only read: each may have happened at any later time,
/// which doubles what must be looked through.
const UNKNOWN_MAX: usize = 4;

/// See the module.
pub(crate) struct Client {
    world: Arc<World>,
    number: usize,
    dice: Dice,
    places: Vec<Place>,
    /// The key that all clients ask for most.
    hot: usize,
    /// Milliseconds between two requests, at the most.
    pause_ms: u64,
    /// What it has last seen of each key.
    seen: BTreeMap<Place, Value>,
}

impl Client {
    /// A client; all clients of a world have the same `mood`.
    pub fn new(world: Arc<World>, number: usize, dice: Dice, mood: u64) -> Self {
        let places = world.record.places();
        Self {
            hot: (mood % places.len() as u64) as usize,
            pause_ms: if mood.is_multiple_of(2) { 20 } else { 400 },
            world,
            number,
            dice,
            places,
            seen: BTreeMap::new(),
        }
    }

    /// Makes this many requests, one after the other.
    pub async fn run(mut self, requests: usize) {
        for _ in 0..requests {
            tokio::time::sleep(self.dice.millis(0, self.pause_ms)).await;
            let slot = match self.dice.percent(70) {
                true => self.number % GATEWAYS,
                false => self.dice.index(GATEWAYS),
            };
            let gateway = self.world.gateway(slot);
            self.request(gateway).await;
        }
    }

    async fn request(&mut self, gateway: Gateway) {
        let place = match self.dice.percent(40) {
            true => self.places[self.hot].clone(),
            false => self.places[self.dice.index(self.places.len())].clone(),
        };
        if self.world.record.unknown(&place) >= UNKNOWN_MAX {
            return self.get(gateway, place).await;
        }
        match self.dice.below(100) {
            0..34 => self.put(gateway, place).await,
            34..58 => self.get(gateway, place).await,
            58..70 => self.delete(gateway, place).await,
            70..78 => self.copy(gateway, place).await,
            78..86 => self.upload(gateway, place).await,
            86..92 => self.of_version(gateway, place).await,
            92..97 => self.look(gateway, place.0).await,
            _ => self.set_versioning(gateway).await,
        }
    }

    /// Asks; a gateway that dies meanwhile gives no answer.
    async fn ask(
        &self,
        gateway: Gateway,
        (place, what): (&Place, &str),
        asked: impl Future<Output = Reply> + Send + 'static,
    ) -> Reply {
        let task = tokio::spawn(asked);
        let reply = tokio::select! {
            biased;
            reply = task => reply.expect("an operation does not panic"),
            () = gateway.machine.alive.dead() => Reply::Unknown("the gateway died".to_owned()),
        };
        self.world.site.log.line(format_args!(
            "client {} at {}: {what} {}/{}: {reply}",
            self.number, gateway.machine.name, place.0, place.1
        ));
        reply
    }

    /// Records what was told of a write.
    fn close_write(&mut self, open: Open, place: &Place, call: Call, reply: Reply) {
        let outcome = match reply {
            Reply::Nothing(_) => return,
            Reply::Unknown(_) => Outcome::Unknown,
            Reply::Told(outcome) => outcome,
        };
        if let (Outcome::Stored(_), Call::Put(value, _) | Call::Complete(value, _)) =
            (&outcome, call)
        {
            self.seen.insert(place.clone(), value);
        }
        self.world.record.close(open, place, call, outcome);
    }

    fn condition(&self, place: &Place) -> Condition {
        match (self.dice.below(10), self.seen.get(place)) {
            (0..2, _) => Condition::Absent,
            (2..6, Some(value)) => Condition::Is(*value),
            _ => Condition::Always,
        }
    }

    fn length(&self) -> usize {
        let range = match self.dice.below(100) {
            0..10 => (0, 0),
            10..40 => (1, 4_000),
            40..65 => (4_097, 32_000),
            65..96 => (33_000, 300_000),
            _ => (1_000_000, 2_400_000),
        };
        self.dice.between(range.0, range.1) as usize
    }

    async fn put(&mut self, gateway: Gateway, place: Place) {
        let value = self.world.record.new_value(&place, self.length());
        let condition = self.condition(&place);
        let open = self.world.record.open(self.number);
        let (to, own) = (place.clone(), gateway.clone());
        let asked = async move { own.put(&to, value, condition).await };
        let reply = self
            .ask(
                gateway,
                (&place, &format!("PUT v{value}{condition}")),
                asked,
            )
            .await;
        self.close_write(open, &place, Call::Put(value, condition), reply);
    }

    async fn upload(&mut self, gateway: Gateway, place: Place) {
        // Now and then more parts than a version's record has room for.
        let (length, parts) = match self.dice.percent(4) {
            true => (70 * 5_000, 70),
            false => (self.dice.between(5_000, 200_000), self.dice.between(1, 4)),
        };
        let value = self.world.record.new_value(&place, length as usize);
        let upload = Upload {
            value,
            condition: self.condition(&place),
            part_bytes: length.div_ceil(parts) as usize,
            is_aborted: self.dice.percent(15),
        };
        let open = self.world.record.open(self.number);
        let (to, own) = (place.clone(), gateway.clone());
        let asked = async move { own.upload(&to, upload).await };
        let what = format!("UPLOAD v{value}{}", upload.condition);
        let reply = self.ask(gateway, (&place, &what), asked).await;
        if !upload.is_aborted {
            self.close_write(open, &place, Call::Complete(value, upload.condition), reply);
        }
    }

    async fn copy(&mut self, gateway: Gateway, to: Place) {
        let from = self.places[self.dice.index(self.places.len())].clone();
        let condition = self.condition(&to);
        let open = self.world.record.open(self.number);
        let copied: Arc<Mutex<Option<Value>>> = Arc::default();
        let (own, source, target, told) = (
            gateway.clone(),
            from.clone(),
            to.clone(),
            Arc::clone(&copied),
        );
        let asked = async move { own.copy(&source, (&target, condition), &told).await };
        let what = format!("COPY of {}/{}{condition}", from.0, from.1);
        let reply = self.ask(gateway, (&to, &what), asked).await;
        let value = *copied.lock();
        if let Some(value) = value {
            self.close_write(open, &to, Call::Put(value, condition), reply);
        }
    }

    async fn delete(&mut self, gateway: Gateway, place: Place) {
        let condition = match self.condition(&place) {
            Condition::Absent => Condition::Always,
            other => other,
        };
        let open = self.world.record.open(self.number);
        let (of, own) = (place.clone(), gateway.clone());
        let asked = async move { own.delete(&of, None, condition).await };
        let reply = self
            .ask(gateway, (&place, &format!("DELETE{condition}")), asked)
            .await;
        self.close_write(open, &place, Call::Delete(condition), reply);
    }

    async fn get(&mut self, gateway: Gateway, place: Place) {
        let open = self.world.record.open(self.number);
        let (of, own) = (place.clone(), gateway.clone());
        let asked = async move { own.get(&of, None).await };
        let reply = self.ask(gateway, (&place, "GET"), asked).await;
        if let Reply::Told(outcome) = reply {
            if let Outcome::Found(value, _) = outcome {
                self.seen.insert(place.clone(), value);
            }
            self.world.record.close(open, &place, Call::Read, outcome);
        }
    }

    /// Reads or deletes one of a key's versions.
    async fn of_version(&mut self, gateway: Gateway, place: Place) {
        let versions = tokio::select! {
            biased;
            versions = gateway.list_versions(&place) => versions.unwrap_or_default(),
            () = gateway.machine.alive.dead() => return,
        };
        if versions.is_empty() {
            return;
        }
        let version: VersionRef = versions[self.dice.index(versions.len())].version;
        let name = self.world.record.version(version);
        let is_delete = self.dice.percent(60);
        let open = self.world.record.open(self.number);
        let (of, own) = (place.clone(), gateway.clone());
        let asked = async move {
            match is_delete {
                true => own.delete(&of, Some(version), Condition::Always).await,
                false => own.get(&of, Some(version)).await,
            }
        };
        let what = format!("{} {name:?} of", if is_delete { "DELETE" } else { "GET" });
        let reply = self.ask(gateway, (&place, &what), asked).await;
        if is_delete {
            self.close_write(open, &place, Call::DeleteVersion(name), reply);
        } else if let Reply::Told(outcome) = reply {
            self.world
                .record
                .close(open, &place, Call::ReadVersion(name), outcome);
        }
    }

    async fn look(&mut self, gateway: Gateway, bucket: &'static str) {
        let open = self.world.record.open(self.number);
        let listed = tokio::select! {
            biased;
            listed = gateway.list(bucket) => listed,
            () = gateway.machine.alive.dead() => return,
        };
        let Ok(listed) = listed else { return };
        self.world.site.log.line(format_args!(
            "client {}: LIST {bucket}: {listed:?}",
            self.number
        ));
        for key in keys() {
            let shown = listed.iter().find(|(listed, _)| *listed == key);
            let outcome = Outcome::Shown(shown.and_then(|(_, value)| *value));
            self.world
                .record
                .close(open, &(bucket, key), Call::Look, outcome);
        }
    }

    async fn set_versioning(&mut self, gateway: Gateway) {
        let bucket = BUCKETS[2].0;
        let to = match self.dice.percent(50) {
            true => Versioning::Enabled,
            false => Versioning::Suspended,
        };
        let open = self.world.record.open(self.number);
        let own = gateway.clone();
        let asked = async move { own.set_versioning(bucket, to).await };
        let place = (bucket, String::new());
        let reply = self
            .ask(gateway, (&place, &format!("VERSIONING {to:?}")), asked)
            .await;
        let outcome = match reply {
            Reply::Nothing(_) => return,
            Reply::Unknown(_) => Outcome::Unknown,
            Reply::Told(outcome) => outcome,
        };
        for key in keys() {
            let place = (bucket, key);
            self.world
                .record
                .close(open, &place, Call::SetVersioning(to), outcome.clone());
        }
    }
}
