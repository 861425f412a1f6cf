//! What the tests and benchmarks of several crates share; the product does not link it.

/// `SplitMix64` (Steele, Lea, Flood 2014): the same seed gives the same numbers on every machine and in every release,
/// which the generators of the `rand` crates do not promise.
pub struct Random(pub u64);

impl Random {
    #[allow(clippy::should_implement_trait, reason = "it has no end")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In `0..limit`; the bias of the remainder does not matter to a test.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Uniform in -1..1.
    pub fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    /// About normal: the sum of twelve uniform numbers has variance one.
    pub fn normal(&mut self) -> f32 {
        (0..12).map(|_| (self.next() >> 40) as f32 / (1u64 << 24) as f32).sum::<f32>() - 6.0
    }
}
