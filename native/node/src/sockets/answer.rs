//! Answers that a commit takes along, to be sent once it is durable, before JavaScript hears of it.
//!
//! Only the socket's owner may have an answer made, with nothing of its own waiting to be sent, and it sends nothing until it
//! has heard how many bytes went out: so the bytes of a socket stay in order. The descriptor is open until the answer is gone.

use rustix::net::SendFlags;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// How much of an answer has been sent.
#[derive(Clone, Default)]
pub struct Sent(Arc<AtomicU32>);

impl Sent {
    pub fn bytes(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }
}

pub struct Answer {
    pub fd: Arc<OwnedFd>,
    pub bytes: Box<[u8]>,
    pub sent: Sent,
}

impl Answer {
    /// Sends what the kernel takes at once. What it does not take, and that a connection is broken, the owner finds when it
    /// sends the rest.
    pub fn send(self) {
        let send = || rustix::net::send(&self.fd, &self.bytes, SendFlags::NOSIGNAL);
        let count = rustix::io::retry_on_intr(send).unwrap_or(0);
        self.sent.0.store(count as u32, Ordering::Release);
    }
}
