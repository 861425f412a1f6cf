//! The way of finished wait tokens to the thread that waits for them.

use crate::error::guard;
use napi::bindgen_prelude::{Either, Function};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Status};
use napi_derive::napi;
use omen_store::{Notifier, Session};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// A token that comes alone is a number, several are an array of numbers: a typed array would be memory outside the JavaScript
/// heap, with a finalizer, for each group of commits.
pub type Tokens = Either<u32, Vec<u32>>;

type Deliver = ThreadsafeFunction<Arc<Mailbox>, (), Tokens, Status, false>;

/// Tokens on their way. One wake-up of the event loop takes all that have come by then.
#[derive(Default)]
pub struct Mailbox(Mutex<Vec<u32>>);

impl Mailbox {
    /// Whether a wake-up is needed: the box was empty.
    fn put(&self, tokens: &[u32]) -> bool {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let was_empty = waiting.is_empty();
        waiting.extend_from_slice(tokens);
        was_empty && !waiting.is_empty()
    }

    fn take(&self) -> Tokens {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let [token] = waiting[..] {
            waiting.clear();
            return Either::A(token);
        }
        Either::B(std::mem::take(&mut waiting))
    }
}

/// Hands tokens to one JavaScript function; callable from any thread. Clones are the same courier.
#[derive(Clone)]
pub struct Courier {
    mailbox: Arc<Mailbox>,
    /// None once dismissed: the function, while it is there, keeps its event loop alive.
    deliver: Arc<Mutex<Option<Deliver>>>,
}

impl Courier {
    fn new(deliver: Function<'_, Tokens, ()>) -> napi::Result<Self> {
        let builder = deliver.build_threadsafe_function::<Arc<Mailbox>>();
        let deliver = builder.build_callback(|context| {
            let mailbox: Arc<Mailbox> = context.value;
            Ok(mailbox.take())
        })?;
        Ok(Self { mailbox: Arc::default(), deliver: Arc::new(Mutex::new(Some(deliver))) })
    }

    /// Lets go of the JavaScript function, for all clones.
    fn dismiss(&self) {
        drop(self.deliver.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl Notifier for Courier {
    fn notify(&self, tokens: &[u32]) {
        if self.mailbox.put(tokens)
            && let Some(deliver) =
                self.deliver.lock().unwrap_or_else(PoisonError::into_inner).as_ref()
        {
            // A closing thread refuses; then nobody waits any more.
            deliver.call(Arc::clone(&self.mailbox), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }
}

/// What a channel leaves behind when its thread ends without closing it.
struct Belongings {
    channel: Arc<omen_store::Channel>,
    sessions: Mutex<Vec<Weak<Session>>>,
}

impl Belongings {
    /// Ends every session opened over the channel: transactions abort, locks go to those who wait.
    fn give_up(&self) {
        let sessions =
            std::mem::take(&mut *self.sessions.lock().unwrap_or_else(PoisonError::into_inner));
        for session in sessions.iter().filter_map(Weak::upgrade) {
            session.close();
        }
        self.channel.close();
    }
}

#[napi]
pub struct Channel {
    pub(crate) courier: Courier,
    belongings: Arc<Belongings>,
}

impl Channel {
    pub(crate) fn open(
        env: Env,
        engine: &omen_store::Engine,
        deliver: Function<'_, Tokens, ()>,
    ) -> napi::Result<Self> {
        let courier = Courier::new(deliver)?;
        let channel = engine.open_channel(Box::new(courier.clone()));
        let belongings = Arc::new(Belongings { channel, sessions: Mutex::default() });
        env.add_env_cleanup_hook(Arc::downgrade(&belongings), |belongings| {
            if let Some(belongings) = belongings.upgrade() {
                belongings.give_up();
            }
        })?;
        Ok(Self { courier, belongings })
    }

    pub(crate) fn handle(&self) -> &Arc<omen_store::Channel> {
        &self.belongings.channel
    }

    /// Remembers a session opened over this channel.
    pub(crate) fn adopt(&self, session: &Arc<Session>) {
        let mut sessions = self.belongings.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        // Sessions come and go by the thousand on one channel; drop the gone ones as the list would grow.
        if sessions.len() == sessions.capacity() {
            sessions.retain(|session| session.strong_count() > 0);
        }
        sessions.push(Arc::downgrade(session));
    }
}

#[napi]
impl Channel {
    /// Keeps the commits of this channel's sessions back, until `release_commits`.
    #[napi]
    pub fn hold_commits(&self) {
        self.belongings.channel.hold_commits();
    }

    #[napi]
    pub fn release_commits(&self) {
        self.belongings.channel.release_commits();
    }

    /// Tokens that are still on their way are dropped; the event loop is no longer held open by this channel.
    #[napi]
    pub fn close(&self, env: Env) -> napi::Result<()> {
        guard(env, || {
            self.belongings.give_up();
            self.courier.dismiss();
            Ok(())
        })
    }
}
