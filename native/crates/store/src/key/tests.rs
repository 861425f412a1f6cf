//! Keys compare as values do, for every kind, direction and place of NULL; ranges hold exactly what they bound.

use std::cmp::Ordering;

use proptest::prelude::*;

use super::*;
use crate::column::ValuesRef;
use crate::value::OwnedValue;

fn spec(key_kind: KeyKind, descending: bool, nulls_first: bool) -> IndexColumnSpec {
    IndexColumnSpec { column: 0, key_kind, descending, nulls_first }
}

fn key(spec: IndexColumnSpec, value: &OwnedValue) -> Vec<u8> {
    let mut out = Vec::new();
    encode_value(spec, value.as_value(), &mut out).unwrap();
    out
}

/// The order SQL gives: NULL where asked for, NaN greatest, -0 = 0.
fn sql_order(spec: IndexColumnSpec, a: &OwnedValue, b: &OwnedValue) -> Ordering {
    use OwnedValue::{Bytes, F64, I32, I64, Null};
    let ascending = match (a, b) {
        (Null, Null) => return Ordering::Equal,
        (Null, _) => return if spec.nulls_first { Ordering::Less } else { Ordering::Greater },
        (_, Null) => return if spec.nulls_first { Ordering::Greater } else { Ordering::Less },
        (I32(a), I32(b)) => a.cmp(b),
        (I64(a), I64(b)) => a.cmp(b),
        (F64(a), F64(b)) => match (a.is_nan(), b.is_nan()) {
            (false, false) => a.partial_cmp(b).unwrap(),
            (a, b) => a.cmp(&b),
        },
        (Bytes(a), Bytes(b)) => a.cmp(b),
        _ => unreachable!("values of one kind"),
    };
    if spec.descending { ascending.reverse() } else { ascending }
}

fn values(kind: KeyKind) -> BoxedStrategy<OwnedValue> {
    let value = match kind {
        KeyKind::Int => prop_oneof![
            any::<i64>().prop_map(OwnedValue::I64),
            (-3..3i64).prop_map(OwnedValue::I64)
        ]
        .boxed(),
        KeyKind::Float => prop_oneof![
            any::<f64>().prop_map(OwnedValue::F64),
            prop::sample::select(vec![0.0, -0.0, f64::NAN, -f64::NAN, f64::INFINITY, -1.5])
                .prop_map(OwnedValue::F64)
        ]
        .boxed(),
        _ => prop::collection::vec(prop::sample::select(vec![0u8, 1, 254, 255]), 0..5)
            .prop_map(|v| OwnedValue::Bytes(v.into()))
            .boxed(),
    };
    prop_oneof![8 => value, 1 => Just(OwnedValue::Null)].boxed()
}

fn pairs() -> impl Strategy<Value = (IndexColumnSpec, OwnedValue, OwnedValue)> {
    let kinds = prop::sample::select(vec![KeyKind::Int, KeyKind::Float, KeyKind::Bytes]);
    (kinds, any::<bool>(), any::<bool>()).prop_flat_map(|(kind, descending, nulls_first)| {
        (Just(spec(kind, descending, nulls_first)), values(kind), values(kind))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn keys_compare_as_values((spec, a, b) in pairs()) {
        prop_assert_eq!(key(spec, &a).cmp(&key(spec, &b)), sql_order(spec, &a, &b));
    }

    /// Two columns: the first decides, whatever follows it.
    #[test]
    fn no_column_runs_into_the_next((spec, a, b) in pairs(), tail in any::<[u8; 2]>()) {
        let first = sql_order(spec, &a, &b);
        prop_assume!(first != Ordering::Equal);
        let (mut a, mut b) = (key(spec, &a), key(spec, &b));
        a.push(tail[0]);
        b.push(tail[1]);
        prop_assert_eq!(a.cmp(&b), first);
    }

    #[test]
    fn a_range_holds_the_values_within_its_bounds(
        low in prop::option::of(-4..4i32),
        high in prop::option::of(-4..4i32),
        inclusive in any::<[bool; 2]>(),
        descending in any::<bool>(),
        nulls_first in any::<bool>(),
    ) {
        let spec = spec(KeyKind::Int, descending, nulls_first);
        let (low_values, high_values) = ([low.unwrap_or(0)], [high.unwrap_or(0)]);
        let column = |values| ColumnRef { nulls: &[0], values: ValuesRef::I32(values) };
        let (low_column, high_column) = ([column(&low_values)], [column(&high_values)]);
        let range = KeyRange {
            low: low.map(|_| &low_column[..]),
            low_inclusive: inclusive[0],
            high: high.map(|_| &high_column[..]),
            high_inclusive: inclusive[1],
            nulls: NullEntries::All,
        };
        let bytes = byte_range(&[spec], &range).unwrap().unwrap();
        for v in -5..5 {
            let entry = Entry::new(&key(spec, &OwnedValue::I32(v)), 7);
            let inside = bytes.low.as_deref().is_none_or(|l| l <= entry.bytes())
                && bytes.high.as_deref().is_none_or(|h| entry.bytes() < h);
            let above = low.is_none_or(|l| v > l || (v == l && inclusive[0]));
            let below = high.is_none_or(|h| v < h || (v == h && inclusive[1]));
            prop_assert_eq!(inside, above && below, "{} in {:?}", v, bytes);
        }
        let null = Entry::new(&key(spec, &OwnedValue::Null), 7);
        let inside = bytes.low.as_deref().is_none_or(|l| l <= null.bytes())
            && bytes.high.as_deref().is_none_or(|h| null.bytes() < h);
        prop_assert_eq!(inside, low.is_none() && high.is_none(), "NULL in {:?}", bytes);
    }
}

/// `a = 1 AND b > 5` must not take (1, NULL), and takes nothing of a = 2.
#[test]
fn a_range_on_the_second_column_stays_within_the_first() {
    let specs = [spec(KeyKind::Int, false, false), spec(KeyKind::Int, false, false)];
    let entry = |a: i32, b: Option<i32>| {
        let mut bytes = key(specs[0], &OwnedValue::I32(a));
        bytes.extend(key(specs[1], &b.map_or(OwnedValue::Null, OwnedValue::I32)));
        bytes
    };
    let column = |values| ColumnRef { nulls: &[0], values: ValuesRef::I32(values) };
    let low = [column(&[1]), column(&[5])];
    let high = [column(&[1])];
    let range = KeyRange {
        low: Some(&low),
        low_inclusive: false,
        high: Some(&high),
        high_inclusive: true,
        nulls: NullEntries::All,
    };
    let bytes = byte_range(&specs, &range).unwrap().unwrap();
    let inside = |e: Vec<u8>| {
        bytes.low.as_deref().unwrap() <= e.as_slice()
            && e.as_slice() < bytes.high.as_deref().unwrap()
    };
    assert!(!inside(entry(1, Some(5))) && inside(entry(1, Some(6))));
    assert!(!inside(entry(1, None)) && !inside(entry(2, Some(9))) && !inside(entry(0, Some(9))));
}

#[test]
fn numeric_keys_ignore_the_display_scale_and_intervals_compare_by_span() {
    let numeric = spec(KeyKind::Numeric, false, false);
    let stored = |scale: u8| OwnedValue::Bytes([1, 2, 0, scale].into());
    assert_eq!(key(numeric, &stored(1)), key(numeric, &stored(9)));
    let interval = spec(KeyKind::Interval, false, false);
    let stored = |micros: i64, days: i32, months: i32| {
        let mut bytes = micros.to_le_bytes().to_vec();
        bytes.extend(days.to_le_bytes());
        bytes.extend(months.to_le_bytes());
        OwnedValue::Bytes(bytes.into())
    };
    assert_eq!(key(interval, &stored(0, 30, 0)), key(interval, &stored(0, 0, 1)));
    assert_eq!(key(interval, &stored(86_400_000_000, 0, 0)), key(interval, &stored(0, 1, 0)));
    assert!(key(interval, &stored(-1, 0, 0)) < key(interval, &stored(0, 0, 0)));
    assert!(
        key(interval, &stored(i64::MAX, i32::MAX, i32::MAX))
            > key(interval, &stored(0, 0, i32::MAX))
    );
}

#[test]
fn a_guard_that_is_not_true_leaves_no_key() {
    let columns = [
        spec(KeyKind::Int, false, false),
        IndexColumnSpec { column: 1, ..spec(KeyKind::Guard, false, false) },
    ];
    let encode = |guard: Value<'static>| {
        let mut out = vec![7];
        let value = |column: usize| if column == 0 { Value::I32(5) } else { guard };
        let has_null = encode_key(&columns, value, &mut out).unwrap();
        (has_null, out)
    };
    let alone = key(columns[0], &OwnedValue::I32(5));
    assert_eq!(encode(Value::Bool(1)), (false, alone), "a guard adds no bytes");
    for guard in [Value::Bool(0), Value::Null] {
        let (_, out) = encode(guard);
        assert!(is_absent(&out));
    }
}
