//! omen-text
