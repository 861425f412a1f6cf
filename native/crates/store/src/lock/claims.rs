//! Unique keys that a load adds, claimed a batch at a time instead of being locked one by one.
//!
//! A transaction that brings many rows registers its key set of an index here and adds its keys under the stripe's lock,
//! unless anybody has locked a key of the index (it then locks key by key as everybody does). Whoever locks a single key
//! looks here afterwards, and waits for the load's end if it has the key. Either the load comes first, and its key is
//! found; or the lock does, and the load sees that there are locks (`Meeting`).
//!
//! A claim lasts until the transaction releases its `LockTag::Keys`, which is after its rows were published.
//!
//! Lock order: a stripe, then key sets.

use std::sync::Mutex;

use crate::key::Entry;
use crate::key::set::SharedKeys;
use crate::sync::protocol::Meeting;
use crate::sync::{lock, read, write};

/// A power of two. Indexes that share a stripe only keep each other from the quick way.
const STRIPES: usize = 64;

struct Load {
    process_id: u32,
    index: u32,
    keys: SharedKeys,
}

#[derive(Default)]
struct Stripe {
    /// Keys locked one by one, and loads.
    meeting: Meeting,
    loads: Mutex<Vec<Load>>,
}

pub struct Claims {
    stripes: [Stripe; STRIPES],
}

impl Default for Claims {
    fn default() -> Self {
        Self { stripes: std::array::from_fn(|_| Stripe::default()) }
    }
}

impl Claims {
    fn stripe(&self, index: u32) -> &Stripe {
        &self.stripes[index as usize % STRIPES]
    }

    /// A lock on a key of the index came to be.
    pub(super) fn key_locked(&self, index: u32) {
        self.stripe(index).meeting.single_comes();
    }

    pub(super) fn key_unlocked(&self, index: u32) {
        self.stripe(index).meeting.single_goes();
    }

    /// Adds a load's entries to its `keys` and claims them, as far as nobody else claims the key and the load has not got
    /// it yet; entries without `true` are added unasked. Returns how many rows from the front are done: none while keys of
    /// the index are locked. The session must hold `LockTag::Keys` of the index.
    pub fn claim(
        &self,
        process_id: u32,
        index: u32,
        keys: &SharedKeys,
        rows: &[Option<(Entry, bool)>],
    ) -> usize {
        let stripe = self.stripe(index);
        let mut loads = lock(&stripe.loads);
        let keys_of_it = SharedKeys::clone(keys);
        let own = |load: &&mut Load| load.process_id == process_id && load.index == index;
        if let Some(load) = loads.iter_mut().find(own) {
            load.keys = keys_of_it;
        } else {
            loads.push(Load { process_id, index, keys: keys_of_it });
            stripe.meeting.load_comes();
        }
        if stripe.meeting.has_singles() {
            return 0;
        }
        let others = loads.iter().filter(|l| l.index == index && l.process_id != process_id);
        let others: Vec<_> = others.map(|load| read(&load.keys)).collect();
        let mut own = write(keys);
        for (done, row) in rows.iter().enumerate() {
            let Some((entry, is_unique)) = row else { continue };
            let key = entry.key();
            if *is_unique && (others.iter().any(|o| o.has_key(key)) || own.has_key(key)) {
                return done;
            }
            own.insert(entry.clone());
        }
        rows.len()
    }

    /// The session, other than `process_id`, whose load has claimed the key.
    pub fn claimant(&self, process_id: u32, index: u32, key: &[u8]) -> Option<u32> {
        let stripe = self.stripe(index);
        if !stripe.meeting.has_loads() {
            return None;
        }
        let loads = lock(&stripe.loads);
        let mut others = loads.iter().filter(|l| l.index == index && l.process_id != process_id);
        others.find(|load| read(&load.keys).has_key(key)).map(|load| load.process_id)
    }

    /// The load's transaction has ended, or what it loaded was taken back.
    pub(super) fn release(&self, process_id: u32, index: u32) {
        let stripe = self.stripe(index);
        let mut loads = lock(&stripe.loads);
        let before = loads.len();
        loads.retain(|load| load.process_id != process_id || load.index != index);
        stripe.meeting.loads_go(before - loads.len());
    }
}
