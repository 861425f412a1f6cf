//! A saved index. All numbers little-endian; sections begin at multiples of 4,096 bytes, so that they are aligned in a
//! mapping whatever the page size.
//!
//! ```text
//!   header    magic "OMENVIDX"  version u32 = 1  element u8  labelled u8  zero u16  dimensions u32  vectors u32
//!             bytes of the graph u64  CRC32C of vectors, labels and marks, u32 each  zero  CRC32C of the above u32
//!   vectors   rows in the element type
//!   labels    u64 each; absent when labels are positions
//!   marks     one bit a vector that was removed, in u64 words
//!   graph     as omen-hnsw stores it, to the end of the file
//! ```
//!
//! Opening maps the file privately and believes nothing: lengths, the header, labels, marks and the graph are checked, the
//! vectors only when asked, since any bytes are vectors and reading them all would cost what mapping saves.

#[cfg(target_endian = "big")]
compile_error!("saved indexes are mapped as they are: little-endian");

use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use omen_hnsw::{HnswGraph, VectorForm};
use omen_kernels::words;

use crate::index::{Index, Parts, Typed, any};
use crate::mapping::{Mapping, Part};
use crate::rows::{Plain, Rows};
use crate::settings::{Component, Element, Settings};
use crate::status::Failure;

const MAGIC: [u8; 8] = *b"OMENVIDX";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 64;
const SECTION: usize = 4096;
const CHECKSUM: usize = size_of::<u32>();

/// What the header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    element: Element,
    labelled: bool,
    dim: u32,
    count: u32,
    graph_bytes: u64,
    sums: [u32; 3],
}

/// Offset and length of vectors, labels, marks and graph.
type Layout = [(usize, usize); 4];

impl Header {
    fn bytes(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend([self.element.code() as u8, u8::from(self.labelled), 0, 0]);
        bytes.extend(self.dim.to_le_bytes());
        bytes.extend(self.count.to_le_bytes());
        bytes.extend(self.graph_bytes.to_le_bytes());
        self.sums.iter().for_each(|sum| bytes.extend(sum.to_le_bytes()));
        bytes.resize(HEADER_BYTES - CHECKSUM, 0);
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        bytes.try_into().expect("the fields fit the header")
    }

    fn read(bytes: &[u8]) -> Result<Self, Failure> {
        let damaged = || Failure::bad_file("the header is damaged");
        let header: &[u8; HEADER_BYTES] = bytes.first_chunk().ok_or_else(damaged)?;
        if header[..8] != MAGIC {
            return Err(Failure::bad_file("not a saved index"));
        }
        let u32_at = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        if u32_at(8) != VERSION {
            return Err(Failure::bad_file(format!("saved by version {} of the format", u32_at(8))));
        }
        let graph_bytes = u64::from(u32_at(24)) | u64::from(u32_at(28)) << 32;
        let element = Element::of(header[12].into()).ok_or_else(damaged)?;
        let (labelled, dim, count) = (header[13] == 1, u32_at(16), u32_at(20));
        let sums = [u32_at(32), u32_at(36), u32_at(40)];
        let read = Self { element, labelled, dim, count, graph_bytes, sums };
        // Also compares the checksum and what must be zero.
        if dim == 0 || read.bytes() != *header { Err(damaged()) } else { Ok(read) }
    }

    /// None when lengths overflow.
    fn layout(&self) -> Option<Layout> {
        let (dim, count) = (self.dim as usize, self.count as usize);
        let row_bytes = match self.element {
            Element::F32 => dim.checked_mul(4)?,
            Element::F16 => dim.checked_mul(2)?,
            Element::Bit => words(dim) * 8,
        };
        let lengths = [
            count.checked_mul(row_bytes)?,
            if self.labelled { count * 8 } else { 0 },
            words(count) * 8,
            usize::try_from(self.graph_bytes).ok()?,
        ];
        let mut end = HEADER_BYTES;
        let mut layout = [(0, 0); 4];
        for (section, len) in layout.iter_mut().zip(lengths) {
            let offset = end.checked_next_multiple_of(SECTION)?;
            *section = (offset, len);
            end = offset.checked_add(len)?;
        }
        Some(layout)
    }
}

pub(crate) fn load(path: &Path, verify: bool) -> Result<Index, Failure> {
    let opened = File::open(path);
    let file = opened
        .map_err(|error| Failure::io(&format!("could not open {}", path.display()), &error))?;
    let mapping = Mapping::of(&file)?;
    // SAFETY: nothing writes to the mapping before parts of it are given away below, after the last use of the bytes.
    let bytes = unsafe { mapping.bytes() };
    let header = Header::read(bytes)?;
    let layout = header.layout().ok_or_else(|| Failure::bad_file("the header is damaged"))?;
    let [.., (graph_offset, graph_bytes)] = layout;
    if bytes.len() != graph_offset + graph_bytes {
        return Err(Failure::bad_file("the file has another length than it says"));
    }
    for (at, what) in ["vectors", "labels", "marks of removal"].into_iter().enumerate() {
        let (offset, len) = layout[at];
        if (at > 0 || verify) && crc32c::crc32c(&bytes[offset..offset + len]) != header.sums[at] {
            return Err(Failure::bad_file(format!("the {what} are damaged")));
        }
    }
    let part = Arc::new(Part::new(&mapping, graph_offset, graph_bytes));
    // Nobody asks after each search whether the graph is still to be trusted: all of it is looked at now.
    let graph = HnswGraph::open(part)
        .and_then(|graph| graph.verify().map(|()| graph))
        .map_err(|error| Failure::bad_file(error.to_string()))?;
    let params = *graph.params();
    let settings = Settings::new(
        header.dim,
        params.metric,
        header.element.code(),
        params.quantisation,
        params.m,
        params.ef_construction,
        params.seed,
    )
    .map_err(|_| Failure::bad_file("header and graph do not fit"))?;
    if graph.len() != header.count || !graph.fits_dimension(settings.dim) {
        return Err(Failure::bad_file("header and graph do not fit"));
    }
    let settings = Settings { params, ..settings };
    Ok(match header.element {
        Element::F32 => Index::F32(open(settings, &header, &mapping, &layout, graph)?),
        Element::F16 => Index::F16(open(settings, &header, &mapping, &layout, graph)?),
        Element::Bit => Index::Bit(open(settings, &header, &mapping, &layout, graph)?),
    })
}

fn open<E: Component>(
    settings: Settings,
    header: &Header,
    mapping: &Arc<Mapping>,
    layout: &Layout,
    graph: HnswGraph,
) -> Result<Typed<E>, Failure>
where
    [E]: VectorForm,
{
    let count = header.count as usize;
    let part = |at: usize| Part::new(mapping, layout[at].0, layout[at].1);
    let labels = if header.labelled { Rows::over(1, part(1), count) } else { Rows::new(1) };
    let removed = Rows::over(1, part(2), words(count));
    // Marks of vectors that do not exist would count as removed ones.
    let spare =
        if count.is_multiple_of(64) { 0 } else { removed.row(count / 64)[0] >> (count % 64) };
    if spare != 0 {
        return Err(Failure::bad_file("the marks of removal are damaged"));
    }
    let labelled = (count > 0).then_some(header.labelled);
    let vectors = Rows::over(E::width(settings.dim), part(0), count);
    Ok(Typed::new(settings, Parts { vectors, labels, removed, graph, labelled }))
}

pub(crate) fn save(index: &Index, path: &Path) -> Result<(), Failure> {
    let mut name =
        path.file_name().ok_or_else(|| Failure::argument("path names no file"))?.to_owned();
    name.push(".saving");
    let beside = path.with_file_name(name);
    let written = write(index, &beside).and_then(|()| {
        let replaced = fs::rename(&beside, path).and_then(|()| sync_folder(path));
        replaced
            .map_err(|error| Failure::io(&format!("could not replace {}", path.display()), &error))
    });
    if written.is_err() {
        // What is left of the attempt is of no use; that it may not be there is no further failure.
        let _ = fs::remove_file(&beside);
    }
    written
}

/// Makes the rename last.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn write(index: &Index, path: &Path) -> Result<(), Failure> {
    any!(index, index => write_typed(index, path))
}

fn write_typed<E: Component>(index: &Typed<E>, path: &Path) -> Result<(), Failure>
where
    [E]: VectorForm,
{
    let frozen = index.frozen()?;
    let settings = index.settings();
    let count = frozen.graph.len();
    let body = || -> io::Result<()> {
        let mut out = Sections::new(BufWriter::with_capacity(1 << 20, File::create(path)?))?;
        for node in 0..count as usize {
            out.rows(frozen.vectors.row(node))?;
        }
        let vectors = out.end()?;
        if frozen.labelled {
            for node in 0..count as usize {
                out.rows(frozen.labels.row(node))?;
            }
        }
        let labels = out.end()?;
        for at in 0..words(count as usize) {
            out.rows(&[index.removed_word(at)])?;
        }
        let marks = out.end()?;
        let start = out.written;
        frozen.graph.write_image(count, &mut out)?;
        let header = Header {
            element: settings.element,
            labelled: frozen.labelled,
            dim: settings.dim as u32,
            count,
            graph_bytes: out.written - start,
            sums: [vectors, labels, marks],
        };
        let mut file = out.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&header.bytes())?;
        file.sync_all()
    };
    body().map_err(|error| Failure::io(&format!("could not write {}", path.display()), &error))
}

/// The file as it grows section by section.
struct Sections {
    file: BufWriter<File>,
    written: u64,
    sum: u32,
}

impl Sections {
    /// Leaves room for the header.
    fn new(file: BufWriter<File>) -> io::Result<Self> {
        let mut sections = Self { file, written: 0, sum: 0 };
        sections.write_all(&[0; HEADER_BYTES])?;
        sections.end()?;
        Ok(sections)
    }

    fn rows<E: Plain>(&mut self, row: &[E]) -> io::Result<()> {
        // SAFETY: the elements have no padding (`Plain`), and any bytes are `u8`s.
        let bytes =
            unsafe { std::slice::from_raw_parts(row.as_ptr().cast::<u8>(), size_of_val(row)) };
        self.sum = crc32c::crc32c_append(self.sum, bytes);
        self.write_all(bytes)
    }

    /// Fills up to the next section and gives the checksum of this one.
    fn end(&mut self) -> io::Result<u32> {
        let gap = self.written.next_multiple_of(SECTION as u64) - self.written;
        self.write_all(&[0; SECTION][..gap as usize])?;
        Ok(std::mem::take(&mut self.sum))
    }
}

impl Write for Sections {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
