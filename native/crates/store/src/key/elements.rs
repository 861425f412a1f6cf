//! Keys of types that are sequences: bit strings and pgvector's types, from the bytes their columns store
//! (docs/storage-values.md). Each compares as its type does in SQL, element by element and the shorter first; negative zero
//! is zero.

use super::escape;
use crate::error::{Result, StoreError};

const HALF_BYTES: usize = 2;
const FLOAT_BYTES: usize = 4;
const DIMENSION_BYTES: usize = 4;
/// A stored vector has pgvector's binary form: u16 dimensions, u16 zero, then the floats, all big-endian.
const VECTOR_HEADER_BYTES: usize = 4;

/// Marks of a sparse vector's key; at one index a negative element is less than none, a positive one more.
const BELOW_ZERO: u8 = 0;
const ABOVE_ZERO: u8 = 1;

/// Bit strings: the bits, then the length, so that of two with the same bytes the shorter is less.
pub fn bits(stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let (length, bits) = stored.split_first_chunk::<DIMENSION_BYTES>().ok_or_else(damaged)?;
    escape(bits, out);
    out.extend(u32::from_le_bytes(*length).to_be_bytes());
    Ok(())
}

/// halfvec: little-endian halves.
pub fn halves(stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let (halves, rest) = stored.as_chunks::<HALF_BYTES>();
    if !rest.is_empty() {
        return Err(damaged());
    }
    let ordered: Vec<u8> =
        halves.iter().flat_map(|h| ordered_half(u16::from_le_bytes(*h))).collect();
    escape(&ordered, out);
    Ok(())
}

/// vector without a declared dimension, whose rows are bytes.
pub fn floats(stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let elements = stored.get(VECTOR_HEADER_BYTES..).ok_or_else(damaged)?;
    let (floats, rest) = elements.as_chunks::<FLOAT_BYTES>();
    if !rest.is_empty() {
        return Err(damaged());
    }
    let ordered: Vec<u8> =
        floats.iter().flat_map(|f| ordered_float(f32::from_be_bytes(*f))).collect();
    escape(&ordered, out);
    Ok(())
}

/// sparsevec: i32 dimensions, the indices, the values, little-endian.
///
/// It sorts as the dense vector would, from its elements alone. Where two vectors first differ one has an element that the
/// other leaves out, or has ended; the key gives for each element a mark and its index, the index inverted above zero,
/// because the earlier of two positive elements makes the greater vector and the earlier of two negative ones the lesser.
/// The end is a negative element after the last, less than any real one there: a vector that has ended is less than one
/// that goes on. All parts are of one length and only the end has its payload, so no key is a prefix of another.
pub fn sparse(stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let (dimensions, elements) =
        stored.split_first_chunk::<DIMENSION_BYTES>().ok_or_else(damaged)?;
    let (words, rest) = elements.as_chunks::<FLOAT_BYTES>();
    if !rest.is_empty() || words.len() % 2 != 0 {
        return Err(damaged());
    }
    let (indices, values) = words.split_at(words.len() / 2);
    for (index, value) in indices.iter().zip(values) {
        let (index, value) = (u32::from_le_bytes(*index), f32::from_le_bytes(*value));
        let (mark, place) = if value < 0.0 { (BELOW_ZERO, index) } else { (ABOVE_ZERO, !index) };
        out.push(mark);
        out.extend(place.to_be_bytes());
        out.extend(ordered_float(value));
    }
    out.push(BELOW_ZERO);
    out.extend(u32::from_le_bytes(*dimensions).to_be_bytes());
    out.extend([0; FLOAT_BYTES]);
    Ok(())
}

/// Elements are finite (the types refuse others), so the total order of the bits is the order of the numbers.
fn ordered_float(value: f32) -> [u8; FLOAT_BYTES] {
    let bits = (value + 0.0).to_bits();
    let ordered = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
    ordered.to_be_bytes()
}

fn ordered_half(half: u16) -> [u8; HALF_BYTES] {
    let half = if half == 0x8000 { 0 } else { half };
    let ordered = if half >> 15 == 1 { !half } else { half | 1 << 15 };
    ordered.to_be_bytes()
}

fn damaged() -> StoreError {
    StoreError::internal("a stored value has not the form of its type")
}

#[cfg(test)]
mod tests {
    //! Order of keys against an order written over the values themselves.
    use std::cmp::Ordering;

    use proptest::prelude::*;

    use super::*;

    fn key(encode: fn(&[u8], &mut Vec<u8>) -> Result<()>, stored: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encode(stored, &mut out).unwrap();
        out
    }

    fn dense_order(a: &[f32], b: &[f32]) -> Ordering {
        let first = a.iter().zip(b).find_map(|(x, y)| x.partial_cmp(y).filter(|o| o.is_ne()));
        first.unwrap_or_else(|| a.len().cmp(&b.len()))
    }

    fn stored_vector(v: &[f32]) -> Vec<u8> {
        let mut bytes = vec![0, v.len() as u8, 0, 0];
        bytes.extend(v.iter().flat_map(|x| x.to_be_bytes()));
        bytes
    }

    fn stored_sparse(v: &[f32]) -> Vec<u8> {
        let mut bytes = (v.len() as u32).to_le_bytes().to_vec();
        let kept = || v.iter().enumerate().filter(|(_, x)| **x != 0.0);
        bytes.extend(kept().flat_map(|(i, _)| (i as u32).to_le_bytes()));
        bytes.extend(kept().flat_map(|(_, x)| x.to_le_bytes()));
        bytes
    }

    /// Halves whose numbers are small integers: exact in f32, and enough to meet every sign.
    fn stored_halves(v: &[f32]) -> Vec<u8> {
        let bits = |x: f32| match x {
            x if x == 0.0 => {
                if x.is_sign_negative() {
                    0x8000
                } else {
                    0
                }
            }
            1.0 => 0x3c00,
            2.0 => 0x4000,
            -1.0 => 0xbc00,
            _ => 0xc000u16,
        };
        v.iter().flat_map(|x| bits(*x).to_le_bytes()).collect()
    }

    fn vectors() -> impl Strategy<Value = Vec<f32>> {
        let element = prop::sample::select(vec![0.0f32, -0.0, 1.0, 2.0, -1.0, -2.0]);
        prop::collection::vec(element, 1..6)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn vectors_of_all_types_compare_as_dense_ones(a in vectors(), b in vectors()) {
            let wanted = dense_order(&a, &b);
            prop_assert_eq!(key(floats, &stored_vector(&a)).cmp(&key(floats, &stored_vector(&b))), wanted);
            prop_assert_eq!(key(halves, &stored_halves(&a)).cmp(&key(halves, &stored_halves(&b))), wanted);
            prop_assert_eq!(key(sparse, &stored_sparse(&a)).cmp(&key(sparse, &stored_sparse(&b))), wanted);
        }

        #[test]
        fn bit_strings_compare_by_bytes_then_length(
            a in prop::collection::vec(any::<bool>(), 0..20),
            b in prop::collection::vec(any::<bool>(), 0..20),
        ) {
            let packed = |bits: &[bool]| -> Vec<u8> {
                bits.chunks(8)
                    .map(|c| c.iter().enumerate().fold(0, |byte, (i, &bit)| byte | u8::from(bit) << (7 - i)))
                    .collect()
            };
            let stored = |bits: &[bool]| {
                let mut bytes = (bits.len() as u32).to_le_bytes().to_vec();
                bytes.extend(packed(bits));
                bytes
            };
            let wanted = packed(&a).cmp(&packed(&b)).then(a.len().cmp(&b.len()));
            prop_assert_eq!(key(bits, &stored(&a)).cmp(&key(bits, &stored(&b))), wanted);
        }
    }

    #[test]
    fn damaged_values_are_an_error_and_not_a_panic() {
        for encode in [bits, halves, floats, sparse] {
            assert!(encode(&[1], &mut Vec::new()).is_err());
        }
    }
}
