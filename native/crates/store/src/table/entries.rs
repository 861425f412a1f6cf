//! Visibility of what an index numbers densely: vectors of a column, documents of a text index.
//!
//! Entry n says which row the thing belongs to and by which commits it came and went, so an index search tests a
//! snapshot without touching the table. Readers take no lock once they hold a view. An entry whose number is given again
//! passes through a state that nobody sees, and a reader that met two lives of it looks once more.

use std::sync::Arc;

use crate::sync::shared::{AtomicU32, AtomicU64, Fault, Ordering, RwLock, planted, read, write};

/// Few where every one of them is followed through all interleavings.
const SEGMENT_ENTRIES: usize = if cfg!(all(test, feature = "model")) { 2 } else { 4096 };
/// `created` of an entry nobody may see: not yet filled, or dead since before the table was loaded.
const NEVER: u64 = u64::MAX;
/// `created` of an entry that is somebody's once his transaction has committed.
const PENDING: u64 = u64::MAX - 1;

struct Entry {
    created: AtomicU64,
    /// 0 = still there.
    deleted: AtomicU64,
    rid: AtomicU32,
}

type Segment = Arc<[Entry]>;

pub struct EntryTable {
    segments: RwLock<Arc<Vec<Segment>>>,
    len: AtomicU32,
    /// Entries filled and not deleted: what the newest snapshot sees, but for the commit under way.
    live: AtomicU32,
}

/// The entries below `len` at the time of the view.
pub struct EntryView {
    segments: Arc<Vec<Segment>>,
    pub len: u32,
    /// About how many of them the newest snapshot sees.
    pub live: u32,
}

impl EntryTable {
    pub fn new() -> Self {
        Self {
            segments: RwLock::new(Arc::new(Vec::new())),
            len: AtomicU32::new(0),
            live: AtomicU32::new(0),
        }
    }

    pub fn len(&self) -> u32 {
        self.len.load(Ordering::Acquire)
    }

    pub fn view(&self) -> EntryView {
        // The length first: the segments read after it hold at least as much.
        let len = self.len();
        let live = self.live.load(Ordering::Relaxed);
        EntryView { segments: Arc::clone(&read(&self.segments)), len, live }
    }

    /// Makes room for entries up to `len`; the new ones are invisible. One writer at a time.
    pub fn grow(&self, len: u32) {
        let needed = (len as usize).div_ceil(SEGMENT_ENTRIES);
        let mut segments = write(&self.segments);
        if segments.len() < needed {
            let mut grown = Vec::clone(&segments);
            grown.resize_with(needed, || {
                std::iter::repeat_with(|| Entry {
                    created: AtomicU64::new(NEVER),
                    deleted: AtomicU64::new(0),
                    rid: AtomicU32::new(0),
                })
                .take(SEGMENT_ENTRIES)
                .collect()
            });
            *segments = Arc::new(grown);
        }
        drop(segments);
        self.len.fetch_max(len, Ordering::AcqRel);
    }

    /// Fills an entry below `len` that nobody may see yet.
    pub fn set(&self, number: u32, rid: u32, created: u64) {
        self.set_all([(number, rid)], created);
    }

    /// As `set` for entries as (number, rid).
    pub fn set_all(&self, entries: impl IntoIterator<Item = (u32, u32)>, created: u64) {
        let view = self.view();
        let mut count = 0;
        let order =
            if planted(Fault::LifeUnreleased) { Ordering::Relaxed } else { Ordering::Release };
        for (number, rid) in entries {
            view.with(number, |e| {
                // Whoever reads either of these sees that the entry's life before has ended (`visible`).
                e.rid.store(rid, order);
                e.deleted.store(0, order);
                e.created.store(created, Ordering::Release);
            });
            count += 1;
        }
        self.live.fetch_add(count, Ordering::Relaxed);
    }

    /// As `set_all` for a commit that has no number yet: graphs take the entries, and nobody sees them.
    pub fn set_pending(&self, entries: impl IntoIterator<Item = (u32, u32)>) {
        self.set_all(entries, PENDING);
    }

    /// The pending entries `numbers` are of the commit; those others below `end` are nobody's, and are returned.
    pub fn publish_pending(
        &self,
        numbers: impl IntoIterator<Item = u32>,
        end: u32,
        commit: u64,
    ) -> Vec<u32> {
        let view = self.view();
        for number in numbers {
            view.with(number, |e| e.created.store(commit, Ordering::Release));
        }
        let is_pending = |number: &u32| {
            view.with(*number, |e| {
                let pending = e.created.load(Ordering::Acquire) == PENDING;
                if pending {
                    e.created.store(NEVER, Ordering::Release);
                }
                pending
            })
        };
        let nobodys: Vec<u32> = (0..end).filter(is_pending).collect();
        self.live.fetch_sub(nobodys.len() as u32, Ordering::Relaxed);
        nobodys
    }

    /// Makes an entry one that nobody may see, before its number is given again.
    pub fn clear(&self, number: u32) {
        self.view().with(number, |e| e.created.store(NEVER, Ordering::Release));
    }

    /// Takes over another table's entries, as they stand while nobody changes them, each at its place here; None = not.
    /// Nobody may see this table yet, and it has room.
    pub fn take_over(&self, from: &EntryView, place: impl Fn(u32) -> Option<u32>) {
        let (view, mut live) = (self.view(), 0);
        for number in 0..from.len {
            let Some(place) = place(number) else { continue };
            let (rid, created, deleted) = from.with(number, |e| {
                let of = (e.created.load(Ordering::Acquire), e.deleted.load(Ordering::Acquire));
                (e.rid.load(Ordering::Acquire), of.0, of.1)
            });
            view.with(place, |e| {
                e.rid.store(rid, Ordering::Release);
                e.deleted.store(deleted, Ordering::Release);
                e.created.store(created, Ordering::Release);
            });
            live += u32::from(created != NEVER && deleted == 0);
        }
        self.live.fetch_add(live, Ordering::Relaxed);
    }

    pub fn delete(&self, number: u32, commit: u64) {
        self.view().with(number, |e| e.deleted.store(commit, Ordering::Release));
        self.live.fetch_sub(1, Ordering::Relaxed);
    }

    pub fn size_bytes(&self) -> usize {
        read(&self.segments).len() * SEGMENT_ENTRIES * size_of::<Entry>()
    }
}

impl EntryView {
    fn with<R>(&self, number: u32, f: impl FnOnce(&Entry) -> R) -> R {
        let number = number as usize;
        f(&self.segments[number / SEGMENT_ENTRIES][number % SEGMENT_ENTRIES])
    }

    /// The row of an entry that `snapshot` sees.
    pub fn visible(&self, number: u32, snapshot: u64) -> Option<u32> {
        self.with(number, |e| {
            let created = e.created.load(Ordering::Acquire);
            if created > snapshot {
                return None;
            }
            let deleted = e.deleted.load(Ordering::Acquire);
            let rid = e.rid.load(Ordering::Acquire);
            // Another life began in between: it is younger than any snapshot that could see the one before.
            let same = planted(Fault::LifeNotLookedAtAgain)
                || e.created.load(Ordering::Relaxed) == created;
            (same && (deleted == 0 || deleted > snapshot)).then_some(rid)
        })
    }

    /// The row of an entry, whoever sees it.
    pub fn rid(&self, number: u32) -> u32 {
        self.with(number, |e| e.rid.load(Ordering::Acquire))
    }

    /// Nobody may see the entry: it is not filled, or was cleared.
    pub fn is_empty(&self, number: u32) -> bool {
        self.with(number, |e| e.created.load(Ordering::Acquire) == NEVER)
    }

    /// No snapshot from `oldest` on sees the entry, now or later. For entries of published commits.
    pub fn dead(&self, number: u32, oldest: u64) -> bool {
        self.with(number, |e| {
            let deleted = e.deleted.load(Ordering::Acquire);
            e.created.load(Ordering::Acquire) == NEVER || (deleted != 0 && deleted <= oldest)
        })
    }
}
