//! The little of libuv that waiting for sockets takes: its handles, each in memory of its own until libuv has let go of it.
//!
//! Node exports these functions of its event loop to addons. A handle belongs to the thread of its loop, and so does every
//! call here.

use napi::sys::uv_loop_s;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ffi::{c_int, c_void};
use std::ptr::{NonNull, null_mut};

/// A handle as libuv has it; its size is libuv's affair.
#[repr(C)]
pub struct Raw {
    _private: [u8; 0],
}

// Numbers of uv_handle_type and uv_poll_event, fixed for libuv 1.
const CHECK: c_int = 2;
const POLL: c_int = 8;
pub const READABLE: c_int = 1;
pub const WRITABLE: c_int = 2;

unsafe extern "C" {
    fn uv_handle_size(kind: c_int) -> usize;
    fn uv_handle_get_type(handle: *const Raw) -> c_int;
    fn uv_handle_get_data(handle: *const Raw) -> *mut c_void;
    fn uv_handle_set_data(handle: *mut Raw, data: *mut c_void);
    fn uv_unref(handle: *mut Raw);
    fn uv_close(handle: *mut Raw, closed: unsafe extern "C" fn(*mut Raw));
    fn uv_poll_init(event_loop: *mut uv_loop_s, handle: *mut Raw, fd: c_int) -> c_int;
    fn uv_poll_start(handle: *mut Raw, events: c_int, on_event: OnEvent) -> c_int;
    fn uv_poll_stop(handle: *mut Raw) -> c_int;
    fn uv_check_init(event_loop: *mut uv_loop_s, handle: *mut Raw) -> c_int;
    fn uv_check_start(handle: *mut Raw, on_turn: unsafe extern "C" fn(*mut Raw)) -> c_int;
}

/// Handle, status (negative: the descriptor has failed, and is no longer watched), events.
pub type OnEvent = unsafe extern "C" fn(*mut Raw, c_int, c_int);

/// A negative number of libuv's.
#[derive(Debug)]
pub struct Failure(pub c_int);

fn check(status: c_int) -> Result<(), Failure> {
    if status < 0 { Err(Failure(status)) } else { Ok(()) }
}

/// A handle that is closed when it is dropped. Its memory goes when the loop has turned once more.
pub struct Handle(NonNull<Raw>);

impl Handle {
    /// Memory for a handle of `kind`, made one by `init`.
    fn new(kind: c_int, init: impl FnOnce(*mut Raw) -> c_int) -> Result<Self, Failure> {
        let layout = layout(kind);
        // SAFETY: the layout is not of size 0.
        let memory = unsafe { alloc_zeroed(layout) };
        let Some(raw) = NonNull::new(memory.cast::<Raw>()) else { handle_alloc_error(layout) };
        if let Err(failure) = check(init(raw.as_ptr())) {
            // SAFETY: as allocated above; libuv keeps nothing of a handle that failed to begin.
            unsafe { dealloc(memory, layout) };
            return Err(failure);
        }
        Ok(Self(raw))
    }

    /// What callbacks find as `data`.
    pub fn set_data<T>(&self, data: *const T) {
        // SAFETY: the handle is open.
        unsafe { uv_handle_set_data(self.0.as_ptr(), data.cast_mut().cast()) };
    }

    /// Closes the handle; `closed` is called with it, and frees it, once libuv has let go of it and of all closed before.
    pub fn close_with<T>(self, data: *const T, closed: unsafe extern "C" fn(*mut Raw)) {
        self.set_data(data);
        let raw = self.0.as_ptr();
        std::mem::forget(self);
        // SAFETY: the handle is open, and nobody else closes it.
        unsafe { uv_close(raw, closed) };
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: open until now; callbacks end here, and `free` gets the memory once libuv has no use for it.
        unsafe {
            uv_handle_set_data(self.0.as_ptr(), null_mut());
            uv_close(self.0.as_ptr(), free);
        }
    }
}

/// What `set_data` left.
///
/// # Safety
/// `handle` is one that a callback was called with.
pub unsafe fn data<T>(handle: *mut Raw) -> *const T {
    // SAFETY: as the caller says.
    unsafe { uv_handle_get_data(handle) }.cast_const().cast()
}

fn layout(kind: c_int) -> Layout {
    // SAFETY: any number is allowed; those used are kinds of handles.
    let size = unsafe { uv_handle_size(kind) };
    Layout::from_size_align(size, 16).expect("the size of a handle is a small number")
}

/// # Safety
/// `handle` came from `Handle::new` and is closed.
pub unsafe extern "C" fn free(handle: *mut Raw) {
    // SAFETY: allocated with the layout of its kind.
    unsafe { dealloc(handle.cast(), layout(uv_handle_get_type(handle))) };
}

/// Watches a descriptor.
pub struct Poll(Handle);

impl Poll {
    /// # Safety
    /// `event_loop` is the calling thread's, and `fd` stays open until the `Poll` is dropped.
    pub unsafe fn new(event_loop: *mut uv_loop_s, fd: c_int) -> Result<Self, Failure> {
        // SAFETY: as the caller says.
        Handle::new(POLL, |raw| unsafe { uv_poll_init(event_loop, raw, fd) }).map(Self)
    }

    pub fn set_data<T>(&self, data: *const T) {
        self.0.set_data(data);
    }

    /// Has `on_event` called while any of `events` holds; of none it is silent.
    pub fn watch(&self, events: c_int, on_event: OnEvent) -> Result<(), Failure> {
        let raw = self.0.0.as_ptr();
        // SAFETY: the handle is open.
        check(unsafe {
            if events == 0 { uv_poll_stop(raw) } else { uv_poll_start(raw, events, on_event) }
        })
    }
}

/// Calls `on_turn` in every turn of the loop, behind the events of its descriptors. Keeps no loop alive.
///
/// # Safety
/// `event_loop` is the calling thread's; `data` is valid as long as the handle.
pub unsafe fn every_turn<T>(
    event_loop: *mut uv_loop_s,
    data: *const T,
    on_turn: unsafe extern "C" fn(*mut Raw),
) -> Result<Handle, Failure> {
    // SAFETY: as the caller says.
    let handle = Handle::new(CHECK, |raw| unsafe { uv_check_init(event_loop, raw) })?;
    handle.set_data(data);
    let raw = handle.0.as_ptr();
    // SAFETY: the handle is open.
    check(unsafe { uv_check_start(raw, on_turn) })?;
    // SAFETY: as above.
    unsafe { uv_unref(raw) };
    Ok(handle)
}
