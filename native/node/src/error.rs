//! Errors on their way to JavaScript.

use napi::{Env, Status, sys};
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

/// Throws `error` as an `Error` object: `code` is the SQLSTATE; `detail`, `hint`, `relationId`, `indexId` where set.
fn throw(env: Env, error: &StoreError) -> napi::Error {
    let env = env.raw();
    // SAFETY: `env` is the environment of the call under way, on its thread. Handles made here live until the call
    // returns. A failing step leaves a null handle, which the next one refuses; the answer is then a plain error.
    let thrown = unsafe {
        let mut object = std::ptr::null_mut();
        sys::napi_create_error(
            env,
            text(env, &error.sqlstate),
            text(env, &error.message),
            &raw mut object,
        );
        if let Some(detail) = &error.detail {
            set(env, object, c"detail", text(env, detail));
        }
        if let Some(hint) = &error.hint {
            set(env, object, c"hint", text(env, hint));
        }
        if let Some(relation_id) = error.relation_id {
            set(env, object, c"relationId", number(env, relation_id));
        }
        if let Some(index_id) = error.index_id {
            set(env, object, c"indexId", number(env, index_id));
        }
        sys::napi_throw(env, object)
    };
    // "Pending" tells the caller that the object above is what is being thrown.
    let status = if thrown == sys::Status::napi_ok {
        Status::PendingException
    } else {
        Status::GenericFailure
    };
    napi::Error::new(status, error.to_string())
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
unsafe fn number(env: sys::napi_env, number: u32) -> sys::napi_value {
    let mut value = std::ptr::null_mut();
    // SAFETY: as the caller says.
    unsafe { sys::napi_create_uint32(env, number, &raw mut value) };
    value
}

/// # Safety
/// `env` is the current environment; `object` and `value` are handles of it or null.
unsafe fn set(env: sys::napi_env, object: sys::napi_value, name: &CStr, value: sys::napi_value) {
    // SAFETY: as the caller says.
    unsafe { sys::napi_set_named_property(env, object, name.as_ptr(), value) };
}
