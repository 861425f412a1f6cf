//! omen-hnsw
