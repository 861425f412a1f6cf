//! Conversion to and from half precision: every half, and every way to round.

mod common;

use common::Random;
use omen_kernels::{F16, from_f16, to_f16};

/// The value of a half by its definition, for finite ones.
fn definition(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = ((bits >> 10 & 31) as i32, (bits & 1023) as f64);
    sign * if exponent == 0 {
        fraction * 2f64.powi(-24)
    } else {
        (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15)
    }
}

#[test]
fn every_half_has_its_value_and_survives_the_round_trip() {
    for bits in 0..=u16::MAX {
        let value = F16(bits).to_f32();
        match (bits >> 10 & 31, bits & 1023) {
            (31, 0) => {
                let infinity = if bits >> 15 == 0 { f32::INFINITY } else { f32::NEG_INFINITY };
                assert_eq!(value, infinity);
            }
            (31, _) => assert!(value.is_nan()),
            _ => assert_eq!(value as f64, definition(bits), "{bits:#06x}"),
        }
        if value.is_nan() {
            assert_eq!(F16::from_f32(value).0 & 0xfe00, bits & 0x8000 | 0x7e00);
        } else {
            assert_eq!(F16::from_f32(value), F16(bits), "signed zeros included");
        }
    }
}

#[test]
fn between_two_halves_the_nearer_one_and_on_a_tie_the_even_one() {
    for bits in 0..0x7bff_u16 {
        let (low, high) = (F16(bits).to_f32(), F16(bits + 1).to_f32());
        // Exact: a half has eleven significant bits.
        let middle = low + (high - low) / 2.0;
        let even = F16(bits + (bits & 1));
        let (below, above) =
            (f32::from_bits(middle.to_bits() - 1), f32::from_bits(middle.to_bits() + 1));
        assert_eq!(F16::from_f32(middle), even, "{bits:#06x}");
        assert_eq!(F16::from_f32(-middle), F16(even.0 | 0x8000), "{bits:#06x}");
        assert_eq!(F16::from_f32(below), F16(bits), "{bits:#06x}");
        assert_eq!(F16::from_f32(above), F16(bits + 1), "{bits:#06x}");
    }
}

#[test]
fn what_is_too_large_becomes_infinite() {
    assert_eq!(F16::from_f32(65519.996), F16::MAX);
    assert_eq!(F16::from_f32(65520.0), F16(0x7c00));
    assert_eq!(F16::from_f32(-1e30), F16(0xfc00));
    assert_eq!(F16::from_f32(f32::INFINITY), F16(0x7c00));
    assert_eq!(F16::from_f32(1e-30), F16(0));
    assert_eq!(F16::from_f32(-1e-30), F16(0x8000));
}

#[test]
fn whole_vectors_convert_as_single_numbers_do() {
    let mut random = Random(1);
    for dim in 0..=130 {
        // Any bits at all: NaNs, infinities and subnormals among them.
        let values: Vec<f32> = (0..dim).map(|_| f32::from_bits(random.next() as u32)).collect();
        let mut halves = vec![F16(0); dim];
        to_f16(&values, &mut halves);
        for (half, &value) in halves.iter().zip(&values) {
            assert_eq!(*half, F16::from_f32(value), "{:#010x}", value.to_bits());
        }
        let mut back = vec![0.0f32; dim];
        from_f16(&halves, &mut back);
        for (half, value) in halves.iter().zip(&back) {
            assert_eq!(value.to_bits(), half.to_f32().to_bits());
        }
    }
}

#[test]
fn bits_and_halves_are_one_thing() {
    let bits = [0u16, 0x3c00, 0xffff];
    assert_eq!(F16::cast(&bits)[1].to_f32(), 1.0);
    assert_eq!(F16::bits(F16::cast(&bits)), bits);
}
