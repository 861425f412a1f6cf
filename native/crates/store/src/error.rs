//! The one error type of the engine: what a user may see, with PostgreSQL's SQLSTATE and wording.
//!
//! The engine knows relations and indexes by number only, so messages that PostgreSQL writes with a name carry the
//! number in `relation_id` / `index_id` and the caller puts the name in.

use std::borrow::Cow;
use std::fmt;

/// Result of every fallible call of the engine.
pub type Result<T> = std::result::Result<T, StoreError>;

/// SQLSTATE codes the engine raises.
pub mod sqlstate {
    pub const QUERY_CANCELED: &str = "57014";
    pub const ADMIN_SHUTDOWN: &str = "57P01";
    pub const DEADLOCK_DETECTED: &str = "40P01";
    pub const SERIALIZATION_FAILURE: &str = "40001";
    pub const LOCK_NOT_AVAILABLE: &str = "55P03";
    pub const UNIQUE_VIOLATION: &str = "23505";
    pub const FEATURE_NOT_SUPPORTED: &str = "0A000";
    pub const PROGRAM_LIMIT_EXCEEDED: &str = "54000";
    pub const SEQUENCE_LIMIT: &str = "2200H";
    pub const DATA_CORRUPTED: &str = "XX001";
    pub const INTERNAL: &str = "XX000";
    pub const UNDEFINED_OBJECT: &str = "42704";
    pub const OBJECT_IN_USE: &str = "55006";
    pub const READ_ONLY: &str = "25006";
    pub const NO_ACTIVE_TRANSACTION: &str = "25P01";
    pub const SAVEPOINT: &str = "3B001";
    pub const SNAPSHOT_TOO_OLD: &str = "72000";
    pub const OUT_OF_RANGE: &str = "22003";
}

/// An error with a five-character SQLSTATE.
#[derive(Debug, Clone)]
pub struct StoreError {
    pub sqlstate: Cow<'static, str>,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    pub relation_id: Option<u32>,
    pub index_id: Option<u32>,
    /// The row that is in the way.
    pub rid: Option<u32>,
}

impl StoreError {
    pub fn new(sqlstate: &'static str, message: impl Into<String>) -> Self {
        Self {
            sqlstate: Cow::Borrowed(sqlstate),
            message: message.into(),
            detail: None,
            hint: None,
            relation_id: None,
            index_id: None,
            rid: None,
        }
    }

    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn relation(mut self, relation_id: u32) -> Self {
        self.relation_id = Some(relation_id);
        self
    }

    pub fn index(mut self, index_id: u32) -> Self {
        self.index_id = Some(index_id);
        self
    }

    pub fn row(mut self, rid: u32) -> Self {
        self.rid = Some(rid);
        self
    }

    /// Something that should have been ruled out by the caller, found at the border of the engine.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(sqlstate::INTERNAL, message)
    }

    /// 57014 or 57P01, by the interrupt flag of a session.
    pub(crate) fn interrupted(interrupt: u8) -> Self {
        if interrupt == 2 {
            Self::new(
                sqlstate::ADMIN_SHUTDOWN,
                "terminating connection due to administrator command",
            )
        } else {
            Self::new(sqlstate::QUERY_CANCELED, "canceling statement due to user request")
        }
    }

    pub(crate) fn corrupt(message: impl Into<String>) -> Self {
        Self::new(sqlstate::DATA_CORRUPTED, message)
    }

    pub(crate) fn unsupported(feature: &str) -> Self {
        Self::new(sqlstate::FEATURE_NOT_SUPPORTED, format!("{feature} is not supported"))
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.sqlstate, self.message)
    }
}

impl std::error::Error for StoreError {}

impl From<omen_disk::DiskError> for StoreError {
    fn from(error: omen_disk::DiskError) -> Self {
        let message = match &error.source {
            Some(source) => format!("{}: {source}", error.context),
            None => error.context.clone(),
        };
        Self::new(error.sqlstate(), message)
    }
}
