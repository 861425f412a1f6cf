//! A row of text or CSV: the part of the line whose fields have not been taken, and the errors of a row too short or too
//! long. Where a field ends is the format's to say.

use crate::error::{CopyError, Result, check_utf8};
use crate::{Field, Options};

pub struct Row<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Row<'a> {
    pub fn new(options: &Options, line: &'a [u8]) -> Result<Self> {
        check_utf8(line)?;
        // An empty line is a row without fields only where none is wanted.
        let no_fields = options.fields.is_empty() && line.is_empty();
        Ok(Self { rest: (!no_fields).then_some(line) })
    }

    /// The line from the first byte of `field` on.
    pub fn left(&self, field: &Field) -> Result<&'a [u8]> {
        self.rest.ok_or_else(|| {
            CopyError::bad_format(format!("missing data for column \"{}\"", field.name))
        })
    }

    /// Goes behind a field of `left` that ends at `end`, and behind the delimiter there.
    pub fn take(&mut self, left: &'a [u8], end: usize) {
        self.rest = left.get(end + 1..);
    }

    pub fn finish(self) -> Result<()> {
        match self.rest {
            None => Ok(()),
            Some(_) => Err(CopyError::bad_format("extra data after last expected column")),
        }
    }
}
