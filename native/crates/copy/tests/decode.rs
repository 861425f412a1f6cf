//! Decoding against PostgreSQL 15's answers (recorded from psql), cut into pieces anywhere.

use omen_copy::{CopyError, Decoder, Field, FieldKind, Format, Options, Values};
use proptest::prelude::*;

fn options(format: Format, fields: &[(&str, FieldKind)]) -> Options {
    let csv = format == Format::Csv;
    Options {
        format,
        fields: fields
            .iter()
            .map(|(name, kind)| Field {
                name: (*name).to_owned(),
                kind: *kind,
                force_not_null: false,
                force_null: false,
            })
            .collect(),
        delimiter: if csv { b',' } else { b'\t' },
        null: if csv { Vec::new() } else { b"\\N".to_vec() },
        header: false,
        quote: b'"',
        escape: b'"',
    }
}

const ABCD: [(&str, FieldKind); 4] =
    [("a", FieldKind::I32), ("b", FieldKind::Text), ("c", FieldKind::F64), ("d", FieldKind::Bool)];

/// Rows as text, NULL as `None`, after pushing `data` in pieces of `piece` bytes.
fn decode(
    options: Options,
    data: &[u8],
    piece: usize,
) -> Result<Vec<Vec<Option<String>>>, CopyError> {
    let mut decoder = Decoder::new(options);
    for chunk in data.chunks(piece) {
        decoder.push(chunk)?;
    }
    decoder.finish()?;
    let mut found = Vec::new();
    let mut rows = omen_copy::Rows { count: 0, line: 0, columns: Vec::new() };
    // Both ways to take rows, in turn.
    for turn in 0.. {
        if decoder.row_count() == 0 {
            break;
        }
        if turn % 2 == 0 {
            rows = decoder.take(3);
        } else {
            decoder.exchange(&mut rows);
        }
        for row in 0..rows.count {
            let cell = |column: &omen_copy::Column| {
                (column.nulls[row] == 0).then(|| match &column.values {
                    Values::Bool(values) => (values[row] == 1).to_string(),
                    Values::I32(values) => values[row].to_string(),
                    Values::I64(values) => values[row].to_string(),
                    Values::F64(values) => values[row].to_string(),
                    Values::Vector { dim, values } => format!("{:?}", &values[row * dim..][..*dim]),
                    Values::Bytes { offsets, bytes } => {
                        let field = &bytes[offsets[row] as usize..offsets[row + 1] as usize];
                        String::from_utf8_lossy(field).into_owned()
                    }
                })
            };
            found.push(rows.columns.iter().map(cell).collect());
        }
    }
    Ok(found)
}

/// The same whatever the pieces.
fn decode_all_ways(options: &Options, data: &str) -> Result<Vec<Vec<Option<String>>>, CopyError> {
    let whole = decode(options.clone(), data.as_bytes(), usize::MAX);
    for piece in [1, 2, 3, 7] {
        assert_eq!(decode(options.clone(), data.as_bytes(), piece), whole, "pieces of {piece}");
    }
    whole
}

fn rows(expected: &[&[Option<&str>]]) -> Vec<Vec<Option<String>>> {
    expected.iter().map(|row| row.iter().map(|cell| cell.map(str::to_owned)).collect()).collect()
}

/// What the user sees: code, message, CONTEXT.
fn message(error: &CopyError) -> String {
    let column = error.column.as_ref().map_or(String::new(), |column| format!(", column {column}"));
    let value = error.value.as_ref().map_or(String::new(), |value| format!(": \"{value}\""));
    format!("{}: {} | line {}{column}{value}", error.sqlstate, error.message, error.line)
}

fn refusal(options: &Options, data: &str) -> String {
    message(&decode_all_ways(options, data).unwrap_err())
}

#[test]
fn text_escapes_and_nulls() {
    let text = options(Format::Text, &ABCD);
    let data = "1\ta\\q\\x41\\102\\tz\\N\tnan\tf\n\\N\t\\N\t\\N\t\\N\n 3\t sp \t 4\t yes \n";
    let expected: [&[Option<&str>]; 3] = [
        &[Some("1"), Some("aqAB\tzN"), Some("NaN"), Some("false")],
        &[None, None, None, None],
        &[Some("3"), Some(" sp "), Some("4"), Some("true")],
    ];
    assert_eq!(decode_all_ways(&text, data).unwrap(), rows(&expected));
    let escaped_newline = decode_all_ways(&text, "1\tx\\\ny\t1\tt\n").unwrap();
    assert_eq!(escaped_newline[0][1].as_deref(), Some("x\ny"));
    let last = decode_all_ways(&text, "1\tx\\\\\t1\tt").unwrap();
    assert_eq!(last[0][1].as_deref(), Some("x\\"), "a last line needs no ending");
    assert_eq!(decode_all_ways(&text, "1\tx\t1\tt\n\\.\nrubbish").unwrap().len(), 1);
    assert_eq!(decode_all_ways(&text, "1\tx\t1\tt\r\n2\ty\t1\tf\r\n").unwrap().len(), 2);
}

#[test]
fn text_errors_are_postgresqls() {
    let text = options(Format::Text, &ABCD);
    let cases = [
        ("1\tx\t2.5\tt\n1\tx\t2.5\n", r#"22P04: missing data for column "d" | line 2: "1	x	2.5""#),
        (
            "1\tx\t2.5\tt\tz\n",
            r#"22P04: extra data after last expected column | line 1: "1	x	2.5	t	z""#,
        ),
        (
            "zz\tx\t2.5\tt\n",
            r#"22P02: invalid input syntax for type integer: "zz" | line 1, column a: "zz""#,
        ),
        (
            "\tx\t1\tt\n",
            r#"22P02: invalid input syntax for type integer: "" | line 1, column a: """#,
        ),
        (
            "99999999999\tx\t1\tt\n",
            r#"22003: value "99999999999" is out of range for type integer | line 1, column a: "99999999999""#,
        ),
        (
            "1\tx\t1e999\tt\n",
            r#"22003: "1e999" is out of range for type double precision | line 1, column c: "1e999""#,
        ),
        (
            "1\tx\t1\tmaybe\n",
            r#"22P02: invalid input syntax for type boolean: "maybe" | line 1, column d: "maybe""#,
        ),
    ];
    for (data, expected) in cases {
        assert_eq!(refusal(&text, data), expected);
    }
    let invalid = decode(text.clone(), b"1\tx\xFFy\t1\tt\n", 64).unwrap_err();
    assert_eq!(
        (invalid.sqlstate, invalid.message.as_str()),
        ("22021", "invalid byte sequence for encoding \"UTF8\": 0xff")
    );
    let made = decode(text.clone(), b"1\t\\xC3\\x28\t1\tt\n", 64).unwrap_err();
    assert_eq!(made.message, "invalid byte sequence for encoding \"UTF8\": 0xc3 0x28");
    let zero = decode(text.clone(), b"1\t\\0\t1\tt\n", 64).unwrap_err();
    assert_eq!(zero.message, "invalid byte sequence for encoding \"UTF8\": 0x00");
    let bare = refusal(&text, "1\tx\t1\tt\n1\tx\ry\t1\tt\n");
    assert!(bare.starts_with("22P04: literal carriage return found in data | line 2"), "{bare}");
}

#[test]
fn csv_quotes_and_nulls() {
    let csv = options(Format::Csv, &ABCD);
    let data = "1,\"a\"\"b\",3,t\n1,,,\n2,\"\",1,f\n3,a\"b\"c,1,f\n4,\"x,\ny\",1,t\n";
    let expected: [&[Option<&str>]; 5] = [
        &[Some("1"), Some("a\"b"), Some("3"), Some("true")],
        &[Some("1"), None, None, None],
        &[Some("2"), Some(""), Some("1"), Some("false")],
        &[Some("3"), Some("abc"), Some("1"), Some("false")],
        &[Some("4"), Some("x,\ny"), Some("1"), Some("true")],
    ];
    assert_eq!(decode_all_ways(&csv, data).unwrap(), rows(&expected));
    let mut escaped = options(Format::Csv, &ABCD);
    escaped.escape = b'\\';
    let found = decode_all_ways(&escaped, "1,\"a\\\"b\\\\,\\n\nx\",1,t\n").unwrap();
    assert_eq!(found[0][1].as_deref(), Some("a\"b\\,\\n\nx"));
    let mut forced = options(Format::Csv, &ABCD);
    (forced.fields[1].force_not_null, forced.fields[3].force_null) = (true, true);
    let found = decode_all_ways(&forced, "1,,1,\"\"\n").unwrap();
    assert_eq!((found[0][1].as_deref(), found[0][3].as_deref()), (Some(""), None));
    let mut headed = options(Format::Csv, &ABCD);
    headed.header = true;
    assert_eq!(decode_all_ways(&headed, "a,b,c,d\n1,x,1,t\n").unwrap().len(), 1);
}

#[test]
fn csv_errors_are_postgresqls() {
    let csv = options(Format::Csv, &ABCD);
    assert_eq!(
        refusal(&csv, "1,\"a\",3\n"),
        r#"22P04: missing data for column "d" | line 1: "1,"a",3""#
    );
    let open = refusal(&csv, "1,x,3,t\n2,\"unterminated,3,t\n\\.\n");
    assert_eq!(
        open,
        "22P04: unterminated CSV quoted field | line 4: \"2,\"unterminated,3,t\n\\.\n\""
    );
    let after = refusal(&csv, "1,\"a\nb\",3,t\n2,x,y,t\n");
    assert_eq!(
        after,
        r#"22P02: invalid input syntax for type double precision: "y" | line 3, column c: "y""#
    );
}

#[test]
fn rows_before_an_error_can_be_taken() {
    let mut decoder = Decoder::new(options(Format::Text, &[("a", FieldKind::I64)]));
    assert!(decoder.push(b"1\n2\nx\n4\n").is_err());
    decoder.push(b"5\n").unwrap();
    decoder.finish().unwrap();
    let rows = decoder.take(10);
    assert_eq!((rows.count, rows.line), (2, 1));
    assert_eq!(rows.columns[0].values, Values::I64(vec![1, 2]));
}

#[test]
fn batches_know_their_lines() {
    let mut decoder = Decoder::new(options(Format::Csv, &[("a", FieldKind::Text)]));
    decoder.push(b"\"1\n1\"\n2\n3\n").unwrap();
    assert_eq!(decoder.take(1).line, 2);
    assert_eq!(decoder.take(1).line, 3);
    let last = decoder.take(5);
    assert_eq!((last.line, last.count), (4, 1));
}

#[test]
fn vectors_follow_pgvector() {
    let vectors = options(Format::Text, &[("v", FieldKind::Vector(3))]);
    let found = decode_all_ways(&vectors, "[1,2.5,-3e0]\n [ 1 , 2 , 3 ] \n\\N\n").unwrap();
    assert_eq!(found, rows(&[&[Some("[1.0, 2.5, -3.0]")], &[Some("[1.0, 2.0, 3.0]")], &[None]]));
    for (data, expected) in [
        ("[1,2]\n", "22000: expected 3 dimensions, not 2"),
        ("[]\n", "22000: vector must have at least 1 dimension"),
        ("[1,2,nan]\n", "22000: NaN not allowed in vector"),
        ("[1,2,inf]\n", "22000: infinite value not allowed in vector"),
        ("[1,2,4e38]\n", "22003: \"4e38\" is out of range for type vector"),
        ("[1,2,x]\n", "22P02: invalid input syntax for type vector: \"[1,2,x]\""),
        ("1,2,3\n", "22P02: invalid input syntax for type vector: \"1,2,3\""),
    ] {
        let refused = refusal(&vectors, data);
        assert!(refused.starts_with(expected), "{refused}");
    }
}

/// Header, one row per entry, end marker.
fn binary_file(rows: &[Vec<Option<Vec<u8>>>]) -> Vec<u8> {
    let mut file = b"PGCOPY\n\xFF\r\n\0".to_vec();
    file.extend_from_slice(&[0; 8]);
    for row in rows {
        file.extend_from_slice(&(row.len() as i16).to_be_bytes());
        for field in row {
            let len = field.as_ref().map_or(-1, |field| field.len() as i32);
            file.extend_from_slice(&len.to_be_bytes());
            file.extend_from_slice(field.as_deref().unwrap_or_default());
        }
    }
    file.extend_from_slice(&(-1i16).to_be_bytes());
    file
}

#[test]
fn binary_rows() {
    let kinds = [
        ("a", FieldKind::I32),
        ("b", FieldKind::I64),
        ("c", FieldKind::F64),
        ("d", FieldKind::Bool),
        ("e", FieldKind::Text),
        ("f", FieldKind::Vector(2)),
        ("g", FieldKind::Raw),
    ];
    let binary = options(Format::Binary, &kinds);
    let vector = [&[0, 2, 0, 0][..], &1.5f32.to_be_bytes(), &(-2f32).to_be_bytes()].concat();
    let full = vec![
        Some((-7i32).to_be_bytes().to_vec()),
        Some((1i64 << 60).to_be_bytes().to_vec()),
        Some(2.5f64.to_be_bytes().to_vec()),
        Some(vec![1]),
        Some("ü".as_bytes().to_vec()),
        Some(vector),
        Some(vec![0x41, 0x42]),
    ];
    let narrow = vec![
        Some((-7i16).to_be_bytes().to_vec()),
        Some(u32::MAX.to_be_bytes().to_vec()),
        Some(0.5f32.to_be_bytes().to_vec()),
        None,
        None,
        None,
        None,
    ];
    let file = binary_file(&[full, narrow]);
    let whole = decode(binary.clone(), &file, usize::MAX).unwrap();
    let expected: [&[Option<&str>]; 2] = [
        &[
            Some("-7"),
            Some("1152921504606846976"),
            Some("2.5"),
            Some("true"),
            Some("ü"),
            Some("[1.5, -2.0]"),
            Some("AB"),
        ],
        &[Some("-7"), Some("4294967295"), Some("0.5"), None, None, None, None],
    ];
    assert_eq!(whole, rows(&expected));
    for piece in [1, 3, 10] {
        assert_eq!(decode(binary.clone(), &file, piece).unwrap(), whole);
    }
    for cut in 0..file.len() - 2 {
        // Without the marker the data may end between rows, as PostgreSQL allows; nowhere else.
        if let Ok(found) = decode(binary.clone(), &file[..cut], usize::MAX) {
            assert!(found.len() < 2, "cut at {cut}");
        }
    }
    let mut trailing = file.clone();
    trailing.push(0);
    assert_eq!(
        decode(binary.clone(), &trailing, usize::MAX).unwrap_err().message,
        "received copy data after EOF marker"
    );
    assert_eq!(
        decode(binary.clone(), b"PGCOPX", 9).unwrap_err().message,
        "COPY file signature not recognized"
    );
    let narrow_file = binary_file(&[vec![None]]);
    assert_eq!(
        decode(binary, &narrow_file, 99).unwrap_err().message,
        "row field count is 1, expected 7"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Text written with COPY's own escapes comes back, whatever it holds and however it is cut.
    #[test]
    fn text_round_trips(cells in prop::collection::vec(prop::option::of("[ -~\\n\\r\\t\\\\é\"]{0,12}"), 1..12), piece in 1usize..20) {
        let escape = |cell: &Option<String>| cell.as_ref().map_or("\\N".to_owned(), |text| {
            text.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t")
        });
        let data: String = cells.iter().map(|cell| escape(cell) + "\n").collect();
        let found = decode(options(Format::Text, &[("t", FieldKind::Text)]), data.as_bytes(), piece).unwrap();
        prop_assert_eq!(found, cells.into_iter().map(|cell| vec![cell]).collect::<Vec<_>>());
    }

    #[test]
    fn csv_round_trips(cells in prop::collection::vec("[ -~\\n\\té,\"]{0,12}", 1..12), piece in 1usize..20) {
        let data: String = cells.iter().flat_map(|cell| ["\"", &cell.replace('"', "\"\""), "\"\n"].map(str::to_owned)).collect();
        let found = decode(options(Format::Csv, &[("t", FieldKind::Text)]), data.as_bytes(), piece).unwrap();
        prop_assert_eq!(found, cells.into_iter().map(|cell| vec![Some(cell)]).collect::<Vec<_>>());
    }

    /// Arbitrary bytes are rows or an error, never a panic, in every format.
    #[test]
    fn rubbish_is_survived(data in prop::collection::vec(any::<u8>(), 0..300), piece in 1usize..50, format in 0..3) {
        let format = [Format::Text, Format::Csv, Format::Binary][format as usize];
        let data = if format == Format::Binary { [binary_file(&[])[..19].to_vec(), data].concat() } else { data };
        let _ = decode(options(format, &ABCD), &data, piece);
    }
}
