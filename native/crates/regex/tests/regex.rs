//! Against PostgreSQL 15's answers (recorded with regexp_match, substring and ~).

use omen_regex::CompiledRegex;

fn groups(pattern: &str, text: &str) -> Option<Vec<Option<String>>> {
    let found = CompiledRegex::new(pattern, false).unwrap().exec(text, 0)?;
    Some(
        found
            .into_iter()
            .map(|span| span.map(|(start, end)| text[start..end].to_owned()))
            .collect(),
    )
}

fn whole(pattern: &str, text: &str) -> Option<String> {
    groups(pattern, text)?.swap_remove(0)
}

#[test]
fn the_longest_match_wins() {
    assert_eq!(whole("foo|foobar", "foobar").as_deref(), Some("foobar"));
    assert_eq!(whole("(?:a|ab)(b?)", "xaby").as_deref(), Some("ab"));
    assert_eq!(whole("a+?", "aaa").as_deref(), Some("a"));
    assert_eq!(whole("(a|ab)(c|bcd)(d*)", "abcd").as_deref(), Some("abcd"));
    assert_eq!(groups("(x)|(y)", "y").unwrap(), [Some("y".into()), None, Some("y".into())]);
    assert_eq!(whole("x|", "abc").as_deref(), Some(""));
}

#[test]
fn special_characters() {
    for (pattern, text, matches) in [
        (".", "\n", true),
        ("^b", "a\nb", false),
        ("(?n)^b$", "a\nb\nc", true),
        ("(?n)a.b", "a\nb", false),
        ("(?w)a.^b", "a\nb", true),
        ("a{", "a{", true),
        ("a{x", "a{x", true),
        ("}", "}", true),
        ("]", "]", true),
        ("[a-]", "-", true),
        ("[]a]", "]", true),
        ("[^]a]", "]", false),
        ("[a&&b]", "&", true),
        ("[a[b]", "[", true),
        (r"[\]]", "]", true),
        (r"\d{3}", "a123", true),
        (r"\mfoo\M", "a foo b", true),
        (r"\mfoo\M", "food", false),
        ("[[:<:]]foo[[:>:]]", "a foo", true),
        (r"\yfoo\y", "food", false),
        (r"a\Z", "a\n", false),
        ("[[:alpha:]]+", "é", true),
        ("[[:digit:][:upper:]x]", "X", true),
        ("[[.-.]]", "-", true),
        (r"\x41\u0042", "AB", true),
        ("***=a.c", "abc", false),
        ("***=a.c", "a.c", true),
        ("(?x)a b # c", "ab", true),
        ("(?i)ABC", "abc", true),
        (r"\w", "_", true),
        (r"\.", "x", false),
        ("a(?#comment)b", "ab", true),
        ("", "x", true),
        ("a|", "x", true),
    ] {
        assert_eq!(
            CompiledRegex::new(pattern, false).unwrap().is_match(text),
            matches,
            "{pattern} on {text}"
        );
    }
    assert!(CompiledRegex::new("ABC", true).unwrap().is_match("xabcx"));
}

#[test]
fn complaints_are_postgresqls() {
    for (pattern, reason) in [
        ("a**", "quantifier operand invalid"),
        ("*a", "quantifier operand invalid"),
        ("(*x)", "quantifier operand invalid"),
        ("a|*b", "quantifier operand invalid"),
        ("(a", "parentheses () not balanced"),
        (")", "parentheses () not balanced"),
        ("[a", "brackets [] not balanced"),
        ("[]", "brackets [] not balanced"),
        ("x{1", "braces {} not balanced"),
        ("a{2,1}", "invalid repetition count(s)"),
        ("a{999}", "invalid repetition count(s)"),
        ("[z-a]", "invalid character range"),
        (r"[a-\d]", "invalid character range"),
        ("[[:foo:]]", "invalid character class"),
        ("\\", "invalid escape \\ sequence"),
        (r"\q", "invalid escape \\ sequence"),
        ("(?z)x", "invalid embedded option"),
    ] {
        let error = CompiledRegex::new(pattern, false).err().unwrap();
        assert_eq!(error.message, format!("invalid regular expression: {reason}"), "{pattern}");
        assert_eq!(error.sqlstate, "2201B");
    }
    for pattern in [r"(.)\1", "(?=a)", "(?!a)", "(?<=a)b", "(?<!a)b"] {
        assert_eq!(
            CompiledRegex::new(pattern, false).err().unwrap().sqlstate,
            "0A000",
            "{pattern}"
        );
    }
}

#[test]
fn searches_go_on_from_a_place() {
    let regex = CompiledRegex::new(r"\mb|a+", false).unwrap();
    assert_eq!(regex.exec("aa ab", 2).unwrap(), [Some((3, 4))]);
    assert_eq!(
        regex.exec("aa ab", 4),
        None,
        "what lies before the place still counts for boundaries"
    );
    assert_eq!(regex.group_count(), 0);
}

/// What takes a backtracking engine forever.
#[test]
fn nothing_explodes() {
    let text = "a".repeat(20_000);
    assert!(!CompiledRegex::new("(a*)*(a*)*b", false).unwrap().is_match(&text));
    assert!(CompiledRegex::new("((((x{255}){255}){255}){255})", false).is_err());
    let deep = "(".repeat(100_000) + &")".repeat(100_000);
    assert!(CompiledRegex::new(&deep, false).is_err());
}
