//! Sequences: counters that move outside transactions, durable 32 values ahead.
//!
//! What the log knows is a value that has not been given out yet; a crash skips at most the rest of a reservation, as
//! PostgreSQL's SEQ_LOG_VALS does. A reservation joins the next commit group: a value matters only once a commit that
//! uses it is durable, and that commit is logged after it.

use crate::error::{Result, StoreError, sqlstate};
use crate::types::{SequenceSpec, SequenceState};

/// Values reserved at a time.
const RESERVE: i64 = 32;

pub struct Sequence {
    pub spec: SequenceSpec,
    pub state: SequenceState,
    /// The state the log has or is about to get, at or ahead of `state`; and values left until then.
    reserved: SequenceState,
    left: i64,
    /// To be logged with the next group.
    pub pending: Option<SequenceState>,
}

impl Sequence {
    pub fn new(spec: SequenceSpec, state: SequenceState) -> Self {
        Self { spec, state, reserved: state, left: 0, pending: None }
    }

    pub fn initial(spec: SequenceSpec) -> Self {
        Self::new(spec, SequenceState { last_value: spec.start, is_called: false })
    }

    /// The value after `state`; 2200H at the end of a sequence that does not cycle.
    fn after(spec: &SequenceSpec, state: SequenceState) -> Result<i64> {
        if !state.is_called {
            return Ok(state.last_value);
        }
        let next = state.last_value.checked_add(spec.increment);
        match next {
            Some(next) if (spec.min..=spec.max).contains(&next) => Ok(next),
            _ if spec.cycle => Ok(if spec.increment > 0 { spec.min } else { spec.max }),
            _ => {
                let (end, limit) =
                    if spec.increment > 0 { ("maximum", spec.max) } else { ("minimum", spec.min) };
                Err(StoreError::new(
                    sqlstate::SEQUENCE_LIMIT,
                    format!("nextval: reached {end} value of sequence ({limit})"),
                )
                .relation(spec.sequence_id))
            }
        }
    }

    /// What a crash now would leave, once the log has it: goes with the definition, whose own transaction may have used
    /// values already.
    pub fn reserved(&self) -> SequenceState {
        self.reserved
    }

    pub fn next(&mut self) -> Result<i64> {
        let value = Self::after(&self.spec, self.state)?;
        self.state = SequenceState { last_value: value, is_called: true };
        if self.left > 0 {
            self.left -= 1;
        } else {
            self.reserve();
        }
        Ok(value)
    }

    fn reserve(&mut self) {
        let mut ahead = self.state;
        self.left = 0;
        while self.left < RESERVE {
            let Ok(value) = Self::after(&self.spec, ahead) else { break };
            ahead = SequenceState { last_value: value, is_called: true };
            self.left += 1;
        }
        self.reserved = ahead;
        self.pending = Some(ahead);
    }

    pub fn set(&mut self, value: i64, is_called: bool) -> Result<()> {
        if !(self.spec.min..=self.spec.max).contains(&value) {
            return Err(StoreError::new(
                sqlstate::OUT_OF_RANGE,
                format!(
                    "setval: value {value} is out of bounds for sequence ({}..{})",
                    self.spec.min, self.spec.max
                ),
            )
            .relation(self.spec.sequence_id));
        }
        self.state = SequenceState { last_value: value, is_called };
        self.left = 0;
        self.reserved = self.state;
        self.pending = Some(self.state);
        Ok(())
    }
}
