//! What can be wrong with COPY data.

pub type Result<T> = std::result::Result<T, CopyError>;

/// PostgreSQL shows at most this many characters of a field or line in the CONTEXT.
const MAX_SHOWN_CHARS: usize = 100;

/// An error with what its CONTEXT line needs: `COPY t, line 3, column a: "x"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyError {
    pub sqlstate: &'static str,
    pub message: String,
    pub hint: Option<&'static str>,
    /// From 1; rows in binary.
    pub line: u64,
    pub column: Option<String>,
    /// The field, or the whole line where no column is named.
    pub value: Option<String>,
}

impl CopyError {
    pub fn new(sqlstate: &'static str, message: impl Into<String>) -> Self {
        Self { sqlstate, message: message.into(), hint: None, line: 0, column: None, value: None }
    }

    /// 22P04: the frame around the values is wrong.
    pub fn bad_format(message: impl Into<String>) -> Self {
        Self::new("22P04", message)
    }

    pub fn hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }

    /// Names the column and its text, unless an inner step has.
    pub fn in_column(mut self, column: &str, value: Option<&[u8]>) -> Self {
        if self.column.is_none() {
            self.column = Some(column.to_owned());
            self.value = value.map(shown);
        }
        self
    }

    /// Gives the line, and shows it unless a field is shown.
    pub fn in_line(mut self, number: u64, line: &[u8]) -> Self {
        self.line = number;
        if self.column.is_none() && self.value.is_none() {
            self.value = Some(shown(line));
        }
        self
    }
}

/// Text as the CONTEXT shows it: cut after 100 characters.
fn shown(bytes: &[u8]) -> String {
    // Four bytes a character are enough; decoding a huge field whole would be waste.
    let start = &bytes[..bytes.len().min(MAX_SHOWN_CHARS * 4 + 4)];
    let text = String::from_utf8_lossy(start);
    match text.char_indices().nth(MAX_SHOWN_CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.into_owned(),
    }
}

/// 22021, in PostgreSQL's words, for the first bytes that are not UTF-8.
pub fn check_utf8(bytes: &[u8]) -> Result<()> {
    let invalid = |bad: &[u8]| {
        let hex: Vec<String> = bad.iter().map(|byte| format!("0x{byte:02x}")).collect();
        CopyError::new(
            "22021",
            format!("invalid byte sequence for encoding \"UTF8\": {}", hex.join(" ")),
        )
    };
    match std::str::from_utf8(bytes) {
        Err(error) => {
            let bad = &bytes[error.valid_up_to()..];
            // PostgreSQL shows as many bytes as the first one announces.
            let announced = match bad[0] {
                0xC0..=0xDF => 2,
                0xE0..=0xEF => 3,
                0xF0..=0xF7 => 4,
                _ => 1,
            };
            Err(invalid(&bad[..announced.min(bad.len())]))
        }
        Ok(_) if memchr::memchr(0, bytes).is_some() => Err(invalid(&[0])),
        Ok(_) => Ok(()),
    }
}
