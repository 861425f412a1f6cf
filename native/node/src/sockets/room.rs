//! Typed arrays that JavaScript lends until its thread ends: filled between calls, with no call to ask for them.

use crate::error::{Result, misuse};
use crate::lend::{Element, Lent};
use napi::{Env, JsValue, Unknown, sys};
use std::ptr::{NonNull, null_mut};

pub struct Room<T> {
    pointer: NonNull<T>,
    len: usize,
}

impl<T: Element> Room<T> {
    /// Keeps `value`, of `least` elements at least, alive as long as the environment. Its owner may not transfer its memory
    /// to another thread.
    pub fn keep(env: Env, value: Unknown<'_>, least: usize, what: &str) -> Result<Self> {
        let lent = Lent::new(env);
        let elements = lent.write::<T>(value, what)?;
        if elements.len() < least {
            return Err(misuse(format!("{what} is shorter than {least}")));
        }
        let mut reference = null_mut();
        // SAFETY: `value` is a handle of the call. The reference goes with the environment.
        let status =
            unsafe { sys::napi_create_reference(env.raw(), value.raw(), 1, &raw mut reference) };
        if status != sys::Status::napi_ok {
            return Err(misuse(format!("{what} cannot be kept")));
        }
        Ok(Self { pointer: NonNull::from(&mut *elements).cast(), len: elements.len() })
    }

    /// # Safety
    /// On the environment's thread while it lasts; neither JavaScript nor another caller of this looks at the memory before the
    /// slice is let go of.
    #[allow(clippy::mut_from_ref)] // what the caller promises
    pub unsafe fn as_mut(&self) -> &mut [T] {
        // SAFETY: the array is alive by the reference, its memory stays where it is, and nobody else looks, as the caller says.
        unsafe { std::slice::from_raw_parts_mut(self.pointer.as_ptr(), self.len) }
    }
}
