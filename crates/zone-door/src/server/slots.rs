//! The table of connections: bounded, and no client can fill it for good by being silent.

use std::cell::RefCell;
use std::rc::Rc;

use tokio::sync::watch;
use tokio::task::AbortHandle;

/// What a connection is doing. The order is the order in which connections are given up for a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Activity {
    /// It has not sent a whole message yet.
    Silent,
    /// Its last call is answered.
    Idle,
    /// It reads a stream of events.
    Monitoring,
    /// It waits for an operation. Never given up.
    Working,
}

#[derive(Debug)]
struct Slot {
    id: u64,
    activity: Activity,
    /// Grows with each change of activity in the table: the smaller, the longer ago.
    since: u64,
    task: Option<AbortHandle>,
}

/// The table.
#[derive(Debug)]
pub(super) struct Slots {
    table: Vec<Slot>,
    limit: usize,
    clock: u64,
    /// How many there are, for whoever waits for a change of that.
    count: watch::Sender<usize>,
}

/// A connection's place in the table; dropping it frees the place.
#[derive(Debug)]
pub(super) struct Place {
    slots: Rc<RefCell<Slots>>,
    id: u64,
}

impl Slots {
    pub(super) fn new(limit: usize) -> Self {
        Self { table: Vec::new(), limit, clock: 0, count: watch::Sender::new(0) }
    }

    /// Takes a place, if need be from the connection that is missed least; `None` if all are at work.
    pub(super) fn reserve(slots: &Rc<RefCell<Self>>) -> Option<Place> {
        let mut table = slots.borrow_mut();
        if table.len() >= table.limit && !table.free_one() {
            return None;
        }
        table.clock += 1;
        let id = table.clock;
        table.table.push(Slot { id, activity: Activity::Silent, since: id, task: None });
        table.tell();
        Some(Place { slots: Rc::clone(slots), id })
    }

    /// Tells which task serves the connection, so that it can be ended.
    pub(super) fn attach(&mut self, id: u64, task: AbortHandle) {
        if let Some(slot) = self.table.iter_mut().find(|slot| slot.id == id) {
            slot.task = Some(task);
        }
    }

    /// Ends the connection that is missed least. False if all are at work.
    pub(super) fn free_one(&mut self) -> bool {
        let victim = self
            .table
            .iter()
            .enumerate()
            .filter(|(_, slot)| slot.activity < Activity::Working)
            .min_by_key(|(_, slot)| (slot.activity, slot.since))
            .map(|(index, _)| index);
        let Some(index) = victim else { return false };
        if let Some(task) = self.table.swap_remove(index).task {
            task.abort();
        }
        self.tell();
        true
    }

    /// To wait for changes of how many there are.
    pub(super) fn changes(&self) -> watch::Receiver<usize> {
        self.count.subscribe()
    }

    fn tell(&self) {
        self.count.send_replace(self.table.len());
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }
}

impl Place {
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn set(&self, activity: Activity) {
        let mut slots = self.slots.borrow_mut();
        slots.clock += 1;
        let since = slots.clock;
        if let Some(slot) = slots.table.iter_mut().find(|slot| slot.id == self.id) {
            slot.activity = activity;
            slot.since = since;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut slots = self.slots.borrow_mut();
        slots.table.retain(|slot| slot.id != self.id);
        slots.tell();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(slots: &Rc<RefCell<Slots>>) -> Vec<u64> {
        let mut ids: Vec<u64> = slots.borrow().table.iter().map(|slot| slot.id).collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn gives_up_the_silent_then_the_idle_then_the_monitors_and_never_the_working() {
        let slots = Rc::new(RefCell::new(Slots::new(5)));
        let places: Vec<Place> = (0..5).map(|_| Slots::reserve(&slots).unwrap()).collect();
        let id: Vec<u64> = places.iter().map(Place::id).collect();
        places[0].set(Activity::Working);
        places[1].set(Activity::Monitoring);
        places[4].set(Activity::Idle);
        places[3].set(Activity::Idle);
        for expected in
            [vec![id[0], id[1], id[3], id[4]], vec![id[0], id[1], id[3]], vec![id[0], id[1]], vec![id[0]]]
        {
            assert!(slots.borrow_mut().free_one());
            assert_eq!(ids(&slots), expected);
        }
        assert!(!slots.borrow_mut().free_one());
    }

    #[test]
    fn a_full_table_of_working_connections_admits_nobody_until_one_leaves() {
        let slots = Rc::new(RefCell::new(Slots::new(1)));
        let place = Slots::reserve(&slots).unwrap();
        place.set(Activity::Working);
        assert!(Slots::reserve(&slots).is_none());
        drop(place);
        assert!(Slots::reserve(&slots).is_some());
        assert_eq!(slots.borrow().len(), 0);
    }
}
