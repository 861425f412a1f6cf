//! The graph's storage: link slots, levels, the entry node, and which nodes are in.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};

use omen_kernels::Metric;

use crate::aim::Calibration;
use crate::codes::Codes;
use crate::epochs::Epochs;
use crate::pool::Pool;
use crate::review::Review;
use crate::sync::{AtomicU32, Mutex, MutexGuard, Ordering, publishing};
use crate::{EF_CONSTRUCTION_RANGE, HnswParams, M_RANGE, Quantisation};

/// With M = 2, level 16 is reached by one node in 65,536; more levels would only lengthen the descent.
pub(crate) const MAX_LEVEL: u8 = 16;
/// The largest node number: a beam keeps a mark beside the number in one word, and a link slot adds one to it.
pub const MAX_NODE: u32 = (1 << 31) - 2;
/// Locks that writers share nodes over. Far more than threads, so that two writers rarely meet.
const STRIPES: usize = if cfg!(all(test, feature = "model")) { 8 } else { 1024 };

const WORD: usize = size_of::<u32>();

/// See the crate's documentation for the shape and the invariants.
pub struct HnswGraph {
    pub(crate) params: HnswParams,
    /// 2M slots a node.
    pub(crate) base_links: Pool,
    /// One word a node: the first of its blocks in `upper_links`, zero when it lives on level 0 only.
    upper_blocks: Pool,
    /// M slots a block, one block for each level above 0 of each node; block 0 is never used.
    upper_links: Pool,
    next_upper_block: AtomicU32,
    /// One word a node: the next node with an equal vector, plus one.
    twins: Pool,
    /// How many nodes hang in a chain; while zero, readers need not look at `twins`.
    pub(crate) twin_count: AtomicU32,
    /// One word a node under cosine, none otherwise: the bits of the inverse norm.
    pub(crate) scales: Pool,
    /// Under the inner product: vectors of unequal lengths have come (`product`).
    pub(crate) is_uneven: AtomicBool,
    /// The quantised vectors, while there are some that tell neighbours apart (see `review`). Whoever reads them inside the
    /// epochs, or while insertions wait, keeps the ones it began with.
    codes: RwLock<Option<Arc<Codes>>>,
    pub(crate) review: Review,
    pub(crate) epochs: Epochs,
    pub(crate) calibration: Mutex<Option<Arc<Calibration>>>,
    /// The entry node plus one; zero in an empty graph.
    entry: AtomicU32,
    /// Held while the entry node is replaced, by the insertion that replaces it.
    entry_lock: Mutex<()>,
    stripes: Box<[Mutex<()>]>,
    completion: Mutex<Completion>,
    len: AtomicU32,
    /// [`HnswGraph::linked_nodes`] of the stored graph this was opened as, until the graph changes.
    linked_when_stored: RwLock<Option<Vec<u64>>>,
    /// A block of the stored graph that somebody came by was damaged.
    damaged: Arc<AtomicBool>,
}

/// The rows of a graph.
pub(crate) struct Pools {
    pub base_links: Pool,
    pub upper_blocks: Pool,
    pub upper_links: Pool,
    pub twins: Pool,
    pub scales: Pool,
}

/// The numbers of a graph: nodes, entry node plus one, rows of upper links, nodes in chains of equals.
#[derive(Clone, Copy, Default)]
pub(crate) struct Counts {
    pub nodes: u32,
    pub entry: u32,
    pub blocks: u32,
    pub twins: u32,
}

/// Which insertions have finished: all below `len`, and those in `ahead`.
#[derive(Default)]
struct Completion {
    len: u32,
    ahead: BinaryHeap<Reverse<u32>>,
}

/// Reads under a lock that only a panic can poison, which leaves whole values.
fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a lock that only a panic can poison; a panic while linking takes the process down, recovery decides.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("a panic while linking aborts the process")
}

impl HnswGraph {
    /// An empty graph.
    ///
    /// Panics when `params` are outside their ranges: the caller checks what users write.
    pub fn new(params: HnswParams) -> Self {
        assert!(M_RANGE.contains(&params.m), "m within its limits");
        let pools = Pools {
            base_links: Pool::new(2 * params.m as usize * WORD),
            upper_blocks: Pool::new(WORD),
            upper_links: Pool::new(params.m as usize * WORD),
            twins: Pool::new(WORD),
            scales: Pool::new(usize::from(params.metric == Metric::Cosine) * WORD),
        };
        Self::from_parts(params, pools, Counts { blocks: 1, ..Counts::default() }, None)
    }

    /// A graph out of a stored one's parts, which fit together.
    pub(crate) fn from_parts(
        params: HnswParams,
        pools: Pools,
        counts: Counts,
        codes: Option<Codes>,
    ) -> Self {
        assert!(
            EF_CONSTRUCTION_RANGE.contains(&params.ef_construction),
            "ef_construction within its limits"
        );
        assert!(params.alpha >= 1.0, "alpha of at least one");
        assert!(params.quantisation.fits(params.metric), "codes that the metric has");
        let Pools { base_links, upper_blocks, upper_links, twins, scales } = pools;
        Self {
            params,
            base_links,
            upper_blocks,
            upper_links,
            next_upper_block: AtomicU32::new(counts.blocks),
            twins,
            twin_count: AtomicU32::new(counts.twins),
            scales,
            is_uneven: AtomicBool::new(false),
            review: Review::new(params.quantisation, counts.nodes, codes.is_some()),
            codes: RwLock::new(codes.map(Arc::new)),
            epochs: Epochs::default(),
            calibration: Mutex::default(),
            entry: AtomicU32::new(counts.entry),
            entry_lock: Mutex::new(()),
            stripes: (0..STRIPES).map(|_| Mutex::new(())).collect(),
            completion: Mutex::new(Completion { len: counts.nodes, ahead: BinaryHeap::new() }),
            len: AtomicU32::new(counts.nodes),
            linked_when_stored: RwLock::default(),
            damaged: Arc::default(),
        }
    }

    pub fn params(&self) -> &HnswParams {
        &self.params
    }

    /// Every node below this number is in the graph (or was skipped).
    pub fn len(&self) -> u32 {
        self.len.load(Ordering::Acquire)
    }

    /// Which nodes below [`HnswGraph::len`] a search can come to, or could if a path led there: one bit a node. The others
    /// were skipped, removed, or have no defined distance.
    pub fn linked_nodes(&self) -> Vec<u64> {
        if let Some(linked) = &*read(&self.linked_when_stored) {
            return linked.clone();
        }
        let nodes = self.len();
        let mut linked = vec![0u64; (nodes as usize).div_ceil(64)];
        let mut mark = |node: u32| linked[node as usize / 64] |= 1 << (node % 64);
        for node in 0..nodes {
            if self.neighbours(node, 0).next().is_some() {
                mark(node);
            }
            if let Some(twin) = self.next_twin(node).filter(|&twin| twin < nodes) {
                // A chain begins at a linked node, if only at the only one.
                mark(node);
                mark(twin);
            }
        }
        if let Some(entry) = self.entry().filter(|&entry| entry < nodes) {
            mark(entry);
        }
        linked
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes this graph keeps in memory, vectors not included, codes included.
    pub fn memory_bytes(&self) -> usize {
        let len = self.len();
        let per_node = [&self.base_links, &self.upper_blocks, &self.twins, &self.scales];
        per_node.iter().map(|pool| pool.used_bytes(len)).sum::<usize>()
            + self.code_bytes()
            + self.upper_links.used_bytes(self.next_upper_block.load(Ordering::Relaxed))
            + self.stripes.len() * size_of::<Mutex<()>>()
            + size_of::<Self>()
    }

    /// Whether the codes of this graph, if it has any, are of vectors of `dim` dimensions.
    pub fn fits_dimension(&self, dim: usize) -> bool {
        self.codes().is_none_or(|codes| codes.dim == dim)
    }

    /// Bytes of the quantised vectors.
    pub fn code_bytes(&self) -> usize {
        self.codes().map_or(0, |codes| codes.pool.used_bytes(self.len()))
    }

    /// Leaves `node` out for good, so that [`HnswGraph::len`] can move past a number that got no vector.
    pub fn skip(&self, node: u32) {
        self.prepare(node);
        self.complete(node);
    }

    pub(crate) fn level_of(&self, node: u32) -> u8 {
        level_of(self.params.seed, self.params.m, node)
    }

    /// The quantised vectors that a traversal reads, if this graph has them (now).
    #[inline]
    pub(crate) fn codes(&self) -> Option<Arc<Codes>> {
        if self.params.quantisation == Quantisation::None {
            return None;
        }
        read(&self.codes).clone()
    }

    /// Codes that insertions traverse by.
    pub(crate) fn guiding_codes(&self) -> Option<Arc<Codes>> {
        self.codes().filter(|codes| codes.can_guide_building())
    }

    /// Every linked node has its code in `codes`; or traversals read the vectors from now on. Insertions wait meanwhile.
    pub(crate) fn publish_codes(&self, codes: Option<Arc<Codes>>) {
        *self.codes.write().unwrap_or_else(PoisonError::into_inner) = codes;
    }

    /// The nodes that have a code where there are codes. Insertions wait meanwhile.
    pub(crate) fn coded_nodes(&self) -> Vec<u32> {
        let linked = self.linked_nodes();
        let is_linked = |&node: &u32| linked[node as usize / 64] >> (node % 64) & 1 == 1;
        let len = self.len();
        let mut nodes: Vec<u32> = (0..len).filter(is_linked).collect();
        // And those that finished before one with a lower number.
        let ahead: Vec<u32> =
            lock(&self.completion).ahead.iter().map(|&Reverse(node)| node).collect();
        let is_reached =
            |node: u32| self.neighbours(node, 0).next().is_some() || self.entry() == Some(node);
        let twins = nodes.iter().chain(&ahead).filter_map(|&node| self.next_twin(node));
        let hanging: Vec<u32> = twins.filter(|&twin| twin >= len).collect();
        let heads =
            ahead.iter().filter(|&&node| self.next_twin(node).is_some() || is_reached(node));
        nodes.extend(hanging.into_iter().chain(heads.copied()));
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    /// What [`HnswGraph::linked_nodes`] says of a stored graph that nobody has changed.
    pub(crate) fn set_linked_when_stored(&self, linked: Option<Vec<u64>>) {
        *self.linked_when_stored.write().unwrap_or_else(PoisonError::into_inner) = linked;
    }

    /// Before links change, or nodes come.
    pub(crate) fn forget_linked_when_stored(&self) {
        if read(&self.linked_when_stored).is_some() {
            self.set_linked_when_stored(None);
        }
    }

    /// What is set when a block of the stored graph turns out damaged.
    pub(crate) fn set_damage_mark(&mut self, mark: Arc<AtomicBool>) {
        self.damaged = mark;
    }

    /// Looks at all that was stored.
    pub(crate) fn look_at_stored(&self) {
        self.base_links.look_at_all();
        if let Some(codes) = self.codes() {
            codes.pool.look_at_all();
        }
    }

    /// False once a search, or whoever else, came by bytes of the stored graph that do not match their sum. Such links and
    /// codes count as empty: nothing leads out of the file, but what the graph finds since then is not to be trusted, and
    /// whoever asks this after a search never gives a wrong answer.
    pub fn is_sound(&self) -> bool {
        !self.damaged.load(Ordering::Acquire)
    }

    pub(crate) fn entry(&self) -> Option<u32> {
        self.entry.load(Ordering::Acquire).checked_sub(1)
    }

    pub(crate) fn set_entry(&self, node: u32) {
        self.entry.store(node + 1, Ordering::Release);
    }

    /// Nothing is linked any more.
    pub(crate) fn clear_entry(&self) {
        self.entry.store(0, Ordering::Release);
    }

    pub(crate) fn lock_entry(&self) -> MutexGuard<'_, ()> {
        lock(&self.entry_lock)
    }

    /// The lock under which `node`'s slots and the head of its chain change.
    pub(crate) fn lock_node(&self, node: u32) -> MutexGuard<'_, ()> {
        lock(&self.stripes[node as usize % STRIPES])
    }

    /// Makes room for a node that nobody can reach yet.
    pub(crate) fn prepare(&self, node: u32) {
        self.forget_linked_when_stored();
        assert!(node <= MAX_NODE, "a node number within its limit");
        for pool in [&self.base_links, &self.upper_blocks, &self.twins, &self.scales] {
            pool.ensure(node);
        }
    }

    /// Makes room for the links of levels 1..=`level` of a node that nobody can reach yet.
    pub(crate) fn prepare_upper(&self, node: u32, level: u8) {
        // A number that was given before keeps its blocks: its level is the same.
        if level == 0 || self.has_upper(node) {
            return;
        }
        let first = self.next_upper_block.fetch_add(level as u32, Ordering::Relaxed);
        for block in first..first + level as u32 {
            self.upper_links.ensure(block);
        }
        self.upper_blocks.words(node)[0].store(first, Ordering::Relaxed);
    }

    /// True when `node` has link slots above level 0.
    pub(crate) fn has_upper(&self, node: u32) -> bool {
        self.upper_blocks.words(node)[0].load(Ordering::Relaxed) != 0
    }

    /// The link slots of `node` on `level`, which must be one of its levels.
    #[inline]
    pub(crate) fn slots(&self, node: u32, level: u8) -> &[AtomicU32] {
        if level == 0 {
            return self.base_links.words(node);
        }
        let first = self.upper_blocks.words(node)[0].load(Ordering::Relaxed);
        debug_assert!(first != 0, "a node linked on a level has slots there");
        self.upper_links.words(first + level as u32 - 1)
    }

    /// The neighbours of `node` on `level`. While a writer changes the slots, a reader may see some neighbours twice or
    /// not at all; every number it sees is a linked node.
    #[inline]
    pub(crate) fn neighbours(&self, node: u32, level: u8) -> impl Iterator<Item = u32> {
        self.slots(node, level).iter().map_while(|slot| slot.load(Ordering::Acquire).checked_sub(1))
    }

    /// Asks the CPU for the links of a node on one of its levels.
    #[inline(always)]
    pub(crate) fn prefetch_links(&self, node: u32, level: u8) {
        if level == 0 {
            self.base_links.prefetch(node);
        }
    }

    /// Stores `links` and empties the slots after them. The caller holds the node's lock, or nobody can reach the node.
    pub(crate) fn write_links(&self, node: u32, level: u8, links: impl Iterator<Item = u32>) {
        let mut slots = self.slots(node, level).iter();
        for link in links {
            let slot = slots.next().expect("no more links than slots");
            slot.store(link + 1, publishing());
        }
        for slot in slots {
            slot.store(0, publishing());
        }
    }

    /// The word that holds the next node of `node`'s chain of equal vectors.
    pub(crate) fn twin_slot(&self, node: u32) -> &AtomicU32 {
        &self.twins.words(node)[0]
    }

    /// False while no node hangs in a chain: readers then need not look.
    #[inline(always)]
    pub(crate) fn has_twins(&self) -> bool {
        self.twin_count.load(Ordering::Relaxed) != 0
    }

    /// The next node with the same vector as `node`.
    #[inline]
    pub(crate) fn next_twin(&self, node: u32) -> Option<u32> {
        self.twin_slot(node).load(Ordering::Acquire).checked_sub(1)
    }

    /// Notes that the insertion of `node` is finished.
    pub(crate) fn complete(&self, node: u32) {
        let mut completion = lock(&self.completion);
        if node < completion.len {
            // A number given again.
            return;
        }
        completion.ahead.push(Reverse(node));
        while completion.ahead.peek() == Some(&Reverse(completion.len)) {
            completion.ahead.pop();
            completion.len += 1;
        }
        self.len.store(completion.len, Ordering::Release);
    }
}

/// The level of `node`: P(level >= l) = M^-l. In integers, because a logarithm may round differently elsewhere and a stored
/// graph must mean the same on every machine.
pub(crate) fn level_of(seed: u64, m: u16, node: u32) -> u8 {
    let draw = split_mix(seed ^ split_mix(node as u64));
    let mut level = 0;
    let mut threshold = u64::MAX / m as u64;
    while level < MAX_LEVEL && draw < threshold {
        level += 1;
        threshold /= m as u64;
    }
    level
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014): a bijection that mixes every bit.
pub(crate) fn split_mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_thin_out_by_m() {
        let graph = HnswGraph::new(HnswParams { m: 8, ..HnswParams::new(Metric::L2) });
        let mut counts = [0u32; MAX_LEVEL as usize + 1];
        for node in 0..80_000 {
            for level in 0..=graph.level_of(node) {
                counts[level as usize] += 1;
            }
        }
        assert_eq!(counts[0], 80_000);
        assert!((9_500..10_500).contains(&counts[1]), "{}", counts[1]);
        assert!((1_100..1_400).contains(&counts[2]), "{}", counts[2]);
    }

    #[test]
    fn len_waits_for_the_insertion_that_is_behind() {
        let graph = HnswGraph::new(HnswParams::new(Metric::L2));
        graph.skip(1);
        graph.skip(3);
        assert_eq!(graph.len(), 0);
        graph.skip(0);
        assert_eq!(graph.len(), 2);
        graph.skip(2);
        assert_eq!(graph.len(), 4);
    }
}
