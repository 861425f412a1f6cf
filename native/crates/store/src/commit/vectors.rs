//! New vectors of a commit get their vids.
//!
//! Vectors that came through the log's way lie in memory and are written to the slots of their vids, those of dead vectors
//! first. Vectors of a large write lie in segments already (`transaction::stream`): the column adopts these, and their vids
//! are those of the segments. A segment that is not full is adopted only where it leaves no gap in front of it; otherwise
//! its vectors go the other way. Where dead vectors have left room for all, they lie there already (`room`).

use std::sync::Arc;

use omen_disk::VectorLoad;

use super::publish::added_vectors;
use super::room::Reserved;
use super::{ChunkChange, CommitRequest, TableChange};
use crate::error::Result;
use crate::table::vectors::VectorColumn;
use crate::transaction::{Definition, PrivateVectors, VectorStream};
use crate::value::PRIVATE_VECTOR;

/// Owner of a vid that no row of the commit has; never a row id.
pub const NOBODY: u32 = u32::MAX;

/// Consecutive vids and their rows.
pub struct NumberedVectors {
    pub column: u16,
    pub first_vid: u32,
    /// The numbers had other vectors before.
    pub given_again: bool,
    /// Empty when they are in their segments already.
    pub floats: Vec<f32>,
    pub owners: Vec<u32>,
    /// Synced in their segments already: the log need not carry them.
    pub synced: bool,
}

/// A cell of a live row that names a new vector.
pub struct Place {
    chunk: usize,
    at: usize,
    /// Of the vector, among the transaction's own.
    pub number: u32,
}

/// Where the new vectors of a column stand, in row order.
pub fn places(chunks: &mut [ChunkChange], position: usize) -> Vec<Place> {
    let mut places = Vec::new();
    for (number, chunk) in chunks.iter_mut().enumerate() {
        let live: Vec<usize> = chunk.live_positions().collect();
        let Some(stored) = chunk.rows.columns.get_mut(position) else { continue };
        let Some((nulls, cells)) = stored.vector_cells_mut() else { continue };
        let is_new = |&at: &usize| {
            nulls.get(at).is_none_or(|&null| null == 0) && cells[at] & PRIVATE_VECTOR != 0
        };
        places.extend(live.into_iter().filter(is_new).map(|at| Place {
            chunk: number,
            at,
            number: cells[at] & !PRIVATE_VECTOR,
        }));
    }
    places
}

impl TableChange {
    /// Gives the change's new vectors their vids.
    fn number_vectors(
        &mut self,
        vectors_of: impl Fn(usize) -> Option<Arc<VectorColumn>>,
    ) -> Result<()> {
        for position in 0..self.vectors.len() {
            let mut own = std::mem::take(&mut self.vectors[position]);
            if own.count == 0 {
                continue;
            }
            let column = vectors_of(position).expect("a vector column has segments");
            let mut places = places(&mut self.chunks, position);
            let mut load = own.stream.take().map(VectorStream::into_load);
            if let Some(vids) = own.reserved.take().and_then(Reserved::into_numbers) {
                self.give_reserved(position, &vids, &places);
                continue;
            }
            // Vectors of the load that keep their segments.
            let kept = load
                .as_ref()
                .map_or(0, |load| if column.is_aligned() { load.len() } else { load.whole() });
            let adopted: Vec<Place> = places.extract_if(.., |place| place.number < kept).collect();
            self.number_others(position, &column, own, load.as_ref(), &places);
            if let Some(load) = load.as_mut().filter(|_| !adopted.is_empty()) {
                self.adopt(position, &column, load, kept, &adopted)?;
            }
        }
        Ok(())
    }

    /// Numbers the vectors at `places`, in their order, and copies those of a load out of it. Runs of consecutive vids
    /// belong together.
    fn number_others(
        &mut self,
        position: usize,
        column: &VectorColumn,
        mut own: PrivateVectors,
        load: Option<&VectorLoad>,
        places: &[Place],
    ) {
        let row_words = column.segments.row_words();
        let (given_again, fresh) = column.take_numbers(places.len());
        assert!(fresh.end < PRIVATE_VECTOR, "a column numbers fewer than 2^31 vectors");
        let runs = given_again.chunk_by(|a, b| a + 1 == *b).map(|run| (run[0], run.len(), true));
        let runs = runs.chain((!fresh.is_empty()).then_some((fresh.start, fresh.len(), false)));
        let mut rest = places;
        for (first_vid, count, given_again) in runs {
            let (run, after) = rest.split_at(count);
            rest = after;
            // A load's lie as they came, and stay where they are.
            let as_they_came = own.count as usize == count
                && load.is_none()
                && run.iter().zip(0..).all(|(place, at)| place.number == at);
            let floats = if as_they_came {
                std::mem::take(&mut own.floats)
            } else {
                let vector = |place: &Place| match load {
                    Some(load) => load.vector(place.number),
                    None => own.vector(place.number, row_words),
                };
                let len = run.iter().map(|place| vector(place).len()).sum();
                let mut floats = Vec::with_capacity(len);
                for place in run {
                    floats.extend_from_slice(vector(place));
                }
                floats
            };
            let owners = self.set_cells(position, (first_vid..).zip(run));
            let column = position as u16;
            self.numbered.push(NumberedVectors {
                column,
                first_vid,
                given_again,
                floats,
                owners,
                synced: false,
            });
        }
    }

    /// Gives the vectors at `places`, in their order, the numbers under which they lie in their slots already.
    fn give_reserved(&mut self, position: usize, vids: &[u32], places: &[Place]) {
        let mut rest = places;
        for run in vids.chunk_by(|a, b| a + 1 == *b) {
            let (own, after) = rest.split_at(run.len());
            rest = after;
            let owners = self.set_cells(position, run.iter().copied().zip(own));
            self.numbered.push(NumberedVectors {
                column: position as u16,
                first_vid: run[0],
                given_again: true,
                floats: Vec::new(),
                owners,
                synced: false,
            });
        }
    }

    /// Writes vids into their cells; returns the rows.
    fn set_cells<'a>(
        &mut self,
        position: usize,
        vids: impl Iterator<Item = (u32, &'a Place)>,
    ) -> Vec<u32> {
        let mut owners = Vec::new();
        for (vid, place) in vids {
            let ChunkChange { rows, rids, .. } = &mut self.chunks[place.chunk];
            let (_, cells) =
                rows.columns[position].vector_cells_mut().expect("found among vector cells");
            cells[place.at] = vid;
            owners.push(rids[place.at]);
        }
        owners
    }

    /// The column takes the segments that hold the first `count` vectors of a load.
    fn adopt(
        &mut self,
        position: usize,
        column: &VectorColumn,
        load: &mut VectorLoad,
        count: u32,
        places: &[Place],
    ) -> Result<()> {
        let (passed_over, first_vid) = column.adopt_load(load, count)?;
        let mut owners = vec![NOBODY; count as usize];
        let rows = self.set_cells(position, places.iter().map(|p| (first_vid + p.number, p)));
        for (place, rid) in places.iter().zip(rows) {
            owners[place.number as usize] = rid;
        }
        let column = position as u16;
        self.passed_over.push((column, passed_over));
        let (given_again, floats) = (false, Vec::new());
        self.numbered.push(NumberedVectors {
            column,
            first_vid,
            given_again,
            floats,
            owners,
            synced: false,
        });
        Ok(())
    }

    /// Writes the numbered vectors to their segments, still invisible. Before the log, so that a full disk is this commit's
    /// error; vids of a commit that fails afterwards are nobody's for good.
    fn store_vectors(&self, vectors_of: impl Fn(usize) -> Option<Arc<VectorColumn>>) -> Result<()> {
        for vectors in self.numbered.iter().filter(|vectors| !vectors.floats.is_empty()) {
            let column = vectors_of(vectors.column as usize).expect("a vector column has segments");
            column.append(vectors.first_vid, &vectors.floats)?;
        }
        Ok(())
    }
}

impl CommitRequest {
    /// Whether vectors of it are on their way into files.
    pub fn has_streams(&self) -> bool {
        let own = |change: &TableChange| change.vectors.iter().any(|own| own.stream.is_some());
        self.tables.iter().any(own) || self.filled_columns().next().is_some()
    }

    /// Vector columns it adds whose vectors are in segments that may not be durable yet.
    fn filled_columns(&self) -> impl Iterator<Item = &VectorColumn> {
        self.definitions.iter().filter_map(|definition| match definition {
            Definition::AddColumn { table, vectors: Some(vectors), is_filled: true, .. } => {
                (!table.temporary).then_some(&**vectors)
            }
            _ => None,
        })
    }

    /// Has all of these vectors written and synced. Needs no lock of the engine, and takes as long as the disk does.
    pub fn finish_streams(&mut self) -> Result<()> {
        for column in self.filled_columns() {
            column.segments.sync()?;
        }
        let own = self.tables.iter_mut().flat_map(|change| &mut change.vectors);
        own.into_iter().try_for_each(PrivateVectors::finish)
    }

    /// Numbers and stores the vectors of all its tables. Under the sequencer. An error means the commit cannot be.
    pub fn place_vectors(&mut self) -> Result<()> {
        for change in &mut self.tables {
            let (table, definitions) = (Arc::clone(&change.table), &self.definitions);
            let vectors_of = |column: usize| {
                let added = || added_vectors(definitions, table.relation_id, column);
                table.vectors(column).or_else(added)
            };
            change.number_vectors(vectors_of)?;
            change.store_vectors(vectors_of)?;
        }
        Ok(())
    }
}
