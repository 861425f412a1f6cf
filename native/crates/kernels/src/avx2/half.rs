//! Conversion between `f32` and half precision, eight at a time with F16C, whose rounding and treatment of NaNs are those
//! of [`F16::from_f32`].

use std::arch::x86_64::{
    _MM_FROUND_TO_NEAREST_INT, _mm_loadu_si128, _mm_storeu_si128, _mm256_cvtph_ps, _mm256_cvtps_ph,
    _mm256_loadu_ps, _mm256_storeu_ps,
};

use crate::half::F16;

/// # Safety
/// The slices are equally long; the CPU has F16C.
#[target_feature(enable = "avx2,f16c")]
pub(super) unsafe fn to_f16(from: &[f32], into: &mut [F16]) {
    let (from_chunks, rest) = from.as_chunks::<8>();
    let (into_chunks, into_rest) = into.as_chunks_mut::<8>();
    for (from, into) in from_chunks.iter().zip(into_chunks) {
        // SAFETY: eight floats are read and eight halves written.
        unsafe {
            let halves =
                _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(_mm256_loadu_ps(from.as_ptr()));
            _mm_storeu_si128(into.as_mut_ptr().cast(), halves);
        }
    }
    into_rest.iter_mut().zip(rest).for_each(|(half, &value)| *half = F16::from_f32(value));
}

/// # Safety
/// The slices are equally long; the CPU has F16C.
#[target_feature(enable = "avx2,f16c")]
pub(super) unsafe fn from_f16(from: &[F16], into: &mut [f32]) {
    let (from_chunks, rest) = from.as_chunks::<8>();
    let (into_chunks, into_rest) = into.as_chunks_mut::<8>();
    for (from, into) in from_chunks.iter().zip(into_chunks) {
        // SAFETY: eight halves are read and eight floats written.
        unsafe {
            let values = _mm256_cvtph_ps(_mm_loadu_si128(from.as_ptr().cast()));
            _mm256_storeu_ps(into.as_mut_ptr(), values);
        }
    }
    into_rest.iter_mut().zip(rest).for_each(|(value, half)| *value = half.to_f32());
}
