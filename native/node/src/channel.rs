//! The way of finished wait tokens to the thread that waits for them, and of answers that go out as it wakes.

use crate::error::guard;
use crate::sockets::answer::Answer;
use napi::bindgen_prelude::{Either, Function};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Status};
use napi_derive::napi;
use omen_store::{Notifier, Session};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, ThreadId};

/// A token that comes alone is a number, several are an array of numbers: a typed array would be memory outside the JavaScript
/// heap, with a finalizer, for each group of commits.
pub type Tokens = Either<u32, Vec<u32>>;

type Deliver = ThreadsafeFunction<Arc<Mailbox>, (), Tokens, Status, false>;

#[derive(Default)]
struct Mail {
    tokens: Vec<u32>,
    /// Of commits whose tokens come behind them.
    answers: Vec<Answer>,
}

/// What is on its way. One wake-up of the event loop takes all that has come by then.
#[derive(Default)]
pub struct Mailbox(Mutex<Mail>);

impl Mailbox {
    fn mail(&self) -> MutexGuard<'_, Mail> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a wake-up is needed: there were no tokens.
    fn put(&self, tokens: &[u32]) -> bool {
        let mut mail = self.mail();
        let was_empty = mail.tokens.is_empty();
        mail.tokens.extend_from_slice(tokens);
        was_empty && !mail.tokens.is_empty()
    }

    /// Sends the answers: all clients of a group have theirs before the first session goes on.
    fn take(&self) -> Tokens {
        let mut mail = self.mail();
        let answers = std::mem::take(&mut mail.answers);
        let tokens = if let [token] = mail.tokens[..] {
            mail.tokens.clear();
            Either::A(token)
        } else {
            Either::B(std::mem::take(&mut mail.tokens))
        };
        drop(mail);
        answers.into_iter().for_each(Answer::send);
        tokens
    }
}

/// Hands tokens to one JavaScript function; callable from any thread. Clones are the same courier.
#[derive(Clone)]
pub struct Courier {
    mailbox: Arc<Mailbox>,
    /// The thread of the function.
    home: ThreadId,
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
        let deliver = Arc::new(Mutex::new(Some(deliver)));
        Ok(Self { mailbox: Arc::default(), home: thread::current().id(), deliver })
    }

    /// Sends an answer of this thread's, at once if it runs here. Else it goes with the next token, and that thread sends it: the
    /// committer would keep the next group waiting behind one system call, and one client woken, for each commit of this one.
    pub fn answer(&self, answer: Answer) {
        if thread::current().id() == self.home {
            answer.send();
        } else {
            self.mailbox.mail().answers.push(answer);
        }
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
