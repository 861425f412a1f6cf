//! The engine for Node: argument checks and conversions, nothing else. The contract, with the meaning of every
//! call, is `native/engine.ts`; its classes are here by the same names, in the same order.
//!
//! Three rules hold for every export:
//! - it runs under `guard`: errors leave as `Error` objects with an SQLSTATE, a panic becomes XX000 and ends the call;
//! - typed arrays are lent for one synchronous call through `Lent`, which refuses memory lent twice for writing;
//! - nothing the engine owns is ever visible to JavaScript.
//!
//! The addon may be loaded by several threads of a process; they share one engine (`open`).

// The attribute that exports a function hands arguments over by value.
#![allow(clippy::needless_pass_by_value)]
// It leaves the exports out of a test build, where nothing else uses what they call.
#![cfg_attr(test, allow(dead_code, unused_imports))]

mod backup;
mod block;
mod channel;
mod columns;
mod copy;
mod cursor;
mod engine;
mod error;
mod lend;
mod regex;
mod session;
mod sockets;
mod spec;
mod tools;
mod transaction;
