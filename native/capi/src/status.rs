//! What a call returns, and the message it leaves.

use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How a call ended.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Done.
    #[allow(non_camel_case_types, reason = "names of the C interface")]
    OMEN_OK = 0,
    /// An argument is NULL, out of range, or does not fit the index. Nothing was changed.
    #[allow(non_camel_case_types, reason = "as above")]
    OMEN_INVALID_ARGUMENT = 1,
    /// A label is in the index already, or twice in one call. Nothing was changed.
    #[allow(non_camel_case_types, reason = "as above")]
    OMEN_DUPLICATE_LABEL = 2,
    /// More vectors than an index can number.
    #[allow(non_camel_case_types, reason = "as above")]
    OMEN_FULL = 3,
    /// The system refused a file operation.
    #[allow(non_camel_case_types, reason = "as above")]
    OMEN_IO = 4,
    /// The file is no saved index, is damaged, or was written by another version.
    #[allow(non_camel_case_types, reason = "as above")]
    OMEN_BAD_FILE = 5,
    /// A bug of the library. The index can only be closed.
    #[allow(non_camel_case_types, reason = "as above")]
    OMEN_INTERNAL = 6,
}

/// Why a call failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub status: Status,
    pub message: String,
}

impl Failure {
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    pub fn argument(message: impl Into<String>) -> Self {
        Self::new(Status::OMEN_INVALID_ARGUMENT, message)
    }

    pub fn bad_file(message: impl Into<String>) -> Self {
        Self::new(Status::OMEN_BAD_FILE, message)
    }

    pub fn io(what: &str, error: &std::io::Error) -> Self {
        Self::new(Status::OMEN_IO, format!("{what}: {error}"))
    }
}

thread_local! {
    static LAST_ERROR: RefCell<CString> = RefCell::default();
}

/// The message of the calling thread's last failed call, or "" after none. It lives until this thread's next failed call.
#[unsafe(no_mangle)]
pub extern "C" fn omen_last_error() -> *const c_char {
    // A thread that is ending has no message left.
    LAST_ERROR.try_with(|last| last.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

/// Runs the body of a call: failures leave their message, and panics end here.
pub(crate) fn guard(body: impl FnOnce() -> Result<(), Failure>) -> Status {
    // A panic while the index changes poisons its lock, so that what it left half done is not used.
    let result = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Err(Failure::new(Status::OMEN_INTERNAL, text.unwrap_or("a panic without a message")))
    });
    match result {
        Ok(()) => Status::OMEN_OK,
        Err(failure) => {
            let message = CString::new(failure.message.replace('\0', " ")).unwrap_or_default();
            let _ = LAST_ERROR.try_with(|last| last.replace(message));
            failure.status
        }
    }
}
