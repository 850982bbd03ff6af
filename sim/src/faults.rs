//! What goes wrong, at random.

use crate::background::skew_ms;
use crate::dice::Dice;
use crate::disk::{LinkFault, SimDisk};
use crate::machine::Machine;
use crate::store::StoreFaults;
use crate::world::{DISKS, GATEWAYS, World};
use scheduler::returned;
use std::sync::Arc;
use types::{DiskId, DiskState};

/// Makes things go wrong until it is dropped.
pub(crate) async fn run(world: Arc<World>, dice: Dice) {
    // One disk alone may lose what it had or have it damaged: more is not promised to be borne.
    let mut may_lose = dice.percent(60);
    loop {
        tokio::time::sleep(dice.millis(20, 1_000)).await;
        match dice.below(100) {
            0..22 => cut_power(&world, &dice),
            22..44 => break_link(&world, &dice),
            44..64 => break_store(&world, &dice),
            64..76 => jump(&world, &dice),
            76..86 => world.replace_gateway(dice.index(GATEWAYS)),
            86..93 => mark(&world, &dice),
            _ if may_lose => may_lose = !lose(&world, &dice).await,
            _ => {}
        }
    }
}

fn a_disk(world: &World, dice: &Dice) -> Arc<SimDisk> {
    Arc::clone(&world.site.disks[dice.index(DISKS)])
}

fn a_gateway(world: &World, dice: &Dice) -> Arc<Machine> {
    world.gateway(dice.index(GATEWAYS)).machine
}

/// One disk loses power, or two of one node.
fn cut_power(world: &Arc<World>, dice: &Dice) {
    let first = dice.index(DISKS);
    let mut disks = vec![Arc::clone(&world.site.disks[first])];
    if dice.percent(30) {
        disks.push(Arc::clone(&world.site.disks[first ^ 1]));
    }
    let changes = u32::try_from(dice.below(60)).unwrap_or_default();
    let (after, pause) = (dice.millis(0, 500), dice.millis(100, 8_000));
    for disk in disks {
        let (world, dice) = (Arc::clone(world), dice.fork());
        disk.end_power_after(changes);
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            disk.crash(dice.seed());
            let log = &world.site.log;
            log.line(format_args!("disk {} has lost power", disk.id));
            if dice.percent(10) {
                // What is made of the volumes alone is walked through, as after any doubt.
                world.site.keeper.mark(disk.id, DiskState::Down);
                disk.lose_catalog();
            }
            tokio::time::sleep(pause).await;
            match disk.open() {
                Ok(true) => log.line(format_args!("disk {} serves again", disk.id)),
                Ok(false) => log.line(format_args!("disk {} lost power while it opened", disk.id)),
                Err(error) => log.violation(format_args!("disk {}: {error}", disk.id)),
            }
        });
    }
}

fn break_link(world: &World, dice: &Dice) {
    let (machine, disk) = (a_gateway(world, dice), a_disk(world, dice));
    let fault = match dice.below(4) {
        0 => LinkFault::Refused,
        1 => LinkFault::Silent,
        2 => LinkFault::Slow,
        _ => LinkFault::Failing,
    };
    let log = &world.site.log;
    log.line(format_args!(
        "{} to disk {}: {fault:?}",
        machine.name, disk.id
    ));
    let link = Arc::clone(&machine.links[&disk.id]);
    *link.lock() = fault;
    let pause = dice.millis(100, 6_000);
    tokio::spawn(async move {
        tokio::time::sleep(pause).await;
        *link.lock() = LinkFault::None;
    });
}

fn break_store(world: &World, dice: &Dice) {
    let machine = a_gateway(world, dice);
    let faults = StoreFaults {
        unavailable: dice.below(30),
        indeterminate: dice.below(50),
        slow: dice.below(30),
    };
    let log = &world.site.log;
    log.line(format_args!("{} to the index: {faults:?}", machine.name));
    *machine.store_faults.lock() = faults;
    let pause = dice.millis(100, 6_000);
    tokio::spawn(async move {
        tokio::time::sleep(pause).await;
        *machine.store_faults.lock() = StoreFaults::NOISE;
    });
}

fn jump(world: &World, dice: &Dice) {
    let (machine, skew_ms) = (a_gateway(world, dice), skew_ms(dice));
    let log = &world.site.log;
    log.line(format_args!(
        "{}: its clock is wrong by {skew_ms} ms",
        machine.name
    ));
    machine.clock.set_skew_ms(skew_ms);
}

/// An operator marks a disk that is well.
fn mark(world: &World, dice: &Dice) {
    let state = match dice.percent(50) {
        true => DiskState::ReadOnly,
        false => DiskState::Down,
    };
    world.site.keeper.mark(a_disk(world, dice).id, state);
}

/// One disk loses something; whether it did, as that must not be while another lacks shards.
async fn lose(world: &World, dice: &Dice) -> bool {
    if !is_whole(world, world.operator()).await {
        return false;
    }
    let (disk, log) = (a_disk(world, dice), &world.site.log);
    if dice.percent(50) {
        log.line(format_args!("disk {} has damage", disk.id));
        disk.damage(dice);
        return true;
    }
    log.line(format_args!("disk {} is replaced", disk.id));
    world.site.keeper.mark(disk.id, DiskState::Down);
    if let Err(error) = disk.replace() {
        log.violation(format_args!("disk {}: {error}", disk.id));
    }
    true
}

/// Whether no disk is known to lack anything.
async fn is_whole(world: &World, machine: &Machine) -> bool {
    let view = world.site.keeper.view();
    let is_up = |disk: &Arc<SimDisk>| {
        view.map.state(disk.id) == DiskState::Up
            && disk
                .store()
                .is_some_and(|store| store.read_only().is_none())
    };
    if !world.site.disks.iter().all(is_up) || !world.site.keeper.dirty().is_empty() {
        return false;
    }
    let is_none_back = returned::remembered(&machine.index).await;
    if !is_none_back.is_ok_and(|disks| disks.is_empty()) {
        return false;
    }
    for partition in machine.index.partitions() {
        let missing = machine.index.missing_shards(partition, None, 1).await;
        if !missing.is_ok_and(|missing| missing.is_empty()) {
            return false;
        }
    }
    true
}

/// Brings back disks that are marked, again and again: those that take no writes are started again, and all are
/// put on the list of those that may lack shards before they are up.
pub(crate) async fn mend(world: Arc<World>, dice: Dice) {
    loop {
        tokio::time::sleep(dice.millis(500, 3_000)).await;
        let view = world.site.keeper.view();
        for disk in &world.site.disks {
            if dice.percent(40) {
                mend_disk(&world, disk, view.map.state(disk.id), dice.seed()).await;
            }
        }
    }
}

async fn mend_disk(world: &World, disk: &SimDisk, state: DiskState, seed: u64) {
    let Some(store) = disk.store() else { return };
    if store.read_only().is_some() {
        drop(store);
        disk.crash(seed);
        world
            .site
            .log
            .line(format_args!("disk {} is started again", disk.id));
        if let Err(error) = disk.open() {
            world
                .site
                .log
                .violation(format_args!("disk {}: {error}", disk.id));
        }
    }
    if state != DiskState::Up {
        bring_back(world, disk.id).await;
    }
}

async fn bring_back(world: &World, disk: DiskId) {
    match returned::remember(&world.operator().index, [disk]).await {
        Ok(()) => world.site.keeper.mark(disk, DiskState::Up),
        Err(error) => world
            .site
            .log
            .line(format_args!("disk {disk} stays as it is: {error}")),
    }
}

/// Ends every fault: all disks serve and are up.
pub(crate) async fn heal(world: &World, dice: &Dice) {
    for slot in 0..GATEWAYS {
        world.gateway(slot).machine.heal();
    }
    for disk in &world.site.disks {
        if let Err(error) = disk.open() {
            let log = &world.site.log;
            log.violation(format_args!("disk {}: {error}", disk.id));
        }
        // Twice: what takes no writes is started again, and then brought back.
        let state = world.site.keeper.view().map.state(disk.id);
        mend_disk(world, disk, state, dice.seed()).await;
    }
}
