//! Cursors and prepared text queries: engine values with a `close`.

use crate::columns::write_columns;
use crate::error::{Result, guard, misuse};
use crate::lend::Lent;
use napi::{Env, Unknown};
use napi_derive::napi;
use omen_store::Filled;

/// The answer of a call that fills buffers: the row count, or -(position + 1) of the bytes buffer that is too small,
/// with the size it needs in `needed[0]`.
pub fn filled(filled: Filled, needed: &mut [f64]) -> Result<i32> {
    match filled {
        Filled::Rows(count) => Ok(count as i32),
        Filled::TooSmall { column, needed: bytes } => {
            let slot = needed.first_mut().ok_or_else(|| misuse("needed must have an element"))?;
            *slot = bytes as f64;
            Ok(-(column as i32) - 1)
        }
    }
}

fn closed() -> omen_store::StoreError {
    misuse("the cursor is closed")
}

#[napi]
pub struct ScanCursor {
    cursor: Option<omen_store::ScanCursor>,
}

impl ScanCursor {
    pub(crate) fn new(cursor: omen_store::ScanCursor) -> Self {
        Self { cursor: Some(cursor) }
    }
}

#[napi]
impl ScanCursor {
    #[napi]
    pub fn next(
        &mut self,
        env: Env,
        buffers: Unknown<'_>,
        rids: Unknown<'_>,
        needed: Unknown<'_>,
    ) -> napi::Result<i32> {
        guard(env, || {
            let cursor = self.cursor.as_mut().ok_or_else(closed)?;
            let lent = Lent::new(env);
            let mut columns = write_columns(&lent, buffers)?;
            let found = cursor.next(&mut columns, lent.write(rids, "rids")?)?;
            filled(found, lent.write(needed, "needed")?)
        })
    }

    #[napi]
    pub fn close(&mut self, env: Env) -> napi::Result<()> {
        guard(env, || {
            self.cursor = None;
            Ok(())
        })
    }
}

#[napi]
pub struct IndexCursor {
    cursor: Option<omen_store::IndexCursor>,
}

impl IndexCursor {
    pub(crate) fn new(cursor: omen_store::IndexCursor) -> Self {
        Self { cursor: Some(cursor) }
    }
}

#[napi]
impl IndexCursor {
    #[napi]
    pub fn next(&mut self, env: Env, rids: Unknown<'_>) -> napi::Result<u32> {
        guard(env, || {
            let cursor = self.cursor.as_mut().ok_or_else(closed)?;
            let lent = Lent::new(env);
            Ok(cursor.next(lent.write(rids, "rids")?)? as u32)
        })
    }

    #[napi]
    pub fn close(&mut self, env: Env) -> napi::Result<()> {
        guard(env, || {
            self.cursor = None;
            Ok(())
        })
    }
}

#[napi]
pub struct TextQuery {
    query: Option<omen_store::TextQuery>,
    term_count: u32,
    match_bound: f64,
}

impl TextQuery {
    pub(crate) fn new(query: omen_store::TextQuery) -> Self {
        Self {
            term_count: query.term_count() as u32,
            match_bound: query.match_bound() as f64,
            query: Some(query),
        }
    }

    pub(crate) fn get(&self) -> Result<&omen_store::TextQuery> {
        self.query.as_ref().ok_or_else(|| misuse("the text query is closed"))
    }
}

#[napi]
impl TextQuery {
    #[napi(getter)]
    pub fn term_count(&self) -> u32 {
        self.term_count
    }

    #[napi(getter)]
    pub fn match_bound(&self) -> f64 {
        self.match_bound
    }

    #[napi]
    pub fn close(&mut self, env: Env) -> napi::Result<()> {
        guard(env, || {
            self.query = None;
            Ok(())
        })
    }
}
