//! omen-node
