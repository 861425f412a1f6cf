//! Large writes in the room of dead vectors.
//!
//! A load lies in segments of its own before its commit. Where dead vectors have left room for all of it, its vectors are copied
//! there: else a table that is emptied and filled again and again would grow by a load each time. That is done before the
//! commit has its turn, so nobody waits for it, in slots whose numbers the write has taken for itself; the numbers go back
//! when it fails. What the slots then hold is named by nobody, as before, until the commit is in the log.

use std::sync::Arc;

use super::vectors::{Place, places};
use super::{CommitRequest, TableChange};
use crate::error::Result;
use crate::table::vectors::VectorColumn;
use crate::transaction::VectorStream;

/// Words copied at a time.
const PIECE_WORDS: usize = 1 << 20;

/// Numbers of dead vectors that one write has taken for itself: nobody else is given them. Dropped, they go back.
pub struct Reserved {
    column: Arc<VectorColumn>,
    vids: Vec<u32>,
}

impl Reserved {
    /// None where there is no room for all, or for none.
    fn take(column: &Arc<VectorColumn>, count: usize) -> Option<Self> {
        let vids = column.reserve_numbers(count)?;
        Some(Self { column: Arc::clone(column), vids })
    }

    /// The numbers, for the commit to give to its rows. None while a graph is being built that commits do not know of: no
    /// number is given again then (`table::numbers`). Under the sequencer.
    pub fn into_numbers(mut self) -> Option<Vec<u32>> {
        (!self.column.numbers.is_building()).then(|| std::mem::take(&mut self.vids))
    }

    /// Copies the vectors at `places` into the slots, in their order, and makes them durable.
    fn fill(&self, stream: &VectorStream, places: &[Place]) -> Result<()> {
        let segments = &self.column.segments;
        let mut rest = places;
        let mut words = Vec::new();
        for run in self.vids.chunk_by(|a, b| a + 1 == *b) {
            let (own, after) = rest.split_at(run.len());
            rest = after;
            let mut first = run[0];
            for (vid, place) in run.iter().zip(own) {
                words.extend_from_slice(stream.vector(place.number));
                if words.len() >= PIECE_WORDS || vid == run.last().unwrap_or(vid) {
                    segments.write_run(first, &words)?;
                    words.clear();
                    first = vid + 1;
                }
            }
        }
        segments.sync()?;
        Ok(())
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.column.numbers.give_back(std::mem::take(&mut self.vids));
    }
}

impl CommitRequest {
    /// Puts its loads where dead vectors have left room for them. Behind `finish_streams`; needs no lock of the engine, and
    /// takes as long as the disk does.
    pub fn use_room(&mut self) -> Result<()> {
        self.tables.iter_mut().try_for_each(TableChange::use_room)
    }
}

impl TableChange {
    fn use_room(&mut self) -> Result<()> {
        for (position, own) in self.vectors.iter_mut().enumerate() {
            // A column that the transaction adds has no dead vectors.
            let (Some(stream), Some(column)) = (&own.stream, self.table.vectors(position)) else {
                continue;
            };
            let places = places(&mut self.chunks, position);
            if let Some(reserved) = Reserved::take(&column, places.len()) {
                reserved.fill(stream, &places)?;
                own.reserved = Some(reserved);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use omen_disk::{MemoryDisk, RowWords, VectorOptions, VectorSegments};

    use super::*;
    use crate::table::numbers::Building;

    fn column() -> Arc<VectorColumn> {
        let disk = Arc::new(MemoryDisk::new());
        let options = VectorOptions::new(RowWords::Fixed(2));
        let segments = VectorSegments::open(disk, "1.0", options, 0).unwrap();
        let column = Arc::new(VectorColumn::new(segments));
        column.take_numbers(10);
        column.append(0, &[1.0; 20]).unwrap();
        (0..10).for_each(|vid| column.numbers.note_dead(1, vid));
        let dead = column.numbers.begin_removal(1, || 10).expect("all are dead");
        column.numbers.end_removal(dead, false, true);
        column
    }

    #[test]
    fn numbers_that_are_not_given_go_back() {
        let column = column();
        let reserved = Reserved::take(&column, 6).expect("there is room");
        assert!(Reserved::take(&column, 6).is_none(), "four are left");
        assert_eq!(column.take_numbers(2).0, [6, 7]);
        drop(reserved);
        let reserved = Reserved::take(&column, 8).expect("there is room again");
        assert_eq!(reserved.into_numbers(), Some(vec![0, 1, 2, 3, 4, 5, 8, 9]));
        assert!(column.take_numbers(1).0.is_empty());
    }

    #[test]
    fn a_graph_that_is_built_meanwhile_keeps_them() {
        let column = column();
        let reserved = Reserved::take(&column, 10).expect("there is room");
        let building = Building::begin(&column);
        assert_eq!(reserved.into_numbers(), None);
        assert!(Reserved::take(&column, 1).is_none());
        drop(building);
        assert_eq!(column.take_numbers(10).0.len(), 10);
    }
}
