//! The quick way to read `[1,2.5,-3e-5]`: numbers without blanks between them, as programs write them. Whoever gets None
//! reads the text the slow way, which knows blanks, names and what to complain about.
//!
//! A decimal of up to 19 digits, leading zeros apart, is `digits / 10^scale`. Where both sides are exact in an f64 the quotient
//! is the f64 nearest to the decimal (W. D. Clinger, PLDI 1990). More digits than that, 17 of them in what programs print of
//! a float that they hold as a double, are rounded to an f64 first: then the quotient is less than 2.1 units in the last
//! place away. Rounding it to f32 goes wrong only where a point exactly between two f32s may lie in between: such decimals,
//! and what is not normal as an f32, go to the standard library.

/// 2^53: integers up to here are exact in an f64.
const MAX_EXACT: u64 = 1 << 53;
const MAX_DIGITS: usize = 19;
/// The bits an f32 has less than an f64, and what they are halfway between two f32s.
const LOST_BITS: u64 = (1 << 29) - 1;
const HALFWAY: u64 = 1 << 28;
/// How near to the middle a quotient of rounded digits is not trusted.
const UNSURE: u64 = 3;

/// Powers of ten that are exact in an f64.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// Gives each element of the text to `push` and returns how many there are; None when the text is of another form, when
/// an element is not finite, or when `push` refuses one (some elements may have been given by then).
pub fn plain_vector(text: &[u8], mut push: impl FnMut(f32) -> bool) -> Option<usize> {
    let mut rest = text.strip_prefix(b"[")?;
    let mut count = 0;
    loop {
        let (value, length) = plain_number(rest)?;
        if !value.is_finite() || !push(value) {
            return None;
        }
        count += 1;
        match rest.get(length)? {
            b',' => rest = &rest[length + 1..],
            b']' if rest.len() == length + 1 => return Some(count),
            _ => return None,
        }
    }
}

/// The number at the beginning of the text and its length.
fn plain_number(text: &[u8]) -> Option<(f32, usize)> {
    let negative = text.first() == Some(&b'-');
    let start = usize::from(negative);
    let mut digits = 0;
    let mut at = read_digits(text, start, &mut digits);
    if at == start {
        return None;
    }
    let (mut count, mut scale) = (at - start, 0);
    if text.get(at) == Some(&b'.') {
        let fraction = at + 1;
        at = read_digits(text, fraction, &mut digits);
        scale = at - fraction;
        count += scale;
    }
    let is_long = count > MAX_DIGITS && count - leading_zeros(&text[start..at]) > MAX_DIGITS;
    if matches!(text.get(at)?, b'e' | b'E') || is_long || scale >= POWERS.len() {
        return standard(text);
    }
    let magnitude = digits as f64 / POWERS[scale];
    let is_normal = magnitude == 0.0 || magnitude >= f64::from(f32::MIN_POSITIVE);
    let unsure = if digits <= MAX_EXACT { 0 } else { UNSURE };
    if !is_normal || (magnitude.to_bits() & LOST_BITS).abs_diff(HALFWAY) <= unsure {
        return standard(text);
    }
    let value = magnitude as f32;
    Some((if negative { -value } else { value }, at))
}

/// How many zeros come before the first digit that counts.
fn leading_zeros(number: &[u8]) -> usize {
    let before = number.iter().take_while(|&&byte| matches!(byte, b'0' | b'.'));
    before.filter(|&&byte| byte == b'0').count()
}

/// Appends the digits at `at` to `digits`, which wraps around behind the nineteenth that counts; gives the place behind them.
fn read_digits(text: &[u8], mut at: usize, digits: &mut u64) -> usize {
    while let Some(number) = text[at..].first_chunk().copied().and_then(eight_digits) {
        *digits = digits.wrapping_mul(100_000_000).wrapping_add(number);
        at += 8;
    }
    while let Some(byte @ b'0'..=b'9') = text.get(at) {
        *digits = digits.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
        at += 1;
    }
    at
}

/// The number that eight digits are; None where one of the bytes is none. Neighbours are joined into numbers of two, of four and
/// of eight digits, all at once.
fn eight_digits(bytes: [u8; 8]) -> Option<u64> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let word = u64::from_le_bytes(bytes);
    // The upper half of a digit's byte is 3, and stays it when 6 is added.
    let is_three = |word: u64| word & (EACH * 0xF0) == EACH * 0x30;
    if !is_three(word) || !is_three(word + EACH * 6) {
        return None;
    }
    let ones = word - EACH * 0x30;
    let twos = (ones * 10 + (ones >> 8)) & 0x00FF_00FF_00FF_00FF;
    let fours = (twos * 100 + (twos >> 16)) & 0x0000_FFFF_0000_FFFF;
    Some((fours * 10_000 + (fours >> 32)) & 0xFFFF_FFFF)
}

/// By the standard library, which rounds once.
fn standard(text: &[u8]) -> Option<(f32, usize)> {
    let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
    let length = text.iter().position(|byte| !is_part(byte)).unwrap_or(text.len());
    let value = std::str::from_utf8(&text[..length]).ok()?.parse().ok()?;
    Some((value, length))
}

#[cfg(test)]
mod tests {
    use super::plain_vector;

    fn read(text: &str) -> Option<Vec<f32>> {
        let mut values = Vec::new();
        let push = |value| {
            values.push(value);
            true
        };
        plain_vector(text.as_bytes(), push).map(|_| values)
    }

    #[test]
    fn reads_what_programs_write() {
        assert_eq!(read("[1,-2.5,3e-5,0.1,007]"), Some(vec![1.0, -2.5, 3e-5, 0.1, 7.0]));
        let negative_zero = read("[-0]").expect("a number");
        assert!(negative_zero[0] == 0.0 && negative_zero[0].is_sign_negative());
        // What programs print of a float that they hold as a double, with zeros in front.
        let long = "[0.10000000149011612,-0.0012345678918063641,00012345678.12345678,0.000000]";
        assert_eq!(read(long), Some(vec![0.1, -0.001_234_567_8, 12_345_678.0, 0.0]));
    }

    #[test]
    fn leaves_everything_else_alone() {
        let others = [
            "", "[", "[]", "1,2", "[1", "[1,", "[1,]", "[,1]", "[1]]", "[1] ", " [1]", "[ 1]",
            "[1 ,2]", "[+1]", "[.5]", "[-]", "[-.5]", "[1.2.3]", "[nan]", "[inf]", "[1e39]",
            "[1e]", "[0x10]", "[1-2]", "[1e5-2]",
        ];
        for text in others {
            assert_eq!(read(text), None, "{text}");
        }
    }

    /// Every decimal is the f32 the standard library finds, those halfway between two f32s above all.
    #[test]
    fn rounds_once() {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let check = |text: &str| {
            let expected: f32 = text.parse().expect("a number");
            let found = read(&format!("[{text}]"));
            let is_same = found.as_ref().is_some_and(|v| v[0].to_bits() == expected.to_bits());
            assert!(is_same || expected.is_infinite(), "{text}: {found:?} and not {expected}");
        };
        for _ in 0..200_000 {
            let digits = random() >> (random() % 64);
            let places = (random() % 25) as usize;
            let padded = format!("{digits:0>width$}", width = places + 1);
            let (whole, fraction) = padded.split_at(padded.len() - places);
            check(&format!("{whole}.{fraction}"));
            check(&format!("-{digits}"));
            let single = f32::from_bits(random() as u32 & 0x7F7F_FFFF);
            check(&single.to_string());
            check(&f64::from(single).to_string());
            check(
                &f64::from(f32::from_bits(0x3800_0000 + random() as u32 % 0x1000_0000)).to_string(),
            );
            // The decimal of the middle between two neighbouring floats, and its neighbours.
            let low = f32::from_bits(0x3000_0000 + random() as u32 % 0x1800_0000);
            let middle = f64::midpoint(f64::from(low), f64::from(low.next_up()));
            for places in 15..20 {
                check(&format!("{middle:.places$}"));
            }
            check(&format!("{middle}"));
            // Next to the middle, with more digits than an f64 has.
            check(&format!("{:.18}", middle.next_up()));
            check(&format!("{:.18}", middle.next_down()));
        }
    }
}
