//! Who is connected: sessions under their process ids, how they are cancelled and ended, and whom they wait for.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Engine;
use crate::lock::{LockOwner, LockStatus};
use crate::session::{Channel, INTERRUPT_CANCEL, INTERRUPT_TERMINATE, Notifier, Session};
use crate::sync::{lock, read, write};

impl Engine {
    pub fn open_channel(&self, notifier: Box<dyn Notifier>) -> Arc<Channel> {
        Channel::new(notifier)
    }

    /// Registers a session under a fresh process id and a secret for CancelRequest.
    pub fn open_session(self: &Arc<Self>, channel: &Arc<Channel>) -> Arc<Session> {
        use std::hash::BuildHasher;
        let process_id = self.next_process.fetch_add(1, Ordering::Relaxed);
        let secret = self.secrets.hash_one((process_id, std::time::Instant::now())) as u32;
        let owner = Arc::new(LockOwner::new(process_id, Arc::clone(channel)));
        self.locks.register(Arc::clone(&owner));
        let session = Arc::new(Session::new(Arc::clone(self), owner, secret));
        write(&self.sessions).insert(process_id, Arc::clone(&session));
        channel.session_opened();
        session
    }

    pub(crate) fn forget_session(&self, process_id: u32) {
        if let Some(session) = write(&self.sessions).remove(&process_id) {
            session.owner.channel.session_closed();
        }
        self.locks.unregister(process_id);
    }

    /// Sets the cancel flag of a session and wakes its wait; false when there is none or the secret is wrong.
    pub fn cancel_session(&self, process_id: u32, secret_key: Option<u32>) -> bool {
        let session = read(&self.sessions).get(&process_id).cloned();
        let Some(session) = session.filter(|s| secret_key.is_none_or(|k| k == s.secret_key()))
        else {
            return false;
        };
        self.interrupt(&session, INTERRUPT_CANCEL);
        true
    }

    /// As cancel, but the session ends.
    pub fn terminate_session(&self, process_id: u32) -> bool {
        let session = read(&self.sessions).get(&process_id).cloned();
        let Some(session) = session else { return false };
        self.interrupt(&session, INTERRUPT_TERMINATE);
        true
    }

    fn interrupt(&self, session: &Session, interrupt: u8) {
        session.set_interrupt(interrupt);
        for build in lock(&self.builds).iter() {
            build.cancel_for(session.process_id());
        }
        self.locks.cancel_wait(session.process_id());
        session.cancel_safe_snapshot();
        self.cancel_parked(session);
    }

    /// Process ids of the sessions that are open.
    pub fn session_ids(&self) -> Vec<u32> {
        read(&self.sessions).keys().copied().collect()
    }

    /// Every lock that is held or waited for.
    pub fn lock_statuses(&self) -> Vec<LockStatus> {
        self.locks.statuses()
    }

    /// Whom a session waits for.
    pub fn blocking_sessions(&self, process_id: u32) -> Vec<u32> {
        self.locks.blocking(process_id)
    }
}
