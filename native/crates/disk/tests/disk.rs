//! The same behaviour from every implementation of the file trait, and what each adds.

use omen_disk::{
    CrashKind, Disk, DiskErrorKind, Fault, FaultyDisk, MemoryDisk, OsDisk, create_dir_durably,
};

fn every_disk(test: impl Fn(&dyn Disk)) {
    let folder = tempfile::tempdir().unwrap();
    test(&OsDisk::open(folder.path()).unwrap());
    test(&MemoryDisk::new());
    test(&FaultyDisk::new());
}

fn contents(disk: &dyn Disk, path: &str) -> Vec<u8> {
    let file = disk.open(path).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

#[test]
fn files_keep_what_is_written() {
    every_disk(|disk| {
        create_dir_durably(disk, "a/b").unwrap();
        let file = disk.create("a/b/f").unwrap();
        file.write_at(3, b"xyz").unwrap();
        assert_eq!(file.append(b"!").unwrap(), 6);
        assert_eq!(contents(disk, "a/b/f"), b"\0\0\0xyz!");
        file.set_len(4).unwrap();
        file.set_len(6).unwrap();
        assert_eq!(contents(disk, "a/b/f"), b"\0\0\0x\0\0", "growing again reads zeros");
        assert_eq!(file.read_at(5, &mut [0; 2]).unwrap_err().kind, DiskErrorKind::Io);
        file.allocate(5000).unwrap();
        assert_eq!(file.len().unwrap(), 5000);
        file.allocate(10).unwrap();
        assert_eq!(file.len().unwrap(), 5000, "allocate never shortens");
        file.sync_data().unwrap();
    });
}

#[test]
fn names_come_and_go() {
    every_disk(|disk| {
        disk.create_dir("d").unwrap();
        disk.create("d/one").unwrap().append(b"1").unwrap();
        disk.create("d/two").unwrap().append(b"2").unwrap();
        assert_eq!(disk.create("d/one").err().unwrap().kind, DiskErrorKind::AlreadyExists);
        disk.rename("d/one", "d/two").unwrap();
        assert_eq!(disk.list("d").unwrap(), ["two"]);
        assert_eq!(contents(disk, "d/two"), b"1", "a rename replaces");
        assert!(disk.remove_dir("d").is_err(), "only empty folders go");
        disk.remove("d/two").unwrap();
        assert_eq!(disk.open("d/two").err().unwrap().kind, DiskErrorKind::NotFound);
        assert_eq!(disk.create("missing/f").err().unwrap().sqlstate(), "58P01");
        disk.remove_dir("d").unwrap();
        assert!(!disk.exists("d").unwrap());
        assert_eq!(disk.list("d").unwrap_err().kind, DiskErrorKind::NotFound);
    });
}

#[test]
fn a_mapping_shows_later_writes() {
    every_disk(|disk| {
        let file = disk.create("f").unwrap();
        file.allocate(8192).unwrap();
        let mapping = file.map_read_only().unwrap();
        assert_eq!(mapping.len(), 8192);
        assert_eq!(mapping.as_ptr() as usize % 4096, 0);
        file.write_at(5000, b"late").unwrap();
        // SAFETY: nobody writes the range while the slice lives.
        assert_eq!(unsafe { mapping.slice(5000, 4) }, b"late");
        disk.remove("f").unwrap();
        drop(file);
        // SAFETY: as above.
        assert_eq!(unsafe { mapping.slice(5000, 4) }, b"late", "it outlives name and handle");
    });
}

#[test]
fn what_is_written_to_a_private_mapping_stays_there() {
    every_disk(|disk| {
        let file = disk.create("f").unwrap();
        file.write_at(0, &[7; 5000]).unwrap();
        let (one, other) = (file.map_private().unwrap(), file.map_private().unwrap());
        assert_eq!((one.len(), one.start() as usize % 4096), (5000, 0));
        // SAFETY: 5000 bytes that are the mapping's alone.
        unsafe { one.start().add(4500).write(9) };
        assert_eq!(contents(disk, "f"), [7; 5000]);
        disk.remove("f").unwrap();
        drop(file);
        // SAFETY: as above.
        let bytes = unsafe { (one.start().add(4500).read(), other.start().add(4500).read()) };
        assert_eq!(bytes, (9, 7));
    });
}

#[test]
fn a_folder_is_held_once() {
    every_disk(|disk| {
        let held = disk.lock().unwrap();
        let refused = disk.lock().err().unwrap();
        assert_eq!((refused.kind, refused.sqlstate()), (DiskErrorKind::Locked, "55006"));
        if disk.os_path().is_some() {
            assert!(refused.to_string().ends_with(&format!("process {}", std::process::id())));
        }
        drop(held);
        disk.lock().unwrap();
    });
}

#[test]
fn a_failed_sync_poisons_the_file() {
    let disk = FaultyDisk::new();
    let file = disk.create("f").unwrap();
    file.write_at(0, b"x").unwrap();
    disk.inject(Fault::IoAt { operation: disk.operations() });
    assert_eq!(file.sync_data().unwrap_err().kind, DiskErrorKind::Io);
    disk.heal();
    assert_eq!(file.sync_data().unwrap_err().kind, DiskErrorKind::Poisoned);
}

#[test]
fn injected_faults_strike_where_asked() {
    let disk = FaultyDisk::new();
    let file = disk.create("f").unwrap();
    disk.inject(Fault::NoSpaceAfter { bytes: 6 });
    file.write_at(0, b"1234").unwrap();
    assert_eq!(file.write_at(4, b"567").unwrap_err().sqlstate(), "53100");
    file.write_at(0, b"abcd").unwrap();
    file.write_at(4, b"56").unwrap();
    disk.heal();
    disk.inject(Fault::ShortWriteAt { operation: disk.operations() });
    assert!(file.write_at(0, b"WXYZ").is_err());
    assert_eq!(contents(&disk, "f"), b"WXcd56");
}

#[test]
fn crashes_lose_exactly_what_was_not_synced() {
    let disk = FaultyDisk::new();
    create_dir_durably(&disk, "d").unwrap();
    let file = disk.create("d/f").unwrap();
    file.write_at(0, &[1; 1024]).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir("d").unwrap();
    let durable = disk.operations();
    file.write_at(0, &[2; 1024]).unwrap();
    let (mut lost, mut kept, mut torn) = (0, 0, 0);
    for seed in 0..20 {
        for state in disk.crash_states(seed).map(Result::unwrap) {
            if state.operation < durable {
                continue;
            }
            let bytes = contents(&state.disk, "d/f");
            assert_eq!(bytes.len(), 1024);
            match (bytes[0], bytes[1023]) {
                (1, 1) => lost += 1,
                (2, 2) => kept += 1,
                _ => {
                    assert_eq!(state.kind, CrashKind::Torn { sector: 512 });
                    torn += 1;
                }
            }
        }
    }
    assert!(lost > 0 && kept > 0 && torn > 0, "all fates occur: {lost} {kept} {torn}");
}

#[test]
fn crashes_lose_unsynced_names() {
    let disk = FaultyDisk::new();
    let file = disk.create("f").unwrap();
    file.write_at(0, b"x").unwrap();
    file.sync_data().unwrap();
    let before = disk.operations();
    disk.sync_dir("").unwrap();
    let states: Vec<_> = disk.crash_states(1).map(Result::unwrap).collect();
    let present = |at| states.iter().filter(move |state| state.operation == at);
    assert!(present(before).any(|state| !state.disk.exists("f").unwrap()));
    assert!(present(before).any(|state| state.disk.exists("f").unwrap()));
    assert!(present(before + 1).all(|state| contents(&state.disk, "f") == b"x"));
}
