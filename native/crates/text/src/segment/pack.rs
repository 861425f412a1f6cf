//! Fixed-width integers in as few bits as the largest needs, least significant bit first.

/// Bytes that must follow packed data, so that it can be read eight bytes at a time.
pub(super) const PADDING_BYTES: usize = 8;

/// Bits that hold each of `values`.
pub(super) fn bits_for(values: &[u32]) -> u8 {
    let all = values.iter().fold(0, |bits, value| bits | value);
    (u32::BITS - all.leading_zeros()) as u8
}

/// Bytes that `count` values of `bits` each take.
pub(super) fn packed_bytes(count: usize, bits: u8) -> usize {
    (count * bits as usize).div_ceil(8)
}

/// Appends `values`, each below `2^bits`.
pub(super) fn pack(values: &[u32], bits: u8, out: &mut Vec<u8>) {
    let (mut pending, mut pending_bits) = (0u64, 0);
    for &value in values {
        pending |= (value as u64) << pending_bits;
        pending_bits += bits as u32;
        while pending_bits >= 8 {
            out.push(pending as u8);
            pending >>= 8;
            pending_bits -= 8;
        }
    }
    if pending_bits > 0 {
        out.push(pending as u8);
    }
}

/// Reads `out.len()` values. `bytes` holds them and [`PADDING_BYTES`] more.
pub(super) fn unpack(bytes: &[u8], bits: u8, out: &mut [u32]) {
    let mask = (1u64 << bits) - 1;
    for (at, value) in out.iter_mut().enumerate() {
        let bit = at * bits as usize;
        *value = (super::u64_at(bytes, bit / 8) >> (bit % 8) & mask) as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_comes_back() {
        for bits in 0..=32u8 {
            let top = if bits == 0 { 0 } else { u32::MAX >> (32 - bits) };
            for count in [0, 1, 7, 127, 128] {
                let spread = |i: u32| i.wrapping_mul(0x9e37_79b1) & top;
                let mut values: Vec<u32> = (0..count).map(spread).collect();
                if let Some(last) = values.last_mut() {
                    *last = top;
                    assert_eq!(bits_for(&values), bits);
                }
                let mut bytes = Vec::new();
                pack(&values, bits, &mut bytes);
                assert_eq!(bytes.len(), packed_bytes(values.len(), bits));
                bytes.extend([0xff; PADDING_BYTES]);
                let mut again = vec![7; values.len()];
                unpack(&bytes, bits, &mut again);
                assert_eq!(again, values);
            }
        }
    }
}
