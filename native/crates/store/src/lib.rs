//! The transactional engine: tables, indexes, locks, snapshots, the commit log and recovery.
//!
//! First commit: the public face only. Everything public is re-exported here.

mod api;
mod column;
mod error;
mod types;

pub use api::*;
pub use column::{ColumnMut, ColumnRef, KeyRange, ValuesMut, ValuesRef};
pub use error::{Result, StoreError, sqlstate};
pub use types::*;
