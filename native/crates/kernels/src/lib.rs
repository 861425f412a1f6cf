//! omen-kernels
