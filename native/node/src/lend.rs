//! Typed arrays lent to Rust for the time of one call.
//!
//! JavaScript owns the memory; Rust sees it as slices. Two slices may not overlap if one of them is written, and
//! nothing stops a caller from passing the same array twice, so every loan is recorded and a clash refused.

use crate::error::{Result, misuse};
use napi::{Env, JsValue, Unknown, sys};
use std::cell::RefCell;
use std::ffi::CStr;

/// A plain number type with a typed array of its own. Implemented here alone: borrowed memory is read as these types.
pub trait Element: Copy {
    const ARRAY: i32;
    const NAME: &'static str;
}

macro_rules! element {
    ($type:ty, $array:ident, $name:literal) => {
        impl Element for $type {
            const ARRAY: i32 = sys::TypedarrayType::$array;
            const NAME: &'static str = $name;
        }
    };
}

element!(u8, uint8_array, "Uint8Array");
element!(u16, uint16_array, "Uint16Array");
element!(u32, uint32_array, "Uint32Array");
element!(i32, int32_array, "Int32Array");
element!(f32, float32_array, "Float32Array");
element!(f64, float64_array, "Float64Array");
element!(i64, bigint64_array, "BigInt64Array");

/// Addresses from start up to end.
type Span = (usize, usize);

/// The loans of one call. Slices live as long as this value, which the export drops before it returns.
pub struct Lent {
    env: Env,
    read: RefCell<Vec<Span>>,
    /// Ascending and disjoint.
    written: RefCell<Vec<Span>>,
}

impl Lent {
    pub fn new(env: Env) -> Self {
        Self { env, read: RefCell::default(), written: RefCell::default() }
    }

    pub fn env(&self) -> sys::napi_env {
        self.env.raw()
    }

    /// `value` as a slice to read; `what` names it in the error.
    pub fn read<T: Element>(&self, value: Unknown<'_>, what: &str) -> Result<&[T]> {
        self.read_raw(value.raw(), what)
    }

    /// A copy of `value[from .. from + count]`; `value` may then be lent for writing too.
    pub fn copy<T: Element>(
        &self,
        value: Unknown<'_>,
        from: u32,
        count: u32,
        what: &str,
    ) -> Result<Vec<T>> {
        let (pointer, len) = self.array::<T>(value.raw(), what)?;
        let (from, count) = (from as usize, count as usize);
        if from + count > len {
            return Err(misuse(format!("{what} is shorter than {from} + {count}")));
        }
        if count == 0 {
            return Ok(Vec::new());
        }
        // SAFETY: the range lies in what `array` gave; nobody writes before the copy is made.
        Ok(unsafe { std::slice::from_raw_parts(pointer.add(from), count) }.to_vec())
    }

    /// `value` as a slice to write.
    #[allow(clippy::mut_from_ref)] // disjointness is checked at run time, in `claim`
    pub fn write<T: Element>(&self, value: Unknown<'_>, what: &str) -> Result<&mut [T]> {
        self.write_raw(value.raw(), what)
    }

    /// `undefined` and `null` as `None`, anything else as `read` does.
    pub fn read_optional<T: Element>(
        &self,
        value: Unknown<'_>,
        what: &str,
    ) -> Result<Option<&[T]>> {
        if self.is_nothing(value.raw()) { Ok(None) } else { self.read(value, what).map(Some) }
    }

    pub fn read_raw<T: Element>(&self, value: sys::napi_value, what: &str) -> Result<&[T]> {
        let (pointer, len) = self.array::<T>(value, what)?;
        if len == 0 {
            return Ok(&[]);
        }
        let span = span::<T>(pointer, len);
        let written = self.written.borrow();
        let next = written.partition_point(|other| other.1 <= span.0);
        if written.get(next).is_some_and(|other| other.0 < span.1) {
            return Err(misuse(format!("{what} shares memory with an array that is written")));
        }
        self.read.borrow_mut().push(span);
        // SAFETY: `array` gave `len` elements of this type; JavaScript does not run during the call, so the buffer
        // is neither written nor detached; no written span overlaps, and `claim` refuses later ones that would.
        Ok(unsafe { std::slice::from_raw_parts(pointer, len) })
    }

    #[allow(clippy::mut_from_ref)] // as `write`
    pub fn write_raw<T: Element>(&self, value: sys::napi_value, what: &str) -> Result<&mut [T]> {
        let (pointer, len) = self.array::<T>(value, what)?;
        if len == 0 {
            return Ok(&mut []);
        }
        self.claim(span::<T>(pointer, len), what)?;
        // SAFETY: as in `read_raw`, and `claim` saw to it that no other loan overlaps.
        Ok(unsafe { std::slice::from_raw_parts_mut(pointer, len) })
    }

    /// A `Float64Array` to write as the 64-bit words under it.
    #[allow(clippy::mut_from_ref)] // as `write`
    pub fn write_words(&self, value: sys::napi_value, what: &str) -> Result<&mut [i64]> {
        let numbers = self.write_raw::<f64>(value, what)?;
        // SAFETY: same size and alignment, any bits are an i64, and the loan of `numbers` passes on whole.
        Ok(unsafe {
            std::slice::from_raw_parts_mut(numbers.as_mut_ptr().cast::<i64>(), numbers.len())
        })
    }

    /// A `Float64Array` to read as the 64-bit words under it.
    pub fn read_words(&self, value: sys::napi_value, what: &str) -> Result<&[i64]> {
        let numbers = self.read_raw::<f64>(value, what)?;
        // SAFETY: as in `write_words`.
        Ok(unsafe { std::slice::from_raw_parts(numbers.as_ptr().cast::<i64>(), numbers.len()) })
    }

    fn claim(&self, span: Span, what: &str) -> Result<()> {
        let mut written = self.written.borrow_mut();
        let next = written.partition_point(|other| other.1 <= span.0);
        let clash = written.get(next).is_some_and(|other| other.0 < span.1)
            || self.read.borrow().iter().any(|other| other.0 < span.1 && span.0 < other.1);
        if clash {
            return Err(misuse(format!("{what} shares memory with another array of the call")));
        }
        written.insert(next, span);
        Ok(())
    }

    fn array<T: Element>(&self, value: sys::napi_value, what: &str) -> Result<(*mut T, usize)> {
        let (mut kind, mut len, mut data) = (-1, 0, std::ptr::null_mut());
        // SAFETY: `value` is a handle of the call; the outputs are ours. Buffer and offset are not asked for.
        let status = unsafe {
            sys::napi_get_typedarray_info(
                self.env(),
                value,
                &raw mut kind,
                &raw mut len,
                &raw mut data,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
            )
        };
        if status != sys::Status::napi_ok || kind != T::ARRAY {
            return Err(misuse(format!("{what} must be a {}", T::NAME)));
        }
        Ok((data.cast(), len))
    }

    pub fn is_nothing(&self, value: sys::napi_value) -> bool {
        let mut kind = sys::ValueType::napi_undefined;
        // SAFETY: `value` is a handle of the call. An unreadable value counts as undefined.
        unsafe { sys::napi_typeof(self.env(), value, &raw mut kind) };
        kind == sys::ValueType::napi_undefined || kind == sys::ValueType::napi_null
    }

    /// One and the same value, as `===` has it.
    pub fn is_same(&self, one: sys::napi_value, other: sys::napi_value) -> bool {
        let mut same = false;
        // SAFETY: both are handles of the call. Values that cannot be compared count as different.
        unsafe { sys::napi_strict_equals(self.env(), one, other, &raw mut same) };
        same
    }

    pub fn property(&self, object: sys::napi_value, name: &CStr) -> Result<sys::napi_value> {
        let mut value = std::ptr::null_mut();
        // SAFETY: `object` is a handle of the call, the name ends with a zero byte.
        let status = unsafe {
            sys::napi_get_named_property(self.env(), object, name.as_ptr(), &raw mut value)
        };
        if status == sys::Status::napi_ok {
            Ok(value)
        } else {
            Err(misuse(format!("expected an object with the property {}", name.to_string_lossy())))
        }
    }

    pub fn number(&self, value: sys::napi_value, what: &str) -> Result<u32> {
        let mut number = 0;
        // SAFETY: `value` is a handle of the call.
        let status = unsafe { sys::napi_get_value_uint32(self.env(), value, &raw mut number) };
        if status == sys::Status::napi_ok {
            Ok(number)
        } else {
            Err(misuse(format!("{what} must be a number")))
        }
    }

    /// The elements of a JavaScript array.
    pub fn elements(&self, array: sys::napi_value, what: &str) -> Result<Vec<sys::napi_value>> {
        let mut len = 0;
        // SAFETY: `array` is a handle of the call.
        if unsafe { sys::napi_get_array_length(self.env(), array, &raw mut len) }
            != sys::Status::napi_ok
        {
            return Err(misuse(format!("{what} must be an array")));
        }
        let element = |index| {
            let mut value = std::ptr::null_mut();
            // SAFETY: `array` is an array, as its length said.
            let status = unsafe { sys::napi_get_element(self.env(), array, index, &raw mut value) };
            if status == sys::Status::napi_ok {
                Ok(value)
            } else {
                Err(misuse(format!("{what}: bad element")))
            }
        };
        (0..len).map(element).collect()
    }

    /// A short word, such as a column kind, into `buffer`; `None` if it is no string or too long.
    pub fn word<'b>(&self, value: sys::napi_value, buffer: &'b mut [u8; 16]) -> Option<&'b str> {
        let mut len = 0;
        // SAFETY: at most `buffer.len()` bytes, a final zero included, are written.
        let status = unsafe {
            sys::napi_get_value_string_utf8(
                self.env(),
                value,
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                &raw mut len,
            )
        };
        (status == sys::Status::napi_ok).then(|| std::str::from_utf8(&buffer[..len]).ok())?
    }
}

fn span<T>(pointer: *const T, len: usize) -> Span {
    (pointer as usize, pointer as usize + len * size_of::<T>())
}
