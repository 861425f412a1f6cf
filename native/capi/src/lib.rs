//! The C interface: an embeddable vector index, the core that SQL's indexes run on, without the database around it.
//!
//! An index owns its vectors, each under a 64-bit label, and the graph over them. Calls on one index may come from any
//! threads at once: searches run beside each other and beside a writer, writers take turns. Only `omen_index_close` must
//! be the last.
//!
//! Memory: arguments are borrowed for the call, whatever comes out is written into the caller's arrays, and an index is
//! freed by `omen_index_close` alone. Every function that can fail returns a status and leaves a message for
//! `omen_last_error` in the calling thread; arguments that fail a check change nothing. No panic crosses the boundary: it
//! becomes `OMEN_INTERNAL`, after which the index can only be closed.
//!
//! Not here: string ids (the Node API has them), rows, transactions, a log. `omen_index_save` is the only durability.
//! The I/O is plain files, since there is no engine whose faults a test would have to order.

mod exact;
mod file;
mod index;
mod mapping;
mod rows;
mod search;
mod settings;
mod status;

use std::ffi::{CStr, c_char, c_void};
use std::path::Path;

use index::{Index as AnyIndex, Labels};
use omen_hnsw::Quantisation;
use omen_kernels::Metric;
use search::{Filter, Request};
use settings::Settings;
use status::{Failure, guard};
pub use status::{Status, omen_last_error};

/// Squared Euclidean distance.
pub const OMEN_L2: u32 = 0;
/// Negative inner product.
pub const OMEN_INNER_PRODUCT: u32 = 1;
/// One minus the cosine of the angle. Zero vectors have no direction: they are kept but never found.
pub const OMEN_COSINE: u32 = 2;
/// Sum of absolute differences.
pub const OMEN_L1: u32 = 3;
/// Bits that differ; of bit vectors.
pub const OMEN_HAMMING: u32 = 4;
/// One minus shared set bits over all set bits; of bit vectors.
pub const OMEN_JACCARD: u32 = 5;

/// Vectors of `float`.
pub const OMEN_FLOAT32: u32 = 0;
/// Vectors of IEEE half precision, as `uint16_t`.
pub const OMEN_FLOAT16: u32 = 1;
/// Vectors of bits in `uint64_t` words, `(dim + 63) / 64` each, bit `i` being bit `i % 64` of word `i / 64`. Bits past the
/// dimension must be zero.
pub const OMEN_BIT: u32 = 2;

/// Searches walk the vectors themselves.
pub const OMEN_QUANTISATION_NONE: u32 = 0;
/// Searches walk half-precision copies, and the vectors decide among the best.
pub const OMEN_QUANTISATION_F16: u32 = 1;
/// The same with one byte a dimension.
pub const OMEN_QUANTISATION_SQ8: u32 = 2;
/// The same with one bit a dimension (RaBitQ); L2, inner product and cosine only.
pub const OMEN_QUANTISATION_RABITQ: u32 = 3;
/// The same with one bit a dimension and nothing beside it; L2, inner product and cosine only.
pub const OMEN_QUANTISATION_BQ: u32 = 4;
/// The same with one byte for eight dimensions.
pub const OMEN_QUANTISATION_PQ: u32 = 5;

/// What an index is made with.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Dimensions of every vector, at least one.
    pub dim: u32,
    /// `OMEN_L2` and so on.
    pub metric: u32,
    /// `OMEN_FLOAT32` and so on.
    pub element: u32,
    /// `OMEN_QUANTISATION_NONE` and so on.
    pub quantisation: u32,
    /// Links per vector, 2 to 100; 0 means 16.
    pub m: u32,
    /// Width of the search that finds a new vector's links, 4 to 1000; 0 means 200.
    pub ef_construction: u32,
    /// The same vectors added by one thread under the same seed make the same index.
    pub seed: u64,
}

/// What a search is asked for. Zero everything that is not wanted.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// Hits wanted.
    pub k: usize,
    /// Width of the search: more finds truer neighbours, slower. At least `k` is used; 0 means 100.
    pub ef: u32,
    /// In a quantised index, how many times `k` of the best by code are measured by their vectors; 0 leaves it to the code.
    pub rerank: u32,
    /// NULL, or one bit a label: only labels whose bit is set are found. Bit `i` is bit `i % 64` of word `i / 64`.
    pub filter: *const u64,
    /// Bits in the filter; labels from there on are not found.
    pub filter_bits: u64,
    /// How many vectors of the index the filter accepts, where the caller knows it; 0 where not.
    pub filter_matches: u64,
}

/// An index. Opaque.
pub struct Index(AnyIndex);

/// The version of the library, as text that lives as long as the library.
#[unsafe(no_mangle)]
pub extern "C" fn omen_version() -> *const c_char {
    const VERSION: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => panic!("a version without NUL"),
        };
    VERSION.as_ptr()
}

/// Makes an empty index and stores it in `*out`.
///
/// # Safety
/// `options` and `out` are NULL or point to what their types say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn omen_index_create(
    options: *const Options,
    out: *mut *mut Index,
) -> Status {
    guard(|| {
        // SAFETY: contract of the function.
        let (options, out) = unsafe { (reference(options, "options")?, exclusive(out, "out")?) };
        *out = Box::into_raw(Box::new(Index(AnyIndex::create(settings(options)?))));
        Ok(())
    })
}

/// Opens what `omen_index_save` wrote and stores the index in `*out`. The file is mapped, not read: it must not be
/// changed while the index is open (saving to the same path is no change, it replaces the file). What is added later lives in
/// memory until it is saved.
///
/// Everything is checked that a search follows. With `verify` other than 0 the vectors are read through once, too, and
/// their checksum compared.
///
/// # Safety
/// `path` is NULL or a string; `out` is NULL or points to a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn omen_index_load(
    path: *const c_char,
    verify: u32,
    out: *mut *mut Index,
) -> Status {
    guard(|| {
        // SAFETY: contract of the function.
        let (path, out) = unsafe { (path_of(path)?, exclusive(out, "out")?) };
        *out = Box::into_raw(Box::new(Index(file::load(path, verify != 0)?)));
        Ok(())
    })
}

/// Writes the index to `path`: into a new file beside it first, which is synced and then takes its place, so that a crash
/// leaves the old file or the new one. Searches go on meanwhile, writers wait.
///
/// # Safety
/// `index` is NULL or an open index; `path` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn omen_index_save(index: *const Index, path: *const c_char) -> Status {
    guard(|| {
        // SAFETY: contract of the function.
        let (index, path) = unsafe { (reference(index, "index")?, path_of(path)?) };
        file::save(&index.0, path)
    })
}

/// Adds `count` vectors, row after row in the element type of the index. `labels` is one label each, which no vector of the
/// index has; or NULL, and vectors are labelled by position, 0 for the first one ever added. An index takes labels always
/// or never. `threads` link the vectors (0 means one for each processor); with one, the index is a function of its input.
///
/// The first vectors of an index, when they are 1000 or more, are linked in batches: in three quarters of the time (20,000
/// sentence embeddings), the same index on any number of threads, and up to a byte a dimension of each more memory until the
/// call returns. Give what is there at once.
///
/// Vectors are found from the return of this call on. Components that are not finite are refused.
///
/// # Safety
/// `index` is NULL or an open index; `vectors` and `labels` are NULL or hold `count` rows and labels.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn omen_index_add(
    index: *mut Index,
    vectors: *const c_void,
    labels: *const u64,
    count: usize,
    threads: u32,
) -> Status {
    guard(|| {
        // SAFETY: contract of the function.
        let index = unsafe { reference(index.cast_const(), "index")? };
        if count == 0 {
            return Ok(());
        }
        if vectors.is_null() {
            return Err(Failure::argument("vectors is NULL"));
        }
        let labels = if labels.is_null() {
            Labels::Positions
        } else {
            // SAFETY: contract of the function.
            Labels::Given(unsafe { std::slice::from_raw_parts(labels, count) })
        };
        // SAFETY: contract of the function.
        unsafe { index.0.add(vectors.cast(), labels, count, threads as usize) }
    })
}

/// Takes the vectors with these labels out of every later search; labels that the index lacks are passed over. `*removed`,
/// unless NULL, becomes the number of vectors taken out. Their memory is not reused; they go on carrying paths to others.
///
/// # Safety
/// `index` is NULL or an open index; `labels` is NULL or holds `count` labels; `removed` is NULL or points to a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn omen_index_remove(
    index: *mut Index,
    labels: *const u64,
    count: usize,
    removed: *mut usize,
) -> Status {
    guard(|| {
        // SAFETY: contract of the function.
        let index = unsafe { reference(index.cast_const(), "index")? };
        // SAFETY: contract of the function.
        let labels = unsafe { slice(labels, count, "labels")? };
        let count = index.0.remove(labels)?;
        // SAFETY: contract of the function.
        if let Some(removed) = unsafe { removed.as_mut() } {
            *removed = count;
        }
        Ok(())
    })
}

/// Finds the nearest vectors to `query`, one vector in the element type of the index. `labels` and `distances` have room for
/// `k` results and receive `*found` of them, nearest first; fewer than `k` only when the index, or the filter, has no more
/// vectors that have a distance.
///
/// # Safety
/// `index` is NULL or an open index; `query` is NULL or one vector; `search` is NULL or a search whose filter is NULL or
/// has its bits; `labels` and `distances` are NULL or have room for `k`; `found` is NULL or points to a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn omen_index_search(
    index: *const Index,
    query: *const c_void,
    search: *const Search,
    labels: *mut u64,
    distances: *mut f32,
    found: *mut usize,
) -> Status {
    guard(|| {
        // SAFETY: contract of the function.
        let (index, search, found) = unsafe {
            (reference(index, "index")?, reference(search, "search")?, exclusive(found, "found")?)
        };
        *found = 0;
        if search.k == 0 {
            return Ok(());
        }
        if query.is_null() || labels.is_null() || distances.is_null() {
            return Err(Failure::argument("query, labels or distances is NULL"));
        }
        let filter = if search.filter.is_null() {
            None
        } else {
            let words = usize::try_from(search.filter_bits.div_ceil(64))
                .map_err(|_| Failure::argument("a filter larger than memory"))?;
            // SAFETY: contract of the function.
            let words = unsafe { std::slice::from_raw_parts(search.filter, words) };
            let matches = (search.filter_matches != 0).then_some(search.filter_matches);
            Some(Filter { words, bits: search.filter_bits, matches })
        };
        let request = Request {
            k: search.k,
            ef: if search.ef == 0 { DEFAULT_EF } else { search.ef as usize },
            rerank: search.rerank as usize,
            filter,
        };
        // SAFETY: contract of the function.
        let hits = unsafe { index.0.search(query.cast(), &request) }?;
        for (at, (label, distance)) in hits.into_iter().enumerate() {
            // SAFETY: at most `k` hits come out, and the arrays have room for `k` (contract of the function).
            unsafe {
                labels.add(at).write(label);
                distances.add(at).write(distance);
            }
            *found = at + 1;
        }
        Ok(())
    })
}

/// How many vectors can be found in the index: those added less those removed. 0 for NULL.
///
/// # Safety
/// `index` is NULL or an open index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn omen_index_count(index: *const Index) -> u64 {
    // SAFETY: contract of the function.
    unsafe { index.as_ref() }.map_or(0, |index| index.0.len())
}

/// Bytes of memory the index holds, mapped files included. 0 for NULL.
///
/// # Safety
/// `index` is NULL or an open index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn omen_index_memory_bytes(index: *const Index) -> u64 {
    // SAFETY: contract of the function.
    unsafe { index.as_ref() }.map_or(0, |index| index.0.memory_bytes() as u64)
}

/// Stores what the index was made with in `*out`, defaults filled in.
///
/// # Safety
/// `index` is NULL or an open index; `out` is NULL or points to options.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn omen_index_options(index: *const Index, out: *mut Options) -> Status {
    guard(|| {
        // SAFETY: contract of the function.
        let (index, out) = unsafe { (reference(index, "index")?, exclusive(out, "out")?) };
        let settings = index.0.settings();
        *out = Options {
            dim: settings.dim as u32,
            metric: place(&METRICS, &settings.params.metric),
            element: settings.element.code(),
            quantisation: place(&QUANTISATIONS, &settings.params.quantisation),
            m: settings.params.m.into(),
            ef_construction: settings.params.ef_construction.into(),
            seed: settings.params.seed,
        };
        Ok(())
    })
}

/// Frees the index; NULL is allowed. No other call on it may be under way or follow.
///
/// # Safety
/// `index` is NULL or an open index that nobody uses any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn omen_index_close(index: *mut Index) {
    if !index.is_null() {
        // Nothing is left to report to when freeing panics; the guard keeps it from crossing the boundary.
        let _ = guard(|| {
            // SAFETY: it came from `Box::into_raw`, and this is its last use (contract of the function).
            drop(unsafe { Box::from_raw(index) });
            Ok(())
        });
    }
}

const DEFAULT_M: u16 = 16;
const DEFAULT_EF_CONSTRUCTION: u16 = 200;
const DEFAULT_EF: usize = 100;

/// In the order of their codes.
const METRICS: [Metric; 6] = [
    Metric::L2,
    Metric::InnerProduct,
    Metric::Cosine,
    Metric::L1,
    Metric::Hamming,
    Metric::Jaccard,
];
/// In the order of their codes.
const QUANTISATIONS: [Quantisation; 6] = [
    Quantisation::None,
    Quantisation::F16,
    Quantisation::Sq8,
    Quantisation::Rabitq,
    Quantisation::Bq,
    Quantisation::Pq,
];

fn place<T: PartialEq>(all: &[T], one: &T) -> u32 {
    all.iter().position(|other| other == one).map_or(u32::MAX, |at| at as u32)
}

fn settings(options: &Options) -> Result<Settings, Failure> {
    let metric = METRICS.get(options.metric as usize).copied();
    let quantisation = QUANTISATIONS.get(options.quantisation as usize).copied();
    let small = |value: u32, default: u16, name: &str| match value {
        0 => Ok(default),
        _ => u16::try_from(value).map_err(|_| Failure::argument(format!("{name} is too large"))),
    };
    Settings::new(
        options.dim,
        metric.ok_or_else(|| Failure::argument("unknown metric"))?,
        options.element,
        quantisation.ok_or_else(|| Failure::argument("unknown quantisation"))?,
        small(options.m, DEFAULT_M, "m")?,
        small(options.ef_construction, DEFAULT_EF_CONSTRUCTION, "ef_construction")?,
        options.seed,
    )
}

/// # Safety
/// `pointer` is NULL or points to a `T` that lives as long as the borrow.
unsafe fn reference<'a, T>(pointer: *const T, name: &str) -> Result<&'a T, Failure> {
    // SAFETY: contract of the function.
    unsafe { pointer.as_ref() }.ok_or_else(|| Failure::argument(format!("{name} is NULL")))
}

/// # Safety
/// `pointer` is NULL or points to a `T` that nobody else uses as long as the borrow lives.
unsafe fn exclusive<'a, T>(pointer: *mut T, name: &str) -> Result<&'a mut T, Failure> {
    // SAFETY: contract of the function.
    unsafe { pointer.as_mut() }.ok_or_else(|| Failure::argument(format!("{name} is NULL")))
}

/// # Safety
/// `pointer` is NULL or leads to `count` elements that live as long as the borrow.
unsafe fn slice<'a, T>(pointer: *const T, count: usize, name: &str) -> Result<&'a [T], Failure> {
    if count == 0 {
        return Ok(&[]);
    }
    if pointer.is_null() {
        return Err(Failure::argument(format!("{name} is NULL")));
    }
    // SAFETY: contract of the function.
    Ok(unsafe { std::slice::from_raw_parts(pointer, count) })
}

/// # Safety
/// `path` is NULL or a string that lives as long as the borrow.
unsafe fn path_of<'a>(path: *const c_char) -> Result<&'a Path, Failure> {
    if path.is_null() {
        return Err(Failure::argument("path is NULL"));
    }
    // SAFETY: contract of the function.
    let text = unsafe { CStr::from_ptr(path) };
    let text = text.to_str().map_err(|_| Failure::argument("path is not UTF-8"))?;
    Ok(Path::new(text))
}
