//! Errors on their way to JavaScript.

use napi::{Env, Status, sys};
use omen_copy::CopyError;
use omen_store::{StoreError, sqlstate};
use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub type Result<T> = std::result::Result<T, StoreError>;

/// A caller's mistake at this border: always a bug of ours on the TypeScript side, so XX000.
pub fn misuse(message: impl Into<String>) -> StoreError {
    StoreError::new(sqlstate::INTERNAL, message)
}

/// Runs the body of an export; what it fails with is thrown.
pub fn guard<T>(env: Env, body: impl FnOnce() -> Result<T>) -> napi::Result<T> {
    // A panic in code that must not be interrupted aborts the process itself (commit, publish, log append); any
    // other leaves the engine whole, which is what the assertion says.
    let outcome = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panic");
        Err(misuse(format!("internal error: {text}")))
    });
    outcome.map_err(|error| throw(env, &error))
}

/// A property of a thrown error.
enum Property<'a> {
    Text(&'a str),
    Number(f64),
}

/// Throws `error` as an `Error` object: `code` is the SQLSTATE; `detail`, `hint`, `relationId`, `indexId`, `rid` where
/// set.
fn throw(env: Env, error: &StoreError) -> napi::Error {
    let id = |id: Option<u32>| id.map(|id| Property::Number(f64::from(id)));
    let properties = [
        (c"detail", error.detail.as_deref().map(Property::Text)),
        (c"hint", error.hint.as_deref().map(Property::Text)),
        (c"relationId", id(error.relation_id)),
        (c"indexId", id(error.index_id)),
        (c"rid", id(error.rid)),
    ];
    throw_object(env, &error.sqlstate, &error.message, properties)
}

/// Throws a COPY error with what its CONTEXT line needs: `line`, and `column` and `value` where known.
pub fn throw_copy(env: Env, error: &CopyError) -> napi::Error {
    let properties = [
        (c"hint", error.hint.map(Property::Text)),
        (c"line", Some(Property::Number(error.line as f64))),
        (c"column", error.column.as_deref().map(Property::Text)),
        (c"value", error.value.as_deref().map(Property::Text)),
    ];
    throw_object(env, error.sqlstate, &error.message, properties)
}

fn throw_object<const N: usize>(
    env: Env,
    code: &str,
    message: &str,
    properties: [(&CStr, Option<Property<'_>>); N],
) -> napi::Error {
    let raw = env.raw();
    // SAFETY: `raw` is the environment of the call under way, on its thread. Handles made here live until the call
    // returns. A failing step leaves a null handle, which the next one refuses; the answer is then a plain error.
    let thrown = unsafe {
        let mut object = std::ptr::null_mut();
        sys::napi_create_error(raw, text(raw, code), text(raw, message), &raw mut object);
        for (name, property) in properties {
            let value = match property {
                Some(Property::Text(value)) => text(raw, value),
                Some(Property::Number(value)) => number(raw, value),
                None => continue,
            };
            sys::napi_set_named_property(raw, object, name.as_ptr(), value);
        }
        sys::napi_throw(raw, object)
    };
    // "Pending" tells the caller that the object above is what is being thrown.
    let status = if thrown == sys::Status::napi_ok {
        Status::PendingException
    } else {
        Status::GenericFailure
    };
    napi::Error::new(status, format!("{code}: {message}"))
}

/// # Safety
/// `env` is the current environment.
unsafe fn text(env: sys::napi_env, text: &str) -> sys::napi_value {
    let mut value = std::ptr::null_mut();
    // SAFETY: pointer and length describe `text`.
    unsafe {
        sys::napi_create_string_utf8(env, text.as_ptr().cast(), text.len() as isize, &raw mut value)
    };
    value
}

/// # Safety
/// `env` is the current environment.
unsafe fn number(env: sys::napi_env, number: f64) -> sys::napi_value {
    let mut value = std::ptr::null_mut();
    // SAFETY: as the caller says.
    unsafe { sys::napi_create_double(env, number, &raw mut value) };
    value
}
