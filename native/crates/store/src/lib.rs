//! omen-store
