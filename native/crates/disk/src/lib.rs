//! omen-disk
