//! How many words the rows of a vector column have.

/// Rows of 32-bit words, held as the floats that have their bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowWords {
    /// So many each.
    Fixed(usize),
    /// 1 + 2n, at most `most`: the first word, as an integer, is n.
    Counted { most: usize },
}

impl RowWords {
    /// The words of the longest row.
    pub fn most(self) -> usize {
        match self {
            Self::Fixed(words) | Self::Counted { most: words } => words,
        }
    }

    /// The row that `words` begin with; None when it is longer than they are, or than rows may be.
    pub fn first(self, words: &[f32]) -> Option<&[f32]> {
        let len = match self {
            Self::Fixed(len) => len,
            Self::Counted { most } => {
                let pairs = words.first()?.to_bits() as usize;
                pairs.checked_mul(2)?.checked_add(1).filter(|&len| len <= most)?
            }
        };
        words.get(..len)
    }

    /// The first `count` of the rows that lie one behind the other in `words`, and what is behind them. None when `words`
    /// do not hold so many.
    pub fn split(self, words: &[f32], count: usize) -> Option<(&[f32], &[f32])> {
        let len = match self {
            Self::Fixed(len) => len.checked_mul(count)?,
            Self::Counted { .. } => {
                (0..count).try_fold(0, |at, _| Some(at + self.first(&words[at..])?.len()))?
            }
        };
        words.split_at_checked(len)
    }

    /// How many rows lie one behind the other in `words`, which hold nothing else.
    pub fn count(self, words: &[f32]) -> usize {
        match self {
            Self::Fixed(len) => {
                assert!(words.len().is_multiple_of(len), "whole rows");
                words.len() / len
            }
            Self::Counted { .. } => {
                let (count, len) =
                    self.rows(words).fold((0, 0), |(count, len), row| (count + 1, len + row.len()));
                assert_eq!(len, words.len(), "whole rows");
                count
            }
        }
    }

    /// The rows that lie one behind the other in `words`; ends early where they are no rows.
    pub fn rows(self, mut words: &[f32]) -> impl Iterator<Item = &[f32]> + Clone {
        std::iter::from_fn(move || {
            if words.is_empty() {
                return None;
            }
            let (row, rest) = self.split(words, 1)?;
            words = rest;
            Some(row)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counted_rows_say_how_long_they_are() {
        let rows = RowWords::Counted { most: 5 };
        let words = [1, 7, 8, 0, 2, 1, 2, 3, 4].map(f32::from_bits);
        let lengths: Vec<usize> = rows.rows(&words).map(<[f32]>::len).collect();
        assert_eq!(lengths, [3, 1, 5]);
        assert_eq!(rows.split(&words, 2).map(|(two, rest)| (two.len(), rest.len())), Some((4, 5)));
        assert_eq!(rows.split(&words, 4), None);
        assert_eq!(rows.first(&[3, 0, 0, 0, 0, 0, 0].map(f32::from_bits)), None, "too long");
        assert_eq!(rows.first(&[u32::MAX; 2].map(f32::from_bits)), None);
        assert_eq!(RowWords::Fixed(2).rows(&words[..4]).count(), 2);
    }
}
