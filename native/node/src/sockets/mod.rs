//! Client sockets of one worker: who has something to read or room to write, told once per turn of the event loop.
//!
//! A stream object of Node's costs a worker a callback with all its ceremony per socket and chunk. Here libuv only notes which
//! descriptors are ready; behind them, still in the same turn, they are all read into memory that JavaScript has lent for good,
//! and one call hands it what is there.
//!
//! Invariants: a socket belongs to the thread that adopted it, and is closed with it at the latest; its descriptor outlives the
//! handle that watches it; an id is given once; JavaScript never runs while anything here is borrowed.
//!
//! What to do when a client vanishes or does not read is no affair of this file (wire/socket-stream.ts).

pub mod answer;
mod room;
mod uv;

use crate::error::{Result, guard, misuse};
use crate::lend::Lent;
use answer::{Answer, Sent};
use napi::bindgen_prelude::{Function, FunctionRef};
use napi::{Env, JsValue, Unknown, sys};
use napi_derive::napi;
use omen_store::StoreError;
use room::Room;
use rustix::net::{RecvFlags, SendFlags, Shutdown};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::ffi::{c_int, c_void};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::ptr::null_mut;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use uv::{READABLE, WRITABLE};

/// One socket reads at most this at a time: others of the same turn want room too.
const MAX_READ: usize = 64 * 1024;
/// With less room than this a socket waits for the next call.
const MIN_READ: usize = 16 * 1024;
/// Numbers of one event: id, bytes read, whether it may write.
const EVENT: usize = 3;
/// In the place of a number of bytes: the client sends no more.
const ENDED: i32 = -1;
/// The connection is broken.
const BROKEN: i32 = -2;
/// Beside libuv's events: the descriptor has failed, and is no longer watched.
const FAILED: c_int = 1 << 16;

struct Socket {
    // Before the descriptor: what is watched must be open.
    poll: uv::Poll,
    /// Answers under way share it.
    fd: Arc<OwnedFd>,
    id: u32,
    interest: Cell<c_int>,
    table: Weak<Table>,
}

impl Socket {
    fn watch(&self, interest: c_int) -> Result<()> {
        self.interest.set(interest);
        self.poll.watch(interest, on_event).map_err(|failure| failed("could not watch", &failure))
    }
}

/// All of a thread's sockets.
struct Table {
    event_loop: *mut sys::uv_loop_s,
    env: sys::napi_env,
    context: sys::napi_async_context,
    /// JavaScript that is told how many events there are.
    deliver: FunctionRef<i32, ()>,
    /// What sockets are read into, one behind the other.
    bytes: Room<u8>,
    /// An event for each.
    events: Room<i32>,
    sockets: RefCell<HashMap<u32, Box<Socket>>>,
    /// Ids and what they are ready for, in the order of the events.
    ready: RefCell<VecDeque<(u32, c_int)>>,
    last_id: Cell<u32>,
    turns: RefCell<Option<uv::Handle>>,
}

fn failed(what: &str, failure: &uv::Failure) -> StoreError {
    StoreError::new("58000", format!("{what} a socket: error {} of libuv", failure.0))
}

/// # Safety
/// Called by libuv for the handle of a `Socket`, which is in its place as long as the handle is open.
unsafe extern "C" fn on_event(handle: *mut uv::Raw, status: c_int, events: c_int) {
    // SAFETY: as above.
    let Some(socket) = (unsafe { uv::data::<Socket>(handle).as_ref() }) else { return };
    let Some(table) = socket.table.upgrade() else { return };
    // A failed descriptor is read from: that tells why, after what had arrived before.
    let events = if status < 0 { READABLE | FAILED } else { events };
    table.ready.borrow_mut().push_back((socket.id, events));
}

/// # Safety
/// Called by libuv for the handle of a `Table`, on its thread, outside JavaScript.
unsafe extern "C" fn on_turn(handle: *mut uv::Raw) {
    // SAFETY: the table closes the handle before it goes.
    let Some(table) = (unsafe { uv::data::<Table>(handle).as_ref() }) else { return };
    while !table.ready.borrow().is_empty() {
        // SAFETY: JavaScript, which looks at the same memory, does not run before `receive` is done.
        let count = unsafe { table.receive(table.bytes.as_mut(), table.events.as_mut()) };
        if count == 0 || !table.call(count) {
            break;
        }
    }
}

impl Table {
    /// Calls JavaScript as the event loop does: promises and ticks of the call run before this returns. False when it
    /// cannot be called any more.
    fn call(&self, count: i32) -> bool {
        let env = Env::from_raw(self.env);
        let (mut scope, mut receiver, mut result) = (null_mut(), null_mut(), null_mut());
        let mut argument = null_mut();
        let mut status = sys::Status::napi_generic_failure;
        // SAFETY: the loop's callbacks run on the environment's thread within its context. The scope is closed below; a
        // status other than "exception" means that the environment is ending, and nobody waits any more.
        unsafe {
            if sys::napi_open_handle_scope(self.env, &raw mut scope) != sys::Status::napi_ok {
                return false;
            }
            sys::napi_get_global(self.env, &raw mut receiver);
            sys::napi_create_int32(self.env, count, &raw mut argument);
            if let Ok(deliver) = self.deliver.borrow_back(&env) {
                status = sys::napi_make_callback(
                    self.env,
                    self.context,
                    receiver,
                    deliver.raw(),
                    1,
                    &raw const argument,
                    &raw mut result,
                );
                if status == sys::Status::napi_pending_exception {
                    let mut error = null_mut();
                    sys::napi_get_and_clear_last_exception(self.env, &raw mut error);
                    sys::napi_fatal_exception(self.env, error);
                }
            }
            sys::napi_close_handle_scope(self.env, scope);
        }
        status == sys::Status::napi_ok || status == sys::Status::napi_pending_exception
    }

    fn adopt(self: &Rc<Self>, fd: OwnedFd) -> Result<u32> {
        let id = self.last_id.get().checked_add(1).ok_or_else(|| misuse("too many sockets"))?;
        self.last_id.set(id);
        // SAFETY: the table's loop is its thread's; the socket below drops the handle before the descriptor.
        let poll = unsafe { uv::Poll::new(self.event_loop, fd.as_raw_fd()) }
            .map_err(|failure| failed("could not adopt", &failure))?;
        let table = Rc::downgrade(self);
        let socket = Box::new(Socket { poll, fd: Arc::new(fd), id, interest: Cell::new(0), table });
        socket.poll.set_data(&raw const *socket);
        self.sockets.borrow_mut().insert(id, socket);
        Ok(id)
    }

    fn with<T>(&self, id: u32, body: impl FnOnce(&Socket) -> Result<T>) -> Result<T> {
        let sockets = self.sockets.borrow();
        body(sockets.get(&id).ok_or_else(|| misuse(format!("no socket {id}")))?)
    }

    fn remove(&self, id: u32) -> Result<Box<Socket>> {
        let socket = self.sockets.borrow_mut().remove(&id);
        socket.ok_or_else(|| misuse(format!("no socket {id}")))
    }

    /// Reads sockets that are ready into `buffer`, as far as there is room, and writes an event for each into `events`: its id;
    /// the bytes read, 0 for none, `ENDED` or `BROKEN`; 1 if it may write. Gives the number of events, 0 when none is
    /// ready.
    fn receive(&self, buffer: &mut [u8], events: &mut [i32]) -> i32 {
        let sockets = self.sockets.borrow();
        let mut ready = self.ready.borrow_mut();
        let (mut used, mut count) = (0, 0);
        let mut slots = events.chunks_exact_mut(EVENT);
        while let Some(&(id, what)) = ready.front() {
            let room = buffer.len() - used;
            if room < MIN_READ {
                break;
            }
            let socket = sockets.get(&id).filter(|s| wanted(s.interest.get(), what) != 0);
            let Some(socket) = socket else {
                // Closed since it was noted, or told to wait.
                ready.pop_front();
                continue;
            };
            let Some(slot) = slots.next() else { break };
            ready.pop_front();
            let wanted = wanted(socket.interest.get(), what);
            let mut read = 0;
            if wanted & READABLE != 0 {
                let room = room.min(MAX_READ);
                read = read_from(socket, &mut buffer[used..][..room]);
                if wanted & FAILED != 0 && read >= 0 && socket.watch(socket.interest.get()).is_err()
                {
                    read = BROKEN;
                }
            }
            used += usize::try_from(read).unwrap_or(0);
            slot.copy_from_slice(&[id as i32, read, i32::from(wanted & WRITABLE != 0)]);
            count += 1;
        }
        count
    }
}

/// Of what a socket is ready for, what it is watched for. A failure interests always.
fn wanted(interest: c_int, ready: c_int) -> c_int {
    if ready & FAILED != 0 { ready } else { interest & ready }
}

/// Bytes read, 0 for none at hand, `ENDED` or `BROKEN`.
fn read_from(socket: &Socket, buffer: &mut [u8]) -> i32 {
    match rustix::io::retry_on_intr(|| {
        rustix::net::recv(&socket.fd, &mut *buffer, RecvFlags::empty())
    }) {
        Ok((0, _)) => ENDED,
        Ok((count, _)) => count as i32,
        Err(rustix::io::Errno::AGAIN) => 0,
        Err(_) => BROKEN,
    }
}

/// Closes everything: the environment ends. It must not before libuv has let go of the handles, which is what `hook` holds it
/// for.
///
/// # Safety
/// Called once by Node with the `Rc<Table>` it was registered with.
unsafe extern "C" fn on_environment_end(
    hook: sys::napi_async_cleanup_hook_handle,
    table: *mut c_void,
) {
    // SAFETY: as above.
    let table = unsafe { Rc::from_raw(table.cast_const().cast::<Table>()) };
    table.sockets.borrow_mut().clear();
    // SAFETY: nothing is called in the context's name any more.
    unsafe { sys::napi_async_destroy(table.env, table.context) };
    if let Some(turns) = table.turns.borrow_mut().take() {
        turns.close_with(hook.cast_const(), let_go);
    }
}

/// # Safety
/// Called by libuv for the last handle of a table, whose data is the hook to remove.
unsafe extern "C" fn let_go(handle: *mut uv::Raw) {
    // SAFETY: as above.
    unsafe {
        let hook = uv::data::<sys::napi_async_cleanup_hook_handle__>(handle).cast_mut();
        uv::free(handle);
        sys::napi_remove_async_cleanup_hook(hook);
    }
}

#[napi]
pub struct Sockets {
    table: Rc<Table>,
}

impl Sockets {
    /// The first `count` bytes for the socket `id`, to be sent by anybody.
    pub(crate) fn answer(&self, id: u32, bytes: &[u8], count: u32, sent: Sent) -> Result<Answer> {
        let bytes = first(bytes, count)?.into();
        self.table.with(id, |socket| Ok(Answer { fd: Arc::clone(&socket.fd), bytes, sent }))
    }

    /// What the kernel takes at once of the first `count` bytes; how many, or `BROKEN`.
    pub(crate) fn send_first(&self, id: u32, bytes: &[u8], count: u32) -> Result<i32> {
        let bytes = first(bytes, count)?;
        self.table.with(id, |socket| {
            let send = || rustix::net::send(&socket.fd, bytes, SendFlags::NOSIGNAL);
            Ok(match rustix::io::retry_on_intr(send) {
                Ok(count) => count as i32,
                Err(rustix::io::Errno::AGAIN) => 0,
                Err(_) => BROKEN,
            })
        })
    }
}

fn first(bytes: &[u8], count: u32) -> Result<&[u8]> {
    bytes.get(..count as usize).ok_or_else(|| misuse(format!("bytes is shorter than {count}")))
}

#[napi]
impl Sockets {
    /// `deliver` is called with the number of events when sockets have been read into `bytes`, again and again until all that
    /// are ready have been. Both arrays are lent until the thread ends.
    #[napi(constructor)]
    pub fn new(
        env: Env,
        deliver: Function<'_, i32, ()>,
        bytes: Unknown<'_>,
        events: Unknown<'_>,
    ) -> napi::Result<Self> {
        let deliver = deliver.create_ref()?;
        guard(env, || {
            let bytes = Room::keep(env, bytes, MIN_READ, "bytes")?;
            let events = Room::keep(env, events, EVENT, "events")?;
            let (event_loop, context) = surroundings(env)?;
            let table = Rc::new(Table {
                event_loop,
                env: env.raw(),
                context,
                deliver,
                bytes,
                events,
                sockets: RefCell::default(),
                ready: RefCell::default(),
                last_id: Cell::new(0),
                turns: RefCell::default(),
            });
            // SAFETY: the loop is this thread's, and the table closes the handle when it goes.
            let turns = unsafe { uv::every_turn(event_loop, &raw const *table, on_turn) };
            *table.turns.borrow_mut() = Some(turns.map_err(|f| failed("could not wait for", &f))?);
            let held = Rc::into_raw(Rc::clone(&table));
            // SAFETY: Node calls the hook once, with the reference it then owns.
            let status = unsafe {
                sys::napi_add_async_cleanup_hook(
                    env.raw(),
                    Some(on_environment_end),
                    held.cast_mut().cast(),
                    null_mut(),
                )
            };
            if status != sys::Status::napi_ok {
                return Err(misuse("the environment takes no cleanup hook"));
            }
            Ok(Self { table })
        })
    }

    /// Takes the socket `fd` over, not yet watched. Gives its id.
    #[napi]
    pub fn adopt(&self, env: Env, fd: i32) -> napi::Result<u32> {
        guard(env, || {
            if fd < 0 {
                return Err(misuse(format!("descriptor {fd}")));
            }
            // SAFETY: the caller hands it over.
            self.table.adopt(unsafe { OwnedFd::from_raw_fd(fd) })
        })
    }

    /// What the socket is watched for from now on.
    #[napi]
    pub fn watch(&self, env: Env, id: u32, reads: bool, writes: bool) -> napi::Result<()> {
        let interest = if reads { READABLE } else { 0 } | if writes { WRITABLE } else { 0 };
        guard(env, || self.table.with(id, |socket| socket.watch(interest)))
    }

    /// Sends what the kernel takes at once of the first `count` bytes; how many, or -2 for a broken connection.
    #[napi]
    pub fn send(&self, env: Env, id: u32, bytes: Unknown<'_>, count: u32) -> napi::Result<i32> {
        guard(env, || {
            let lent = Lent::new(env);
            self.send_first(id, lent.read::<u8>(bytes, "bytes")?, count)
        })
    }

    /// Tells the client that nothing more comes; what it sends can still be read.
    #[napi]
    pub fn finish(&self, env: Env, id: u32) -> napi::Result<()> {
        guard(env, || {
            self.table.with(id, |socket| {
                // Of a connection that is gone already nobody needs to hear.
                let _ = rustix::net::shutdown(&socket.fd, Shutdown::Write);
                Ok(())
            })
        })
    }

    #[napi]
    pub fn close(&self, env: Env, id: u32) -> napi::Result<()> {
        guard(env, || self.table.remove(id).map(drop))
    }

    /// Gives the descriptor away, open and no longer watched.
    #[napi]
    pub fn release(&self, env: Env, id: u32) -> napi::Result<i32> {
        guard(env, || {
            let Socket { poll, fd, .. } = *self.table.remove(id)?;
            drop(poll);
            let fd =
                Arc::into_inner(fd).ok_or_else(|| misuse("the socket has an answer under way"))?;
            Ok(fd.into_raw_fd())
        })
    }
}

/// The thread's event loop, and what its callbacks are called in the name of.
fn surroundings(env: Env) -> Result<(*mut sys::uv_loop_s, sys::napi_async_context)> {
    let (mut event_loop, mut context) = (null_mut(), null_mut());
    let (mut resource, mut name) = (null_mut(), null_mut());
    let text = c"omendb.Sockets";
    // SAFETY: `env` is the environment of the call under way; a step that fails leaves what the next one refuses.
    let status = unsafe {
        sys::napi_create_object(env.raw(), &raw mut resource);
        let length = text.count_bytes() as isize;
        sys::napi_create_string_utf8(env.raw(), text.as_ptr(), length, &raw mut name);
        sys::napi_get_uv_event_loop(env.raw(), &raw mut event_loop);
        sys::napi_async_init(env.raw(), resource, name, &raw mut context)
    };
    if status == sys::Status::napi_ok && !event_loop.is_null() {
        Ok((event_loop, context))
    } else {
        Err(misuse("the thread has no event loop"))
    }
}
