//! COPY decoding: options in, fresh column buffers out.

use crate::error::{Result, guard, misuse, throw_copy};
use crate::lend::{Element, Lent};
use napi::bindgen_prelude::Object;
use napi::{Env, Unknown, sys};
use napi_derive::napi;
use omen_copy::{Column, Decoder, Field, FieldKind, Format, Options, Rows, Values};
use omen_store::{ColumnRef, ValuesRef};

#[napi(object)]
pub struct CopyField {
    pub kind: String,
    pub dim: u32,
    pub name: String,
}

#[napi(object)]
pub struct CopyDecoderOptions {
    pub format: String,
    pub fields: Vec<CopyField>,
    pub delimiter: String,
    pub null_string: String,
    pub header: bool,
    pub quote: String,
    pub escape: String,
    pub force_not_null: Vec<u32>,
    pub force_null: Vec<u32>,
}

fn field_kind(field: &CopyField) -> Result<FieldKind> {
    Ok(match field.kind.as_str() {
        "bool" => FieldKind::Bool,
        "i32" => FieldKind::I32,
        "i64" => FieldKind::I64,
        "f64" => FieldKind::F64,
        "text" => FieldKind::Text,
        "raw" => FieldKind::Raw,
        "vector" => FieldKind::Vector(field.dim as usize),
        other => return Err(misuse(format!("field kind {other}"))),
    })
}

fn options(given: &CopyDecoderOptions) -> Result<Options> {
    let format = match given.format.as_str() {
        "text" => Format::Text,
        "csv" => Format::Csv,
        "binary" => Format::Binary,
        other => return Err(misuse(format!("COPY format {other}"))),
    };
    // Characters that the format does not use may be left empty.
    let byte = |text: &str, what: &str, used: bool| match text.as_bytes() {
        [byte] => Ok(*byte),
        [] if !used => Ok(b'"'),
        _ => Err(misuse(format!("COPY {what} must be a single one-byte character"))),
    };
    let field = |(position, field): (usize, &CopyField)| {
        Ok(Field {
            name: field.name.clone(),
            kind: field_kind(field)?,
            force_not_null: given.force_not_null.contains(&(position as u32)),
            force_null: given.force_null.contains(&(position as u32)),
        })
    };
    Ok(Options {
        format,
        fields: given.fields.iter().enumerate().map(field).collect::<Result<_>>()?,
        delimiter: byte(&given.delimiter, "delimiter", format != Format::Binary)?,
        null: given.null_string.clone().into_bytes(),
        header: given.header,
        quote: byte(&given.quote, "quote", format == Format::Csv)?,
        escape: byte(&given.escape, "escape", format == Format::Csv)?,
    })
}

#[napi]
pub struct CopyDecoder {
    decoder: Decoder,
    /// Rows set aside for `insertDecoded`.
    staged: Rows,
}

impl CopyDecoder {
    /// The staged fields named, in that order, as columns to read.
    pub(crate) fn staged_columns(&self, fields: &[u16]) -> Result<Vec<ColumnRef<'_>>> {
        let field = |&field: &u16| {
            let column = self.staged.columns.get(usize::from(field));
            column.map(column_ref).ok_or_else(|| misuse(format!("no field {field} is staged")))
        };
        fields.iter().map(field).collect()
    }
}

fn column_ref(column: &Column) -> ColumnRef<'_> {
    let values = match &column.values {
        Values::Bool(values) => ValuesRef::Bool(values),
        Values::I32(values) => ValuesRef::I32(values),
        Values::I64(values) => ValuesRef::I64(values),
        Values::F64(values) => ValuesRef::F64(values),
        Values::Bytes { offsets, bytes } => ValuesRef::Bytes { offsets, bytes },
        Values::Vector { dim, values } => ValuesRef::Vector { dim: *dim, values },
    };
    ColumnRef { nulls: &column.nulls, values }
}

#[napi]
pub fn create_copy_decoder(env: Env, options: CopyDecoderOptions) -> napi::Result<CopyDecoder> {
    guard(env, || {
        let decoder = Decoder::new(self::options(&options)?);
        Ok(CopyDecoder { decoder, staged: Rows { count: 0, line: 0, columns: Vec::new() } })
    })
}

#[napi]
impl CopyDecoder {
    #[napi]
    pub fn push(&mut self, env: Env, chunk: Unknown<'_>) -> napi::Result<()> {
        let pushed = guard(env, || {
            let lent = Lent::new(env);
            Ok(self.decoder.push(lent.read(chunk, "chunk")?))
        })?;
        pushed.map_err(|error| throw_copy(env, &error))
    }

    #[napi]
    pub fn finish(&mut self, env: Env) -> napi::Result<()> {
        let finished = guard(env, || Ok(self.decoder.finish()))?;
        finished.map_err(|error| throw_copy(env, &error))
    }

    #[napi]
    pub fn row_count(&self) -> u32 {
        self.decoder.row_count() as u32
    }

    #[napi]
    pub fn take<'env>(&mut self, env: &'env Env, max: u32) -> napi::Result<Object<'env>> {
        let taken = guard(*env, || Ok(self.decoder.take(max as usize)))?;
        rows(env, &taken)
    }

    #[napi]
    pub fn stage(&mut self, env: Env) -> napi::Result<u32> {
        guard(env, || {
            self.decoder.exchange(&mut self.staged);
            Ok(self.staged.count as u32)
        })
    }

    #[napi]
    pub fn staged_null(&self, env: Env, field: u32) -> napi::Result<bool> {
        guard(env, || {
            let column = self.staged.columns.get(field as usize);
            Ok(column.is_some_and(|column| column.nulls.contains(&1)))
        })
    }

    #[napi]
    pub fn staged<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        rows(env, &self.staged)
    }
}

/// Rows as fresh buffers.
fn rows<'env>(env: &'env Env, rows: &Rows) -> napi::Result<Object<'env>> {
    let mut columns = env.create_array(rows.columns.len() as u32)?;
    for (position, column) in rows.columns.iter().enumerate() {
        columns.set(position as u32, buffer(env, column)?)?;
    }
    let mut object = Object::new(env)?;
    object.set("rowCount", rows.count as u32)?;
    object.set("line", rows.line as f64)?;
    object.set("columns", columns)?;
    Ok(object)
}

/// Beyond this an integer is not exact as a JavaScript number.
const MAX_SAFE: u64 = (1 << 53) - 1;

/// A column as a fresh `ColumnBuffer`.
fn buffer<'env>(env: &'env Env, column: &Column) -> napi::Result<Object<'env>> {
    let (mut kind, mut dim) = ("bytes", 0);
    let (mut values, mut wide) = (View::U8.of(env, &[])?, View::BigI64.of(env, &[])?);
    let mut is_wide = 0;
    let (mut offsets, mut bytes) = (View::U32.of(env, &[])?, View::U8.of(env, &[])?);
    match &column.values {
        Values::Bool(flags) => (kind, values) = ("bool", View::U8.of(env, flags)?),
        Values::I32(numbers) => {
            (kind, values) = ("i32", View::I32.of(env, bytes_of(numbers))?);
        }
        Values::F64(numbers) => {
            (kind, values) = ("f64", View::F64.of(env, bytes_of(numbers))?);
        }
        Values::I64(numbers) => {
            kind = "i64";
            is_wide = u8::from(numbers.iter().any(|number| number.unsigned_abs() > MAX_SAFE));
            let memory = if is_wide == 1 {
                memory(env, bytes_of(numbers))?
            } else {
                let numbers: Vec<f64> = numbers.iter().map(|&number| number as f64).collect();
                memory(env, bytes_of(&numbers))?
            };
            values = View::F64.over(env, memory, numbers.len() * 8)?;
            wide = View::BigI64.over(env, memory, numbers.len() * 8)?;
        }
        Values::Vector { dim: len, values: numbers } => {
            (kind, dim) = ("vector", *len as u32);
            values = View::F32.of(env, bytes_of(numbers))?;
        }
        Values::Bytes { offsets: ends, bytes: text } => {
            offsets = View::U32.of(env, bytes_of(ends))?;
            bytes = View::U8.of(env, text)?;
        }
    }
    let mut object = Object::new(env)?;
    object.set("kind", kind)?;
    object.set("dim", dim)?;
    object.set("values", values)?;
    object.set("wide", wide)?;
    object.set("isWide", View::U8.of(env, &[is_wide])?)?;
    object.set("nulls", View::U8.of(env, &column.nulls)?)?;
    object.set("offsets", offsets)?;
    object.set("bytes", bytes)?;
    Ok(object)
}

/// Numbers as the bytes typed arrays hold: the machine's own.
fn bytes_of<T: Element>(numbers: &[T]) -> &[u8] {
    // SAFETY: an Element is a plain number without padding, and any number is some bytes.
    unsafe { std::slice::from_raw_parts(numbers.as_ptr().cast(), size_of_val(numbers)) }
}

/// Kinds of typed arrays made here.
#[derive(Clone, Copy)]
enum View {
    U8,
    U32,
    I32,
    F32,
    F64,
    BigI64,
}

impl View {
    fn kind_and_width(self) -> (sys::napi_typedarray_type, usize) {
        match self {
            View::U8 => (sys::TypedarrayType::uint8_array, 1),
            View::U32 => (sys::TypedarrayType::uint32_array, 4),
            View::I32 => (sys::TypedarrayType::int32_array, 4),
            View::F32 => (sys::TypedarrayType::float32_array, 4),
            View::F64 => (sys::TypedarrayType::float64_array, 8),
            View::BigI64 => (sys::TypedarrayType::bigint64_array, 8),
        }
    }

    /// A typed array with a copy of `bytes`.
    fn of<'env>(self, env: &'env Env, bytes: &[u8]) -> napi::Result<Unknown<'env>> {
        let memory = memory(env, bytes)?;
        self.over(env, memory, bytes.len())
    }

    /// A typed array over the first `len` bytes of an ArrayBuffer.
    fn over(self, env: &Env, memory: sys::napi_value, len: usize) -> napi::Result<Unknown<'_>> {
        let (kind, width) = self.kind_and_width();
        let mut array = std::ptr::null_mut();
        // SAFETY: `memory` is an ArrayBuffer of at least `len` bytes, a multiple of the width.
        let status = unsafe {
            sys::napi_create_typedarray(env.raw(), kind, len / width, memory, 0, &raw mut array)
        };
        napi::check_status!(status)?;
        // SAFETY: a handle of this call.
        Ok(unsafe { Unknown::from_raw_unchecked(env.raw(), array) })
    }
}

/// An ArrayBuffer with a copy of `bytes`.
fn memory(env: &Env, bytes: &[u8]) -> napi::Result<sys::napi_value> {
    let (mut data, mut buffer) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: the outputs are ours; on success `data` is writable for `bytes.len()` bytes until the next call.
    unsafe {
        let status =
            sys::napi_create_arraybuffer(env.raw(), bytes.len(), &raw mut data, &raw mut buffer);
        napi::check_status!(status)?;
        if !bytes.is_empty() {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), data.cast(), bytes.len());
        }
    }
    Ok(buffer)
}
