//! The list of segments, or of heap files: it only grows, and readers never take a lock.
//!
//! Bucket b holds 2^b places, so that a place, once there, never moves: segment n is place n + 1 - 2^b of bucket
//! b = floor(log2(n + 1)).

use std::sync::OnceLock;

/// Room for every u32.
const BUCKETS: usize = 33;

type Bucket<T> = Box<[OnceLock<T>]>;

pub struct SegmentTable<T> {
    buckets: [OnceLock<Bucket<T>>; BUCKETS],
}

fn place(number: u32) -> (usize, usize) {
    let one_based = u64::from(number) + 1;
    let bucket = one_based.ilog2();
    (bucket as usize, (one_based - (1 << bucket)) as usize)
}

impl<T> SegmentTable<T> {
    pub fn new() -> Self {
        Self { buckets: [const { OnceLock::new() }; BUCKETS] }
    }

    #[inline]
    pub fn get(&self, number: u32) -> Option<&T> {
        let (bucket, index) = place(number);
        self.buckets.get(bucket)?.get()?[index].get()
    }

    /// Puts `segment` at `number`, which must be free; returns it in place.
    pub fn insert(&self, number: u32, segment: T) -> &T {
        let (bucket, index) = place(number);
        let bucket = self.buckets[bucket]
            .get_or_init(|| (0..1 << bucket).map(|_| OnceLock::new()).collect());
        let mut put = false;
        let stored = bucket[index].get_or_init(|| {
            put = true;
            segment
        });
        assert!(put, "segment {number} was not there yet");
        stored
    }

    /// The segments, in the order of their numbers.
    pub fn into_segments(self) -> impl Iterator<Item = T> {
        let buckets = self.buckets.into_iter().filter_map(OnceLock::into_inner);
        buckets.flatten().filter_map(OnceLock::into_inner)
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.buckets.iter().filter_map(OnceLock::get).flatten().filter_map(OnceLock::get)
    }
}
