//! Seeded numbers and sums in `f64` to hold kernels against.

#![allow(dead_code, reason = "each test program uses its part")]

use omen_kernels::F16;
pub use omen_testing::Random;

/// An element of a vector that a kernel reads.
pub trait Element: Copy + PartialEq + std::fmt::Debug + 'static {
    const ONE: Self;
    /// A value that would show in any sum.
    const LOUD: Self;

    fn random(random: &mut Random) -> Self;
    /// A small whole number, so that sums are exact in `f32`; negative where the type has signs.
    fn whole(random: &mut Random) -> Self;
    fn exact(self) -> f64;
}

impl Element for f32 {
    const ONE: Self = 1.0;
    const LOUD: Self = f32::NAN;

    fn random(random: &mut Random) -> Self {
        random.unit()
    }

    fn whole(random: &mut Random) -> Self {
        (random.next() % 17) as f32 - 8.0
    }

    fn exact(self) -> f64 {
        self as f64
    }
}

impl Element for F16 {
    const ONE: Self = F16(0x3c00);
    const LOUD: Self = F16(0x7e00);

    fn random(random: &mut Random) -> Self {
        F16::from_f32(random.unit())
    }

    fn whole(random: &mut Random) -> Self {
        F16::from_f32(f32::whole(random))
    }

    fn exact(self) -> f64 {
        self.to_f32() as f64
    }
}

impl Element for i8 {
    const ONE: Self = 1;
    const LOUD: Self = -128;

    fn random(random: &mut Random) -> Self {
        random.next() as i8
    }

    fn whole(random: &mut Random) -> Self {
        (random.next() % 17) as i8 - 8
    }

    fn exact(self) -> f64 {
        self as f64
    }
}

impl Element for u8 {
    const ONE: Self = 1;
    const LOUD: Self = 255;

    fn random(random: &mut Random) -> Self {
        random.next() as u8
    }

    fn whole(random: &mut Random) -> Self {
        (random.next() % 17) as u8
    }

    fn exact(self) -> f64 {
        self as f64
    }
}

pub fn vector<E: Element>(random: &mut Random, dim: usize) -> Vec<E> {
    (0..dim).map(|_| E::random(random)).collect()
}

/// Every dimension up to two long registers and some larger ones; under Miri, a thousand times slower, those around the
/// lengths of registers.
pub fn dims() -> Vec<usize> {
    if cfg!(miri) {
        return vec![0, 1, 7, 8, 9, 15, 16, 17, 33, 63, 64, 65, 100, 129, 200];
    }
    (0..=130).chain([255, 256, 257, 383, 384, 511, 767, 768, 1000, 1536, 1999, 16000]).collect()
}

/// What a kernel adds up, by name.
pub type Term = (&'static str, fn(f64, f64) -> f64);

pub const TERMS: [Term; 3] =
    [("l2", |a, b| (a - b) * (a - b)), ("dot", |a, b| a * b), ("l1", |a, b| (a - b).abs())];

/// Sum of `term` in `f64`, and a bound on what `f32` may lose: the sum of magnitudes times a few units in the last place.
pub fn reference<Q: Element, R: Element>(
    a: &[Q],
    b: &[R],
    term: impl Fn(f64, f64) -> f64,
) -> (f64, f64) {
    let terms = || a.iter().zip(b).map(|(&x, &y)| term(x.exact(), y.exact()));
    let magnitude: f64 = terms().map(f64::abs).sum();
    let roundings = 2.0 + (a.len() as f64) / 8.0;
    (terms().sum(), magnitude * f32::EPSILON as f64 * roundings)
}

#[track_caller]
pub fn assert_near(actual: f64, (expected, bound): (f64, f64), what: &str) {
    assert!((actual - expected).abs() <= bound, "{what}: {actual} against {expected}");
}
