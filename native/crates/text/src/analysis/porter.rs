//! Porter's stemmer: M. F. Porter, "An algorithm for suffix stripping", Program 14(3), 1980, with the two departures of the
//! author's own programs (-bli for -abli, and -logi), which Lucene's `PorterStemFilter` has too.
//!
//! Not Porter2 ("English" in Snowball), which stems differently. Works on bytes: every byte that is not one of aeiou, or y
//! after a consonant, counts as a consonant, so words in other scripts come through with at most an English suffix less.

/// Shorter words stay as they are.
const MIN_CHARS: usize = 3;

/// Stems a lower-case word in place.
pub(super) fn stem(word: &mut String) {
    if word.chars().nth(MIN_CHARS - 1).is_none() {
        return;
    }
    let mut stemmer = Stemmer { word };
    stemmer.plurals();
    stemmer.past_and_progressive();
    stemmer.final_y();
    stemmer.longest(&DOUBLE_SUFFIXES, 1);
    stemmer.longest(&SUFFIXES, 1);
    stemmer.residues();
    stemmer.final_e_and_l();
}

/// Step 2: double suffixes become single ones where something is left to measure.
const DOUBLE_SUFFIXES: [(&str, &str); 21] = [
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("bli", "ble"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
    ("logi", "log"),
];

/// Step 3.
const SUFFIXES: [(&str, &str); 7] = [
    ("icate", "ic"),
    ("ative", ""),
    ("alize", "al"),
    ("iciti", "ic"),
    ("ical", "ic"),
    ("ful", ""),
    ("ness", ""),
];

/// Step 4, dropped where two syllables stay; -ion only after s or t.
const RESIDUES: [&str; 19] = [
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou",
    "ism", "ate", "iti", "ous", "ive", "ize",
];

struct Stemmer<'a> {
    word: &'a mut String,
}

impl Stemmer<'_> {
    /// Whether the byte at `at` is a consonant: not a vowel, and y only at the start or after a vowel.
    fn is_consonant(&self, at: usize) -> bool {
        match self.word.as_bytes()[at] {
            b'a' | b'e' | b'i' | b'o' | b'u' => false,
            b'y' => at == 0 || !self.is_consonant(at - 1),
            _ => true,
        }
    }

    /// The number of vowel-consonant sequences in the first `length` bytes: m of [C](VC)^m[V].
    fn measure(&self, length: usize) -> usize {
        (1..length).filter(|&at| self.is_consonant(at) && !self.is_consonant(at - 1)).count()
    }

    fn has_vowel(&self, length: usize) -> bool {
        (0..length).any(|at| !self.is_consonant(at))
    }

    /// Whether the first `length` bytes end in a double consonant.
    fn is_doubled(&self, length: usize) -> bool {
        let bytes = self.word.as_bytes();
        length >= 2
            && bytes[length - 1] == bytes[length - 2]
            && bytes[length - 1].is_ascii()
            && self.is_consonant(length - 1)
    }

    /// Whether the first `length` bytes end consonant, vowel, consonant, the last not w, x or y: a short syllable, which
    /// asks for an e (hop, hope).
    fn is_short(&self, length: usize) -> bool {
        length >= 3
            && self.is_consonant(length - 1)
            && !self.is_consonant(length - 2)
            && self.is_consonant(length - 3)
            && !matches!(self.word.as_bytes()[length - 1], b'w' | b'x' | b'y')
    }

    /// The length of what stands before `suffix`, when the word ends in it.
    fn before(&self, suffix: &str) -> Option<usize> {
        self.word.strip_suffix(suffix).map(str::len)
    }

    fn replace_from(&mut self, length: usize, with: &str) {
        self.word.truncate(length);
        self.word.push_str(with);
    }

    /// Step 1a.
    fn plurals(&mut self) {
        for suffix in ["sses", "ies"] {
            if let Some(length) = self.before(suffix) {
                return self.word.truncate(length + suffix.len() - 2);
            }
        }
        if self.before("ss").is_none()
            && let Some(length) = self.before("s")
        {
            self.word.truncate(length);
        }
    }

    /// Step 1b.
    fn past_and_progressive(&mut self) {
        if let Some(length) = self.before("eed") {
            if self.measure(length) > 0 {
                self.word.truncate(length + 2);
            }
            return;
        }
        let Some(length) = self.before("ed").or_else(|| self.before("ing")) else { return };
        if !self.has_vowel(length) {
            return;
        }
        self.word.truncate(length);
        if ["at", "bl", "iz"].iter().any(|end| self.word.ends_with(end)) {
            self.word.push('e');
        } else if self.is_doubled(length) {
            if !self.word.ends_with(['l', 's', 'z']) {
                self.word.pop();
            }
        } else if self.measure(length) == 1 && self.is_short(length) {
            self.word.push('e');
        }
    }

    /// Step 1c.
    fn final_y(&mut self) {
        if let Some(length) = self.before("y")
            && self.has_vowel(length)
        {
            self.replace_from(length, "i");
        }
    }

    /// Replaces the longest of `suffixes` that the word ends in, if what stands before it measures at least `measure`.
    fn longest(&mut self, suffixes: &[(&str, &str)], measure: usize) {
        let matching = suffixes.iter().filter(|(suffix, _)| self.word.ends_with(suffix));
        let Some((suffix, with)) = matching.max_by_key(|(suffix, _)| suffix.len()) else { return };
        let length = self.word.len() - suffix.len();
        if self.measure(length) >= measure {
            self.replace_from(length, with);
        }
    }

    /// Step 4.
    fn residues(&mut self) {
        let matching = RESIDUES.iter().filter(|suffix| self.word.ends_with(**suffix));
        let Some(suffix) = matching.max_by_key(|suffix| suffix.len()) else { return };
        let length = self.word.len() - suffix.len();
        let allowed = *suffix != "ion" || self.word[..length].ends_with(['s', 't']);
        if allowed && self.measure(length) > 1 {
            self.word.truncate(length);
        }
    }

    /// Step 5.
    fn final_e_and_l(&mut self) {
        if let Some(length) = self.before("e") {
            let measure = self.measure(length);
            if measure > 1 || measure == 1 && !self.is_short(length) {
                self.word.truncate(length);
            }
        }
        let length = self.word.len();
        if self.word.ends_with("ll") && self.measure(length) > 1 {
            self.word.truncate(length - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    /// The examples of the 1980 paper, each carried through all steps, and words around the departures and limits.
    const CASES: &str = "caresses caress ponies poni ties ti caress caress cats cat feed feed agreed agre plastered plaster \
        bled bled motoring motor sing sing conflated conflat troubled troubl sized size hopping hop tanned tan \
        falling fall hissing hiss fizzed fizz failing fail filing file happy happi sky sky relational relat \
        conditional condit rational ration valenci valenc hesitanci hesit digitizer digit conformabli conform \
        radicalli radic differentli differ vileli vile analogousli analog vietnamization vietnam predication predic \
        operator oper feudalism feudal decisiveness decis hopefulness hope callousness callous formaliti formal \
        sensitiviti sensit sensibiliti sensibl triplicate triplic formative form formalize formal electriciti electr \
        electrical electr hopeful hope goodness good revival reviv allowance allow inference infer airliner airlin \
        gyroscopic gyroscop adjustable adjust defensible defens irritant irrit replacement replac adjustment adjust \
        dependent depend adoption adopt homologou homolog communism commun activate activ angulariti angular \
        homologous homolog effective effect bowdlerize bowdler probate probat rate rate cease ceas controll control \
        roll roll generalizations gener oscillators oscil possibly possibl archaeology archaeolog geology geologi \
        yes ye by by is is y y toys toi flies fli dies di agreement agreement as as cafés café naïvely naïv és és";

    #[test]
    fn the_paper_s_examples_come_out_as_printed() {
        let words: Vec<&str> = CASES.split_whitespace().collect();
        for pair in words.chunks(2) {
            let mut word = pair[0].to_owned();
            super::stem(&mut word);
            assert_eq!(word, pair[1], "stem of {}", pair[0]);
        }
    }

    #[test]
    fn any_text_is_safe() {
        for word in
            ["eed", "ing", "ed", "éed", "日本語s", "sses", "ion", "ational", "yyy", "llll", "ééing"]
        {
            super::stem(&mut word.to_owned());
        }
    }
}
