//! The one error type of this crate. Each kind has an SQLSTATE, because a full disk or a damaged file reaches the
//! user as an ERROR with a code, not as a crash.

use std::fmt;
use std::io;

pub type Result<T, E = DiskError> = std::result::Result<T, E>;

/// What went wrong, as far as callers act differently on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskErrorKind {
    /// The operating system refused or failed an operation.
    Io,
    /// No space left: the database goes read-only, it does not stop.
    NoSpace,
    /// Bytes on disk are not what was written.
    Corrupt,
    /// Another process holds the folder.
    Locked,
    /// No such file or folder.
    NotFound,
    /// The file is there although it should be created.
    AlreadyExists,
    /// An earlier write or sync failed, so nothing more may be promised about this file.
    Poisoned,
    /// A record, key or dimension is over a named limit.
    TooLarge,
}

/// A failed disk operation: what kind, what was being done to which file, and the cause below it.
#[derive(Debug)]
pub struct DiskError {
    pub kind: DiskErrorKind,
    pub context: String,
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl DiskError {
    pub fn new(kind: DiskErrorKind, context: impl Into<String>) -> Self {
        Self { kind, context: context.into(), source: None }
    }

    pub fn corrupt(context: impl Into<String>) -> Self {
        Self::new(DiskErrorKind::Corrupt, context)
    }

    pub fn poisoned(what: &str) -> Self {
        Self::new(
            DiskErrorKind::Poisoned,
            format!(
                "{what}: an earlier write or sync failed, its contents can no longer be promised"
            ),
        )
    }

    /// Wraps an operating system error; its kind decides ours. `action` reads like "could not open file".
    pub fn io(action: &str, path: &str, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => DiskErrorKind::NoSpace,
            io::ErrorKind::NotFound => DiskErrorKind::NotFound,
            io::ErrorKind::AlreadyExists => DiskErrorKind::AlreadyExists,
            _ => DiskErrorKind::Io,
        };
        Self { kind, context: format!("{action} \"{path}\""), source: Some(Box::new(source)) }
    }

    /// The SQLSTATE a user sees. A missing file is 58P01, as in PostgreSQL; a held folder is
    /// 55006, object in use.
    pub fn sqlstate(&self) -> &'static str {
        match self.kind {
            DiskErrorKind::Io | DiskErrorKind::Poisoned => "58030",
            DiskErrorKind::NoSpace => "53100",
            DiskErrorKind::Corrupt => "XX001",
            DiskErrorKind::Locked => "55006",
            DiskErrorKind::NotFound => "58P01",
            DiskErrorKind::AlreadyExists => "58P02",
            DiskErrorKind::TooLarge => "54000",
        }
    }
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.context)?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for DiskError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| {
            let plain: &(dyn std::error::Error + 'static) = source.as_ref();
            plain
        })
    }
}
