//! Regular expressions; positions become those of JavaScript's UTF-16 strings.

use crate::error::guard;
use napi::Env;
use napi::bindgen_prelude::{Either, Int32Array, Undefined};
use napi_derive::napi;
use omen_store::StoreError;

#[napi]
pub struct CompiledRegex {
    regex: omen_regex::CompiledRegex,
}

#[napi]
pub fn compile_regex(
    env: Env,
    pattern: String,
    case_insensitive: bool,
) -> napi::Result<CompiledRegex> {
    guard(env, || {
        let failed = |error: omen_regex::RegexError| StoreError::new(error.sqlstate, error.message);
        Ok(CompiledRegex {
            regex: omen_regex::CompiledRegex::new(&pattern, case_insensitive).map_err(failed)?,
        })
    })
}

#[napi]
impl CompiledRegex {
    #[napi]
    pub fn test(&self, env: Env, text: String) -> napi::Result<bool> {
        guard(env, || Ok(self.regex.is_match(&text)))
    }

    #[napi]
    pub fn exec(
        &self,
        env: Env,
        text: String,
        from: u32,
    ) -> napi::Result<Either<Int32Array, Undefined>> {
        guard(env, || {
            let Some(start) = byte_position(&text, from as usize) else { return Ok(Either::B(())) };
            let found = self.regex.exec(&text, start);
            Ok(match found {
                Some(spans) => Either::A(Int32Array::new(utf16_positions(&text, &spans))),
                None => Either::B(()),
            })
        })
    }
}

/// Where UTF-16 position `units` lies in `text`; `None` behind its end.
fn byte_position(text: &str, units: usize) -> Option<usize> {
    if text.is_ascii() {
        return (units <= text.len()).then_some(units);
    }
    let mut passed = 0;
    for (at, char) in text.char_indices() {
        if passed >= units {
            return Some(at);
        }
        passed += char.len_utf16();
    }
    (passed >= units).then_some(text.len())
}

/// Starts and ends in UTF-16 units, -1 for groups without a match.
fn utf16_positions(text: &str, spans: &[Option<omen_regex::Span>]) -> Vec<i32> {
    let is_ascii = text.is_ascii();
    let position = |at: usize| {
        let units = if is_ascii { at } else { text[..at].encode_utf16().count() };
        units as i32
    };
    spans
        .iter()
        .flat_map(|span| span.map_or([-1, -1], |(start, end)| [position(start), position(end)]))
        .collect()
}
