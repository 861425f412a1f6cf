//! Who hears that commits have ended: clients by their acknowledgements, the threads of their sessions by wait tokens.
//!
//! Clients first. What a client sends next waits for its session, which goes on when its thread has the token; the other way
//! round the thread would answer by itself, beside an acknowledgement under way.

use std::sync::Arc;

use super::Acknowledgement;
use crate::session::Channel;

/// What is left to do of a commit that has ended.
pub struct Settled {
    /// None for one that failed, too.
    pub acknowledgement: Option<Acknowledgement>,
    pub token: Option<(Arc<Channel>, u32)>,
}

/// The ends of a group of commits, to be told under no lock.
#[derive(Default)]
pub struct News {
    acknowledgements: Vec<Acknowledgement>,
    /// By channel: its thread wakes once and has all its sessions go on.
    tokens: Vec<(Arc<Channel>, Vec<u32>)>,
}

impl News {
    pub fn add(&mut self, settled: Settled) {
        self.acknowledgements.extend(settled.acknowledgement);
        let Some((channel, token)) = settled.token else { return };
        match self.tokens.iter_mut().find(|(known, _)| Arc::ptr_eq(known, &channel)) {
            Some((_, tokens)) => tokens.push(token),
            None => self.tokens.push((channel, vec![token])),
        }
    }

    pub fn tell(self) {
        for acknowledge in self.acknowledgements {
            acknowledge();
        }
        for (channel, tokens) in self.tokens {
            channel.deliver(&tokens);
        }
    }
}
