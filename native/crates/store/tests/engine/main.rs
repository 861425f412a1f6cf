//! The engine through its public face. One binary: the parts share helpers, and it is linked once.

mod asynchronous;
mod common;
mod crash;
mod isolation;
mod model;
mod recovery;
mod rows;
mod search;
mod stress;
