//! The log against a model, under damage of every byte, and in every state a crash can leave.

use omen_disk::log::{BulkReader, BulkWriter};
use omen_disk::{
    Disk, DiskErrorKind, Fault, FaultyDisk, LogEnd, LogOptions, LogReader, LogRecord, LogWriter,
    MemoryDisk, Result,
};
use proptest::prelude::*;
use std::sync::Arc;

const SALT: u64 = 0x5EED;
const SMALL: LogOptions = LogOptions { segment_bytes: 8192, salt: SALT };

/// A group as a test sees it: (commit, kind, payload).
type Group = Vec<(u64, u8, Vec<u8>)>;

fn records(group: &Group) -> Vec<LogRecord<'_>> {
    group
        .iter()
        .map(|(commit, kind, payload)| LogRecord { commit: *commit, kind: *kind, payload })
        .collect()
}

/// Groups of `commits` commits, one or two records each, payload length by `size`.
fn groups(count: u64, size: impl Fn(u64) -> usize) -> Vec<Group> {
    let record = |commit: u64, kind: u8| (commit, kind, vec![commit as u8 ^ kind; size(commit)]);
    (1..=count)
        .map(|commit| {
            if commit % 3 == 0 {
                vec![record(commit, 1), record(commit, 2)]
            } else {
                vec![record(commit, 3)]
            }
        })
        .collect()
}

fn replay(disk: &dyn Disk, checkpoint: u64) -> Result<(LogEnd, Group)> {
    let mut found = Vec::new();
    let end = LogReader::new(disk, SALT).replay(checkpoint, |record| {
        found.push((record.commit, record.kind, record.payload.to_vec()));
        Ok(())
    })?;
    Ok((end, found))
}

fn start(disk: &(impl Disk + Clone + 'static), options: LogOptions) -> (LogWriter, Group) {
    let (end, found) = replay(disk, 0).unwrap();
    (LogWriter::start(Arc::new(disk.clone()), options, &end).unwrap(), found)
}

fn contents(disk: &dyn Disk, path: &str) -> Vec<u8> {
    let file = disk.open(path).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

#[test]
fn groups_come_back_over_segments_and_openings() {
    let disk = MemoryDisk::new();
    let all = groups(100, |commit| commit as usize * 7 % 500);
    for half in all.chunks(50) {
        let (mut log, _) = start(&disk, SMALL);
        for group in half {
            log.append_group(&records(group)).unwrap();
        }
        assert_eq!(log.last_commit(), half.last().unwrap()[0].0);
    }
    assert!(disk.list("wal").unwrap().len() > 4, "several segments");
    let (end, found) = replay(&disk, 0).unwrap();
    assert_eq!(found, all.concat());
    assert_eq!(end.last_commit, 100);
    let (_, later) = replay(&disk, 60).unwrap();
    assert_eq!(later, all[60..].concat(), "from a checkpoint on");
}

#[test]
fn recycled_segments_hold_no_ghosts() {
    let disk = MemoryDisk::new();
    let all = groups(400, |commit| commit as usize * 13 % 900);
    let (mut log, _) = start(&disk, SMALL);
    for group in &all {
        log.append_group(&records(group)).unwrap();
        let commit = group[0].0;
        if commit % 50 == 0 {
            log.recycle(commit - 10).unwrap();
            assert!(log.replay_bytes() < 6 * SMALL.segment_bytes);
            let (_, found) = replay(&disk, commit - 10).unwrap();
            assert_eq!(found, all[(commit - 10) as usize..commit as usize].concat());
        }
    }
    assert!(disk.list("wal").unwrap().iter().any(|name| name.starts_with("spare-")));
    let refused = replay(&disk, 100).unwrap_err();
    assert_eq!(refused.kind, DiskErrorKind::Corrupt, "the log no longer reaches back that far");
}

#[test]
fn too_large_groups_are_refused_and_harmless() {
    let disk = MemoryDisk::new();
    let (mut log, _) = start(&disk, SMALL);
    let payload = vec![7; log.group_limit()];
    let record = LogRecord { commit: 1, kind: 1, payload: &payload };
    assert_eq!(log.append_group(&[record]).unwrap_err().sqlstate(), "54000");
    let overhead = LogWriter::group_size(&[record]) - payload.len();
    let fitting = LogRecord { payload: &payload[overhead..], ..record };
    assert_eq!(LogWriter::group_size(&[fitting]), log.group_limit());
    log.append_group(&[fitting]).unwrap();
    assert_eq!(replay(&disk, 0).unwrap().1[0].2, fitting.payload);
}

/// Every byte of a small log flipped: the acknowledged groups come back, or it is an error. Never less, never else.
#[test]
fn every_flipped_byte_is_noticed() {
    let disk = MemoryDisk::new();
    let all = groups(40, |commit| commit as usize * 31 % 700);
    let (mut log, _) = start(&disk, SMALL);
    for group in &all {
        log.append_group(&records(group)).unwrap();
    }
    log.mark_acknowledged();
    let names: Vec<String> =
        disk.list("wal").unwrap().into_iter().map(|name| format!("wal/{name}")).collect();
    let all = all.concat();
    let (mut errors, mut harmless) = (0, 0);
    for name in &names {
        let whole = contents(&disk, name);
        let file = disk.open(name).unwrap();
        // Bytes nobody wrote are looked at more thinly: there are many and they are alike.
        for at in (0..whole.len()).filter(|&at| whole[at] != 0 || at % 61 == 0) {
            file.write_at(at as u64, &[whole[at] ^ (1 << (at % 8))]).unwrap();
            match replay(&disk, 0) {
                Ok((_, found)) => {
                    assert_eq!(found, all, "\"{name}\" flipped at {at}");
                    harmless += 1;
                }
                Err(error) => {
                    assert_eq!(error.sqlstate(), "XX001");
                    errors += 1;
                }
            }
            file.write_at(at as u64, &whole[at..=at]).unwrap();
        }
    }
    assert!(errors > 5000 && harmless > 50, "{errors} errors, {harmless} harmless");
}

/// Without the acknowledged mark only a clean close tells damage to the last group from a torn tail.
#[test]
fn the_last_group_is_guarded_by_mark_or_close() {
    for (close, remove_mark, noticed) in
        [(false, true, false), (false, false, true), (true, true, true)]
    {
        let disk = MemoryDisk::new();
        let (mut log, _) = start(&disk, SMALL);
        for group in &groups(3, |_| 100) {
            log.append_group(&records(group)).unwrap();
        }
        log.mark_acknowledged();
        if close {
            log.close().unwrap();
        }
        if remove_mark {
            disk.remove("wal/acknowledged").unwrap();
        }
        let whole = contents(&disk, "wal/00000001.log");
        let at = whole.windows(100).rposition(|window| window == [3 ^ 2; 100]).unwrap();
        disk.open("wal/00000001.log").unwrap().write_at(at as u64, &[0]).unwrap();
        match replay(&disk, 0) {
            Ok((end, _)) => assert_eq!((end.last_commit, noticed), (2, false)),
            Err(error) => assert_eq!((error.kind, noticed), (DiskErrorKind::Corrupt, true)),
        }
    }
}

#[test]
fn a_missing_or_foreign_segment_is_damage() {
    let disk = MemoryDisk::new();
    let (mut log, _) = start(&disk, SMALL);
    for group in &groups(60, |_| 300) {
        log.append_group(&records(group)).unwrap();
    }
    let foreign = LogReader::new(&disk, SALT + 1).replay(0, |_| Ok(())).unwrap_err();
    assert!(foreign.to_string().contains("another database"), "{foreign}");
    disk.remove("wal/00000002.log").unwrap();
    let missing = replay(&disk, 0).unwrap_err();
    assert_eq!(missing.to_string(), "log segment \"wal/00000002.log\" is missing");
}

#[test]
fn a_failed_write_or_sync_stops_the_log() {
    for fault in
        [|operation| Fault::IoAt { operation }, |operation| Fault::ShortWriteAt { operation }]
    {
        for later in 0..2 {
            let disk = FaultyDisk::new();
            let (mut log, _) = start(&disk, SMALL);
            let all = groups(3, |_| 50);
            log.append_group(&records(&all[0])).unwrap();
            disk.inject(fault(disk.operations() + later));
            if log.append_group(&records(&all[1])).is_ok() {
                assert_eq!(
                    (fault(0), later),
                    (Fault::ShortWriteAt { operation: 0 }, 1),
                    "a sync cannot be short"
                );
                continue;
            }
            disk.heal();
            assert_eq!(
                log.append_group(&records(&all[2])).unwrap_err().kind,
                DiskErrorKind::Poisoned
            );
        }
    }
}

#[test]
fn a_full_disk_is_reported_and_survived() {
    let disk = FaultyDisk::new();
    let (mut log, _) = start(&disk, SMALL);
    disk.inject(Fault::NoSpaceAfter { bytes: 100 });
    let all = groups(60, |_| 300);
    let mut appended = 0;
    let error = loop {
        match log.append_group(&records(&all[appended])) {
            Ok(()) => appended += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.sqlstate(), "53100");
    assert!(appended > 5, "the present segment was reserved in full");
    disk.heal();
    for group in &all[appended..] {
        log.append_group(&records(group)).unwrap();
    }
    assert_eq!(replay(&disk, 0).unwrap().1, all.concat());
}

/// Appends `all` to a log on `disk`, checkpointing (recycling) now and then; returns for each commit the number of
/// operations after which it was acknowledged.
fn record_run(disk: &FaultyDisk, all: &[Group]) -> Vec<(usize, u64)> {
    let (mut log, _) = start(disk, SMALL);
    let mut acknowledged = Vec::new();
    for group in all {
        log.append_group(&records(group)).unwrap();
        acknowledged.push((disk.operations(), group[0].0));
    }
    acknowledged
}

/// What an acknowledged commit demands of a crash after `operation` operations.
fn promised(acknowledged: &[(usize, u64)], operation: usize) -> u64 {
    acknowledged.iter().rfind(|(at, _)| *at <= operation).map_or(0, |(_, commit)| *commit)
}

/// Replays a crash state; `Err` says how it breaks the promise.
fn check_state(disk: &MemoryDisk, all: &[Group], promised: u64) -> Result<LogEnd, String> {
    let (end, found) = replay(disk, 0).map_err(|error| error.to_string())?;
    let last = end.last_commit;
    if last < promised {
        return Err(format!("commit {promised} was acknowledged, the log ends at {last}"));
    }
    if found != all[..last as usize].concat() {
        return Err(format!("not the first {last} groups"));
    }
    Ok(end)
}

#[test]
fn every_crash_state_holds_what_was_acknowledged() {
    let disk = FaultyDisk::new();
    let all = groups(60, |commit| commit as usize * 37 % 1500);
    let acknowledged = record_run(&disk, &all);
    let (mut states, mut unacknowledged) = (0, 0);
    for state in disk.crash_states(7).map(Result::unwrap) {
        let promised = promised(&acknowledged, state.operation);
        let end = check_state(&state.disk, &all, promised).unwrap_or_else(|error| {
            panic!("after {} operations, {:?}: {error}", state.operation, state.kind)
        });
        states += 1;
        unacknowledged += u32::from(end.last_commit > promised);
    }
    assert!(states > 300, "{states} states");
    assert!(unacknowledged > 0, "some groups survive unacknowledged, as they may");
}

/// Recovery itself may crash: whatever the second crash leaves holds what the first left, and new commits.
#[test]
fn every_crash_during_recovery_holds_it_too() {
    let disk = FaultyDisk::new();
    let all = groups(16, |commit| commit as usize * 97 % 1500);
    let acknowledged = record_run(&disk, &all[..12]);
    for (index, state) in disk.crash_states(11).map(Result::unwrap).enumerate() {
        if index % 7 != 0 {
            continue;
        }
        let again = FaultyDisk::over(&state.disk).unwrap();
        let (mut log, found) = start(&again, SMALL);
        let recovered = again.operations();
        let survived = found.last().map_or(0, |record| record.0);
        assert!(survived >= promised(&acknowledged, state.operation));
        let next = &all[survived as usize];
        log.append_group(&records(next)).unwrap();
        let appended = again.operations();
        for second in again.crash_states(index as u64).map(Result::unwrap) {
            let promised = match second.operation {
                at if at >= appended => survived + 1,
                at if at >= recovered => survived,
                _ => promised(&acknowledged, state.operation),
            };
            check_state(&second.disk, &all, promised).unwrap();
        }
    }
}

/// Negative control: over a disk whose syncs lie, the enumeration must find broken promises.
#[test]
fn a_lying_sync_is_caught() {
    let disk = FaultyDisk::new();
    disk.inject(Fault::SyncLies);
    let all = groups(12, |commit| commit as usize * 37 % 1500);
    let acknowledged = record_run(&disk, &all);
    let broken = disk.crash_states(7).map(Result::unwrap).filter(|state| {
        check_state(&state.disk, &all, promised(&acknowledged, state.operation)).is_err()
    });
    assert!(broken.count() > 20);
}

/// Recycling under crashes: what lies above the checkpoint is always there.
#[test]
fn crashes_around_recycling_lose_nothing_above_the_checkpoint() {
    let disk = FaultyDisk::new();
    let all = groups(90, |commit| commit as usize * 61 % 1400);
    let (mut log, _) = start(&disk, SMALL);
    let (mut acknowledged, mut checkpoints) = (Vec::new(), Vec::new());
    for group in &all {
        log.append_group(&records(group)).unwrap();
        let commit = group[0].0;
        acknowledged.push((disk.operations(), commit));
        if commit % 25 == 0 {
            checkpoints.push((disk.operations(), commit - 5));
            log.recycle(commit - 5).unwrap();
        }
    }
    for state in disk.crash_states(3).map(Result::unwrap) {
        let checkpoint = promised(&checkpoints, state.operation);
        let (end, found) = replay(&state.disk, checkpoint).unwrap();
        assert!(end.last_commit >= promised(&acknowledged, state.operation));
        assert_eq!(found, all[checkpoint as usize..end.last_commit as usize].concat());
    }
}

#[test]
fn side_files_come_back_or_fail() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let payload: Vec<u8> = (0..200_000u32).map(|number| (number * 7 / 3) as u8).collect();
    let mut writer = BulkWriter::create(Arc::clone(&disk), SALT, 5).unwrap();
    payload.chunks(999).for_each(|piece| writer.append(piece).unwrap());
    let len = writer.finish().unwrap();
    assert_eq!(len, 200_000);
    let read = |number, len| -> Result<Vec<u8>> {
        let mut reader = BulkReader::open(&*disk, SALT, number, len)?;
        let mut found = Vec::new();
        while let Some(block) = reader.next_block()? {
            found.extend_from_slice(block);
        }
        Ok(found)
    };
    assert_eq!(read(5, len).unwrap(), payload);
    assert_eq!(read(6, len).unwrap_err().kind, DiskErrorKind::Corrupt);
    assert_eq!(read(5, len + 1).unwrap_err().kind, DiskErrorKind::Corrupt);
    let file = disk.open("bulk/00000005.rows").unwrap();
    let whole = contents(&*disk, "bulk/00000005.rows");
    for at in (0..whole.len()).step_by(97) {
        file.write_at(at as u64, &[whole[at] ^ 0x10]).unwrap();
        assert_eq!(read(5, len).unwrap_err().sqlstate(), "XX001", "flipped at {at}");
        file.write_at(at as u64, &whole[at..=at]).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Any groups, any cuts into runs, any checkpoint: replay gives back exactly what lies above the checkpoint.
    #[test]
    fn replay_is_what_was_appended(
        shapes in prop::collection::vec((prop::collection::vec((0u64..3, 1u8.., 0usize..600), 0..4), any::<bool>()), 1..40),
        checkpoint in 0u64..60,
    ) {
        let disk = MemoryDisk::new();
        let (mut log, _) = start(&disk, SMALL);
        let mut expected: Group = Vec::new();
        let mut commit = 0;
        for (shape, reopen) in shapes {
            let group: Group = shape.into_iter().map(|(step, kind, len)| {
                commit += step;
                (commit, kind, vec![kind; len])
            }).collect();
            log.append_group(&records(&group)).unwrap();
            expected.extend(group);
            if reopen {
                let (reopened, found) = start(&disk, SMALL);
                log = reopened;
                prop_assert_eq!(found.iter().filter(|record| record.0 > 0).count(),
                    expected.iter().filter(|record| record.0 > 0).count());
            }
        }
        let (_, found) = replay(&disk, checkpoint).unwrap();
        let above: Group = expected.into_iter().filter(|record| record.0 > checkpoint).collect();
        prop_assert_eq!(found, above);
    }

    /// Arbitrary bytes as a segment never panic and never pass.
    #[test]
    fn rubbish_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..9000)) {
        let disk = MemoryDisk::new();
        disk.put("wal/00000001.log", &bytes).unwrap();
        prop_assert_eq!(replay(&disk, 0).unwrap_err().kind, DiskErrorKind::Corrupt);
    }
}

/// Commits without a record are numbered too, and a checkpoint may be of one: the next segment counts on from there.
#[test]
fn a_checkpoint_may_be_above_the_last_record() {
    let disk = MemoryDisk::new();
    let (mut log, _) = start(&disk, SMALL);
    log.append_group(&records(&vec![(1, 1, vec![1])])).unwrap();
    drop(log);
    let (end, _) = replay(&disk, 2).unwrap();
    let mut log = LogWriter::start(Arc::new(disk.clone()), SMALL, &end).unwrap();
    log.append_group(&records(&vec![(3, 1, vec![3])])).unwrap();
    drop(log);
    let (end, found) = replay(&disk, 2).unwrap();
    assert_eq!((end.last_commit, found), (3, vec![(3, 1, vec![3])]));
}
