//! What a search needs of a posting list, wherever it is kept: documents in ascending order, in blocks whose last document
//! and best possible values are known without opening them.

/// Documents in one block.
pub(crate) const BLOCK_DOCS: usize = 128;
/// What a cursor stands on past its last document; no document has this number.
pub(crate) const NO_MORE_DOCS: u32 = u32::MAX;

/// What bounds the scores of a block or a list: the shortest document for each class of counts, and the largest count. One
/// pair of largest count and shortest document would seldom rule anything out, since the longest document has the one and
/// the shortest the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Smallest norm among the documents of each class; zero where there is none.
    pub norms: [u8; Self::CLASSES],
    pub largest_tf: u32,
}

impl Bounds {
    pub const CLASSES: usize = 8;
    /// The largest count of each class but the last.
    const CLASS_ENDS: [u32; Self::CLASSES - 1] = [1, 2, 3, 5, 8, 12, 19];
    pub const NONE: Self = Self { norms: [0; Self::CLASSES], largest_tf: 0 };

    /// Takes in a document.
    pub fn add(&mut self, tf: u32, norm: u8) {
        let class = Self::CLASS_ENDS.partition_point(|&end| end < tf);
        self.largest_tf = self.largest_tf.max(tf);
        self.lower(class, norm);
    }

    /// Takes in all that `other` bounds.
    pub fn merge(&mut self, other: Self) {
        self.largest_tf = self.largest_tf.max(other.largest_tf);
        for (class, norm) in other.norms.into_iter().enumerate() {
            self.lower(class, norm);
        }
    }

    fn lower(&mut self, class: usize, norm: u8) {
        let known = &mut self.norms[class];
        if *known == 0 || norm != 0 && norm < *known {
            *known = norm;
        }
    }

    /// A count and a norm for each class, such that no document in it has a larger count or a smaller norm.
    pub fn corners(self) -> impl Iterator<Item = (u32, u8)> {
        let ends = Self::CLASS_ENDS.into_iter().chain([u32::MAX]);
        let corners = ends.map(move |end| end.min(self.largest_tf)).zip(self.norms);
        corners.filter(|&(_, norm)| norm != 0)
    }
}

/// A position in a posting list. It has two parts: the block, which moves without opening anything, and the document within
/// it. `doc` and `tf` are of the document that the last `seek` found.
pub(crate) trait PostingCursor {
    /// Moves the block on to the first one that may hold `target` or later documents.
    fn seek_block(&mut self, target: u32);
    /// The last document of the current block; [`NO_MORE_DOCS`] past the end.
    fn block_last(&self) -> u32;
    /// Bounds of the current block; [`Bounds::NONE`] past the end.
    fn block_bounds(&self) -> Bounds;
    /// Bounds of the whole list.
    fn list_bounds(&self) -> Bounds;
    /// Moves on to the first document at or after `target`, and returns it. Never moves back.
    fn seek(&mut self, target: u32) -> u32;
    /// The current document.
    fn doc(&self) -> u32;
    /// How often the term occurs in the current document.
    fn tf(&mut self) -> u32;
    /// Blocks in the list, and how many of them were opened.
    fn blocks(&self) -> (u64, u64);
}
