//! Taking nodes out: their neighbours are joined past them, and their numbers become free.
//!
//! Until then a removed row is a node that no filter accepts and that goes on carrying paths. Many of them make searches
//! slow, so they are taken out together, in one pass over the graph (as FreshDiskANN consolidates, arXiv 2105.09613): a
//! node that links to removed ones gets their neighbours as candidates and chooses anew, and what it chooses links back.
//! Searches run all the while. The chain of a removed node with equal live ones goes over to the first of those.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64};

use crate::codes::Codes;
use crate::graph::{HnswGraph, lock};
use crate::insert::{InsertScratch, PruneScratch};
use crate::scratch::Candidate;
use crate::sync::{Fault, Mutex, Ordering, planted};
use crate::threads::share;
use crate::{Cancelled, VectorSource};

/// Removed nodes that are looked through for one link to them. Removed regions hang together: one step is not always
/// enough to get out, and the first live node is not enough to know the other side of the hole. Until as many are found as
/// a node has links, the search goes on: with the first alone, recall in and around a removed half was .953 against .993 of
/// a graph that never had it, with these .988 (`tests/removal.rs`).
const MAX_STEPS: usize = 32;

/// A node that keeps no more than this share of its links lies at the edge of a hole, and what is around the hole it cannot
/// learn from neighbours' neighbours: it looks for its place anew. Where every row was written anew twenty times, a tenth of
/// them did not find themselves when the share was a quarter, half a percent do not now (`tests/removal.rs`); three
/// quarters would be no better.
const ORPHAN_AT: (usize, usize) = (1, 2);

/// What is to be removed.
struct Removal {
    /// One bit a node.
    removed: Vec<u64>,
    /// For removed first nodes of chains, the live node that takes their place.
    heirs: HashMap<u32, u32>,
}

impl Removal {
    fn is_removed(&self, node: u32) -> bool {
        self.removed[node as usize / 64] >> (node % 64) & 1 == 1
    }

    /// The live node that a link to `node` should lead to, if there is one at its place.
    fn resolve(&self, node: u32) -> Option<u32> {
        if self.is_removed(node) { self.heirs.get(&node).copied() } else { Some(node) }
    }
}

impl HnswGraph {
    /// Takes out every node below [`HnswGraph::len`] that `is_removed` names, and returns once no search can hold one of
    /// them: from then on their numbers may be given to other vectors and inserted again. Numbers that were never linked,
    /// or were taken out before, may be among them.
    ///
    /// The source has the old vectors until this returns. Searches may run; insertions, other removals and
    /// [`HnswGraph::write_image`] may not. `progress` counts nodes looked at. Cancelled, it leaves a graph that is whole:
    /// the removed nodes are still nodes, and calling again goes on.
    pub fn remove<S: VectorSource>(
        &self,
        is_removed: impl Fn(u32) -> bool,
        source: &S,
        threads: usize,
        progress: &AtomicU64,
        cancel: &AtomicBool,
    ) -> Result<(), Cancelled> {
        self.forget_linked_when_stored();
        let nodes = self.len();
        let mut removed = vec![0u64; nodes as usize / 64 + 1];
        for node in (0..nodes).filter(|&node| is_removed(node)) {
            removed[node as usize / 64] |= 1 << (node % 64);
        }
        let mut removal = Removal { removed, heirs: HashMap::new() };
        let is_early = planted(Fault::WaitBeforeDetach);
        if is_early {
            self.epochs.wait_for_readers();
        }
        if self.has_twins() {
            self.mend_chains(nodes, &mut removal);
        }
        self.note_live_lengths(|node| !removal.is_removed(node), source);
        let orphans = Mutex::new(Vec::new());
        share(nodes as usize, threads, cancel, |share| {
            let mut scratch = PruneScratch::default();
            for node in share.map(|at| at as u32) {
                progress.fetch_add(1, Ordering::Relaxed);
                if removal.is_removed(node) {
                    continue;
                }
                if self.detach(node, 0, &removal, source, &mut scratch) {
                    lock(&orphans).push(node);
                }
                if self.has_upper(node) {
                    for level in 1..=self.level_of(node) {
                        self.detach(node, level, &removal, source, &mut scratch);
                    }
                }
            }
        })?;
        self.replace_entry(nodes, &removal);
        let mut orphans = orphans.into_inner().expect("no thread panicked");
        orphans.sort_unstable();
        let codes = self.guiding_codes();
        let mut scratch = InsertScratch::new();
        for node in orphans.into_iter().filter(|&node| self.entry() != Some(node)) {
            // Too little that is live was near: it looks for neighbours as a new node does, and keeps what it has.
            if let Some(twin) = self.link_again(node, source, codes.as_deref(), &mut scratch) {
                self.move_chain(twin, node);
            }
        }
        self.reconnect(nodes, source, |node| removal.is_removed(node));
        // Searches that began before may stand on a removed node; later ones cannot come there.
        if !is_early {
            self.epochs.wait_for_readers();
        }
        for node in (0..nodes).filter(|&node| removal.is_removed(node)) {
            self.write_links(node, 0, std::iter::empty());
            if self.has_upper(node) {
                for level in 1..=self.level_of(node) {
                    self.write_links(node, level, std::iter::empty());
                }
            }
            if self.twin_slot(node).swap(0, Ordering::Relaxed) != 0 {
                self.twin_count.fetch_sub(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// Links a node anew that has links, and is linked to: these stay as far as they are as good as what it finds. A list
    /// written over would take the way to all those that only this node leads to.
    fn link_again<S: VectorSource>(
        &self,
        node: u32,
        source: &S,
        codes: Option<&Codes>,
        scratch: &mut InsertScratch,
    ) -> Option<u32> {
        let entry = self.entry()?;
        let highest = self.level_of(node).min(self.level_of(entry));
        let twin = self.choose(node, source, codes, (entry, highest), scratch);
        if twin.is_some() {
            return twin;
        }
        // An heir had none.
        self.prepare_upper(node, self.level_of(node));
        let exact = self.exact(source, node);
        for (level, chosen) in (0..=highest).zip(&scratch.chosen) {
            for neighbour in chosen {
                self.link_back(node, neighbour.node(), &exact, level, &mut scratch.prune);
                self.link_back(neighbour.node(), node, &exact, level, &mut scratch.prune);
            }
        }
        None
    }

    /// Takes removed nodes out of chains, and names the heirs of removed first ones. An heir gets its predecessor's links
    /// on level 0, removed ones among them: it is detached from those like any other node.
    fn mend_chains(&self, nodes: u32, removal: &mut Removal) {
        let mut hangs = vec![false; nodes as usize];
        for twin in (0..nodes).filter_map(|node| self.next_twin(node)).filter(|&twin| twin < nodes)
        {
            hangs[twin as usize] = true;
        }
        let heads = (0..nodes).filter(|&node| !hangs[node as usize]);
        for head in heads.filter(|&node| self.next_twin(node).is_some()) {
            let _writer = self.lock_node(head);
            let all = std::iter::successors(Some(head), |&node| self.next_twin(node));
            let live: Vec<u32> = all.filter(|&node| !removal.is_removed(node)).collect();
            // From the end, so that a search that walks the chain meanwhile misses no live node.
            for pair in live.windows(2).rev() {
                self.twin_slot(pair[0]).store(pair[1] + 1, Ordering::Release);
            }
            let Some((&first, &last)) = live.first().zip(live.last()) else { continue };
            self.twin_slot(last).store(0, Ordering::Release);
            if first != head {
                self.write_links(first, 0, self.neighbours(head, 0));
                removal.heirs.insert(head, first);
            }
        }
        // Chains that were cut short count for less; the count only tells whether to look at all.
        let hanging = (0..nodes).filter(|&node| self.next_twin(node).is_some()).count();
        self.twin_count.store(hanging as u32, Ordering::Relaxed);
    }

    /// Hangs `node`, with what hangs off it, off a linked node with the same vector. Unlike a new node it may be there
    /// already, or `first` off it.
    fn move_chain(&self, first: u32, node: u32) {
        let next = |&at: &u32| self.next_twin(at);
        if std::iter::successors(Some(first), next).any(|at| at == node) {
            return;
        }
        let _writer = self.lock_node(first);
        let own = std::iter::successors(Some(node), next).take_while(|&at| at != first);
        let last = own.last().expect("a chain has its head");
        // From the end, as in `mend_chains`.
        let rest = self.twin_slot(first).load(Ordering::Relaxed);
        self.twin_slot(last).store(rest, Ordering::Release);
        self.twin_slot(first).store(node + 1, Ordering::Release);
        self.twin_count.fetch_add(1, Ordering::Relaxed);
    }

    /// Joins `node` past the removed nodes among its links on a level; true when too few were left.
    fn detach<S: VectorSource>(
        &self,
        node: u32,
        level: u8,
        removal: &Removal,
        source: &S,
        scratch: &mut PruneScratch,
    ) -> bool {
        if self.neighbours(node, level).all(|link| !removal.is_removed(link)) {
            return false;
        }
        let exact = self.exact(source, node);
        let slots = self.slots(node, level).len();
        let (old, chosen) = {
            let _writer = self.lock_node(node);
            let old: Vec<u32> = self.neighbours(node, level).collect();
            let mut candidates = Vec::with_capacity(4 * slots);
            for &link in &old {
                self.around(link, level, removal, &mut candidates);
            }
            candidates.sort_unstable();
            candidates.dedup();
            candidates.retain(|&candidate| candidate != node);
            scratch.sorted.clear();
            scratch.sorted.extend(candidates.iter().map(|&link| Candidate::new(0.0, link)));
            self.thin(&exact, slots, scratch);
            let chosen: Vec<u32> = scratch.kept.iter().map(|candidate| candidate.node()).collect();
            self.write_links(node, level, chosen.iter().copied());
            (old, chosen)
        };
        let live = old.iter().filter(|&&link| !removal.is_removed(link)).count();
        let is_orphan = chosen.is_empty() || live * ORPHAN_AT.1 <= old.len() * ORPHAN_AT.0;
        // New links go both ways, or nodes that were reached through removed ones only would be lost.
        for link in chosen.into_iter().filter(|link| !old.contains(link)) {
            self.link_back(link, node, &exact, level, scratch);
        }
        is_orphan
    }

    /// The live nodes at or, through removed ones, around a link.
    fn around(&self, link: u32, level: u8, removal: &Removal, out: &mut Vec<u32>) {
        let resolved = |node| removal.resolve(node).filter(|&heir| level == 0 || heir == node);
        if let Some(live) = resolved(link) {
            return out.push(live);
        }
        let mut steps = vec![link];
        let mut at = 0;
        let before = out.len();
        while at < steps.len() && out.len() < before + usize::from(self.params.m) {
            for next in self.neighbours(steps[at], level) {
                match resolved(next) {
                    Some(live) => out.push(live),
                    None if steps.len() < MAX_STEPS && !steps.contains(&next) => steps.push(next),
                    None => {}
                }
            }
            at += 1;
        }
    }

    /// Moves the entry off a removed node: to the highest live one.
    fn replace_entry(&self, nodes: u32, removal: &Removal) {
        let _alone = self.lock_entry();
        if self.entry().is_none_or(|entry| !removal.is_removed(entry)) {
            return;
        }
        let live = (0..nodes).filter(|&node| !removal.is_removed(node));
        let raised = live.clone().filter(|&node| self.has_upper(node) && self.is_linked(node));
        let highest = raised.max_by_key(|&node| (self.level_of(node), std::cmp::Reverse(node)));
        let heir = || self.entry().and_then(|entry| removal.heirs.get(&entry).copied());
        match highest.or_else(|| live.clone().find(|&node| self.is_linked(node))).or_else(heir) {
            Some(node) => self.set_entry(node),
            None => self.clear_entry(),
        }
    }

    /// Whether anything leads on from `node` on level 0.
    fn is_linked(&self, node: u32) -> bool {
        self.neighbours(node, 0).next().is_some()
    }
}
