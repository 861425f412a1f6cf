//! What the addon offers besides the engine: descriptors, distances, vectors' texts.

use crate::error::{guard, misuse};
use crate::lend::Lent;
use crate::spec::metric;
use napi::{Env, Unknown};
use napi_derive::napi;
use omen_store::{Metric, StoreError};
use std::os::fd::{BorrowedFd, IntoRawFd};

/// A second descriptor for the same socket; the caller owns it.
#[napi]
pub fn dup(env: Env, fd: i32) -> napi::Result<i32> {
    guard(env, || {
        if fd < 0 {
            return Err(misuse(format!("descriptor {fd}")));
        }
        // SAFETY: used within this call alone; should JavaScript have closed it, the kernel says EBADF.
        let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
        let copy = rustix::io::fcntl_dupfd_cloexec(borrowed, 0);
        let failed = |error| {
            StoreError::new("58000", format!("could not duplicate descriptor {fd}: {error}"))
        };
        Ok(copy.map_err(failed)?.into_raw_fd())
    })
}

#[napi]
pub fn distance(
    env: Env,
    metric_name: String,
    a: Unknown<'_>,
    b: Unknown<'_>,
) -> napi::Result<f64> {
    guard(env, || {
        let lent = Lent::new(env);
        let (a, b) = (lent.read::<f32>(a, "a")?, lent.read::<f32>(b, "b")?);
        if a.len() != b.len() {
            // pgvector's code and words.
            let message = format!("different vector dimensions {} and {}", a.len(), b.len());
            return Err(StoreError::new("22000", message));
        }
        let metric = metric(&metric_name)?;
        if matches!(metric, Metric::Hamming | Metric::Jaccard) {
            return Err(misuse(format!("metric {metric_name} of numbers")));
        }
        Ok(omen_kernels::distance(metric, a, b))
    })
}

/// Position of the first float that is NaN or infinite; -1 = none is.
#[napi]
pub fn first_not_finite(env: Env, values: Unknown<'_>) -> napi::Result<i64> {
    guard(env, || {
        let lent = Lent::new(env);
        let values = lent.read::<f32>(values, "values")?;
        // Block by block without a way out of the inner loop, which is then vectorised.
        let is_bad = |value: &f32| !value.is_finite();
        let mut blocks = values.chunks(1024);
        let block = blocks.position(|block| block.iter().fold(false, |bad, v| bad | is_bad(v)));
        let found = block.and_then(|block| {
            let within = values[block * 1024..].iter().position(is_bad)?;
            Some((block * 1024 + within) as i64)
        });
        Ok(found.unwrap_or(-1))
    })
}

/// Reads a vector's text into `out` from place `from` on; gives the number of elements, 0 when the text has no plain form or
/// too many of them (see `plain_vector`): then `out` holds rubbish there and the text is for somebody else to judge.
#[napi]
pub fn parse_vector(env: Env, text: Unknown<'_>, out: Unknown<'_>, from: u32) -> napi::Result<u32> {
    guard(env, || {
        let lent = Lent::new(env);
        let out = lent.write::<f32>(out, "out")?;
        let mut slots = out.get_mut(from as usize..).unwrap_or_default().iter_mut();
        let push = |value| slots.next().map(|slot| *slot = value).is_some();
        Ok(omen_copy::plain_vector(lent.read::<u8>(text, "text")?, push).unwrap_or(0) as u32)
    })
}

#[napi]
pub fn simd_name() -> &'static str {
    omen_kernels::kernels().name
}
