//! One suite for both key-value stores, and what only the one in memory can show.

use omen_disk::{
    DiskErrorKind, FaultyDisk, FjallKv, Kv, KvBatch, KvIter, KvRange, MemoryDisk, MemoryKv,
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn pairs(iter: KvIter) -> Pairs {
    iter.map(|entry| entry.map(|(key, value)| (key.to_vec(), value.to_vec())).unwrap()).collect()
}

fn put(kv: &dyn Kv, entries: &[(&[u8], &[u8])]) {
    let mut batch = KvBatch::new();
    for (key, value) in entries {
        batch.put(*key, *value);
    }
    kv.apply(batch).unwrap();
}

/// A store that can be closed and opened again.
trait Home {
    fn open(&self) -> Box<dyn Kv>;
}

struct FjallHome(tempfile::TempDir);

impl Home for FjallHome {
    fn open(&self) -> Box<dyn Kv> {
        Box::new(FjallKv::open(Path::new(self.0.path())).unwrap())
    }
}

struct MemoryHome(MemoryDisk);

impl Home for MemoryHome {
    fn open(&self) -> Box<dyn Kv> {
        Box::new(MemoryKv::open(Arc::new(self.0.clone())).unwrap())
    }
}

fn reads_and_writes(home: &dyn Home) {
    let kv = home.open();
    put(&*kv, &[(b"b", b"1"), (b"a", b"2"), (b"b", b"3")]);
    assert_eq!(
        kv.get(b"b").unwrap().as_deref(),
        Some(&b"3"[..]),
        "the last operation on a key counts"
    );
    let mut batch = KvBatch::new();
    batch.put(&b"c"[..], &b"4"[..]);
    batch.delete(&b"c"[..]);
    batch.delete(&b"a"[..]);
    batch.delete(&b"never there"[..]);
    kv.apply(batch).unwrap();
    assert_eq!(pairs(kv.scan(KvRange::all())), [(b"b".to_vec(), b"3".to_vec())]);
    assert_eq!(kv.get(b"a").unwrap(), None);
    let mut oversized = KvBatch::new();
    oversized.put(vec![1; 65_536], &b""[..]);
    assert_eq!(kv.apply(oversized).unwrap_err().kind, DiskErrorKind::TooLarge);
    assert!(kv.approximate_bytes().is_ok());
}

fn ranges(home: &dyn Home) {
    let kv = home.open();
    let keys: [&[u8]; 7] = [b"a", b"a\0", b"a\xFF", b"a\xFF\xFF", b"b", b"\xFF", b"\xFF\xFF"];
    for key in keys {
        put(&*kv, &[(key, key)]);
    }
    let found = |range| pairs(kv.scan(range)).into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    assert_eq!(found(KvRange::all()), keys);
    assert_eq!(found(KvRange::prefix(b"a")), keys[..4]);
    assert_eq!(found(KvRange::prefix(b"a\xFF")), keys[2..4]);
    assert_eq!(found(KvRange::prefix(b"\xFF")), keys[5..]);
    assert_eq!(found(KvRange::between(b"a\0", b"b")), keys[1..4]);
    assert_eq!(found(KvRange::between(b"b", b"a")), keys[..0]);
    assert_eq!(found(KvRange::between(b"b", b"b")), keys[..0]);
    let open =
        KvRange { low: Bound::Excluded(keys[1].into()), high: Bound::Included(keys[4].into()) };
    assert_eq!(found(open), keys[2..5]);
}

fn snapshots_stand_still(home: &dyn Home) {
    let kv = home.open();
    for number in 0..1000u32 {
        put(&*kv, &[(&number.to_be_bytes(), b"old")]);
    }
    let snapshot = kv.snapshot().unwrap();
    let mut running = kv.scan(KvRange::all());
    let first = running.next().unwrap().unwrap();
    let mut batch = KvBatch::new();
    for number in 0..1000u32 {
        if number % 2 == 0 {
            batch.delete(&number.to_be_bytes()[..]);
        } else {
            batch.put(&number.to_be_bytes()[..], &b"new"[..]);
        }
    }
    kv.apply(batch).unwrap();
    put(&*kv, &[(&5000u32.to_be_bytes(), b"new")]);
    assert_eq!(&*first.1, b"old");
    let rest = pairs(running);
    assert_eq!(rest.len(), 999);
    assert!(rest.iter().all(|(_, value)| value == b"old"), "a scan stands still too");
    assert_eq!(snapshot.get(&0u32.to_be_bytes()).unwrap().as_deref(), Some(&b"old"[..]));
    assert_eq!(snapshot.get(&5000u32.to_be_bytes()).unwrap(), None);
    assert_eq!(pairs(snapshot.scan(KvRange::all())).len(), 1000);
    drop(snapshot);
    let now = pairs(kv.scan(KvRange::all()));
    assert_eq!(now.len(), 501);
    assert!(now.iter().all(|(_, value)| value == b"new"));
}

fn loads_sorted_runs(home: &dyn Home) {
    let kv = home.open();
    put(&*kv, &[(b"k00500", b"before"), (b"z", b"before")]);
    let run = |count: u32| {
        (0..count).map(|number| Ok((format!("k{number:05}").into_bytes(), b"loaded".to_vec())))
    };
    kv.ingest(&mut run(2000)).unwrap();
    assert_eq!(pairs(kv.scan(KvRange::prefix(b"k"))).len(), 2000);
    assert_eq!(
        kv.get(b"k00500").unwrap().as_deref(),
        Some(&b"loaded"[..]),
        "newer than what was there"
    );
    put(&*kv, &[(b"k00001", b"after")]);
    assert_eq!(kv.get(b"k00001").unwrap().as_deref(), Some(&b"after"[..]));
    let mut unsorted = [b"x2", b"x1"].into_iter().map(|key| Ok((key.to_vec(), Vec::new())));
    assert!(kv.ingest(&mut unsorted).is_err());
    assert_eq!(kv.get(b"x2").unwrap(), None, "nothing of a refused run");
    assert_eq!(kv.get(b"z").unwrap().as_deref(), Some(&b"before"[..]));
}

fn persisted_contents_return(home: &dyn Home) {
    let kv = home.open();
    put(&*kv, &[(b"a", b"1"), (b"b", b""), (b"gone", b"x")]);
    let mut batch = KvBatch::new();
    batch.delete(&b"gone"[..]);
    kv.apply(batch).unwrap();
    kv.persist().unwrap();
    drop(kv);
    let kv = home.open();
    let kept = [(b"a".to_vec(), b"1".to_vec()), (b"b".to_vec(), Vec::new())];
    assert_eq!(pairs(kv.scan(KvRange::all())), kept);
    put(&*kv, &[(b"c", b"3")]);
    kv.close().unwrap();
    // The closed handle is still there: it must not hold the folder.
    assert_eq!(pairs(home.open().scan(KvRange::all())).len(), 3);
    drop(kv);
}

#[derive(Debug, Clone)]
enum Step {
    Apply(Vec<(u8, Option<u8>)>),
    Snapshot,
    DropSnapshot,
    Scan(u8, u8),
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => prop::collection::vec((0u8..40, any::<Option<u8>>()), 0..12).prop_map(Step::Apply),
        2 => Just(Step::Snapshot),
        1 => Just(Step::DropSnapshot),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(low, high)| Step::Scan(low % 40, high % 40)),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..40)
}

/// Random steps against a BTreeMap; every open snapshot is compared with the copy taken beside it.
fn behaves_like_a_map(home: &dyn Home, steps: &[Step]) {
    let mut kv = home.open();
    let mut model: BTreeMap<Vec<u8>, Vec<u8>> =
        pairs(kv.scan(KvRange::all())).into_iter().collect();
    let mut snapshots = Vec::new();
    for step in steps {
        match step {
            Step::Apply(operations) => {
                let mut batch = KvBatch::new();
                for (key, value) in operations {
                    if let Some(value) = value {
                        batch.put(&[*key, 1][..], &[*value][..]);
                        model.insert(vec![*key, 1], vec![*value]);
                    } else {
                        batch.delete(&[*key, 1][..]);
                        model.remove(&vec![*key, 1]);
                    }
                }
                kv.apply(batch).unwrap();
            }
            Step::Snapshot => snapshots.push((kv.snapshot().unwrap(), model.clone())),
            Step::DropSnapshot => drop(snapshots.pop()),
            Step::Scan(low, high) => {
                let found = pairs(kv.scan(KvRange::between(&[*low], &[*high])));
                let range = vec![*low]..vec![*high];
                let expected = model.iter().filter(|(key, _)| range.contains(*key));
                assert!(found.iter().map(|(key, value)| (key, value)).eq(expected));
            }
            Step::Reopen => {
                snapshots.clear();
                kv.persist().unwrap();
                drop(kv);
                kv = home.open();
            }
        }
        for (snapshot, copy) in &snapshots {
            assert!(pairs(snapshot.scan(KvRange::all())).into_iter().eq(copy.clone()));
        }
        assert!(pairs(kv.scan(KvRange::all())).into_iter().eq(model.clone()));
    }
}

macro_rules! suite {
    ($name:ident, $home:expr, $cases:expr) => {
        mod $name {
            use super::*;

            #[test]
            fn reads_and_writes() {
                super::reads_and_writes(&$home);
            }
            #[test]
            fn ranges() {
                super::ranges(&$home);
            }
            #[test]
            fn snapshots_stand_still() {
                super::snapshots_stand_still(&$home);
            }
            #[test]
            fn loads_sorted_runs() {
                super::loads_sorted_runs(&$home);
            }
            #[test]
            fn persisted_contents_return() {
                super::persisted_contents_return(&$home);
            }
            proptest! {
                #![proptest_config(ProptestConfig { cases: $cases, ..ProptestConfig::default() })]
                #[test]
                fn behaves_like_a_map(steps in steps()) {
                    super::behaves_like_a_map(&$home, &steps);
                }
            }
        }
    };
}

suite!(memory, MemoryHome(MemoryDisk::new()), 200);
suite!(fjall, FjallHome(tempfile::tempdir().unwrap()), 12);

#[test]
fn memory_frees_what_nobody_sees() {
    let kv = MemoryKv::volatile();
    put(&kv, &[(b"a", b"1234")]);
    let size = kv.approximate_bytes().unwrap();
    for _ in 0..100 {
        put(&kv, &[(b"a", b"5678")]);
    }
    assert_eq!(kv.approximate_bytes().unwrap(), size, "old values go at once");
    let snapshot = kv.snapshot().unwrap();
    let mut batch = KvBatch::new();
    batch.delete(&b"a"[..]);
    kv.apply(batch).unwrap();
    assert!(kv.approximate_bytes().unwrap() > 0);
    drop(snapshot);
    assert_eq!(
        kv.approximate_bytes().unwrap(),
        0,
        "deletions go with the last snapshot that saw the value"
    );
}

#[test]
fn a_damaged_image_is_refused() {
    let disk = MemoryDisk::new();
    let kv = MemoryKv::open(Arc::new(disk.clone())).unwrap();
    put(&kv, &[(b"key", b"value"), (b"other", b"")]);
    kv.persist().unwrap();
    let file = omen_disk::Disk::open(&disk, "kv/image").unwrap();
    let mut image = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut image).unwrap();
    for at in 0..image.len() {
        file.write_at(at as u64, &[image[at] ^ 4]).unwrap();
        let refused = MemoryKv::open(Arc::new(disk.clone())).err().unwrap();
        assert_eq!(refused.sqlstate(), "XX001", "flipped at {at}");
        file.write_at(at as u64, &image[at..=at]).unwrap();
    }
}

/// Every crash leaves the last image or the one being written, whole.
#[test]
fn images_survive_crashes() {
    let disk = FaultyDisk::new();
    let kv = MemoryKv::open(Arc::new(disk.clone())).unwrap();
    let mut persisted = Vec::new();
    for round in 0..6u8 {
        put(&kv, &[(&[round], &[round; 700])]);
        kv.persist().unwrap();
        persisted.push(disk.operations());
    }
    for state in disk.crash_states(5).map(Result::unwrap) {
        let found = pairs(MemoryKv::open(Arc::new(state.disk)).unwrap().scan(KvRange::all()));
        let promised = persisted.iter().filter(|&&at| at <= state.operation).count();
        assert!(found.len() == promised || found.len() == promised + 1);
        assert!(found.iter().all(|(key, value)| value == &vec![key[0]; 700]));
    }
}
