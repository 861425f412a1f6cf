//! Every byte of the files of the key-value store on disk, changed one at a time: the answer is an error or the right rows.
//!
//! fjall meets some damage with a panic, and some of those panics end the process: so the flips are made in a child, which
//! reports each outcome, and its successor goes on behind the one that ended it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::common::*;
use super::damage::{Outcome, fill, outcome};
use omen_disk::{Disk, FjallKv, MemoryDisk, OsDisk};
use omen_store::Storage;

/// Folder of the database, where the child begins, every how many bytes.
const CHILD: &str = "OMEN_FLIP_TEST";
const SIGABRT: i32 = 6;

/// Path, contents up to the last byte that is not zero, and length: fjall reserves room for its journal.
type File = (String, Vec<u8>, u64);

fn open_folder(folder: &Path) -> omen_store::Result<Db> {
    let disk = Arc::new(OsDisk::open(folder)?);
    let kv = Arc::new(FjallKv::open(&folder.join("kv"))?);
    Db::try_open_with(Storage::Durable { disk, kv }, 2000)
}

fn read_folder(folder: &Path, prefix: &str, files: &mut Vec<File>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            read_folder(&entry.path(), &format!("{path}/"), files);
            continue;
        }
        let mut bytes = fs::read(entry.path()).unwrap();
        let length = bytes.len() as u64;
        bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
        files.push((path, bytes, length));
    }
}

fn write_folder(folder: &Path, files: &[File]) {
    for (path, bytes, length) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        OpenOptions::new().write(true).open(&path).unwrap().set_len(*length).unwrap();
    }
}

/// The files of the database in `origin`, and the bytes to change: (file, offset).
fn targets(origin: &Path, step: usize) -> (Vec<File>, Vec<(usize, usize)>) {
    let mut files = Vec::new();
    read_folder(origin, "", &mut files);
    files.sort();
    let of = |(number, (path, bytes, _)): (usize, &File)| {
        let first = if path.starts_with("kv/") { number % step } else { bytes.len() };
        (first..bytes.len()).step_by(step).map(move |at| (number, at)).collect::<Vec<_>>()
    };
    let targets = files.iter().enumerate().flat_map(of).collect();
    (files, targets)
}

/// The child: changes one byte after the other and reports what came of it.
fn flip_from(origin: &Path, from: usize, step: usize) {
    let memory: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let expected = fill(super::recovery::try_open_with(memory, 2000).unwrap(), true);
    let (mut files, targets) = targets(origin, step);
    let folder = origin.with_extension("copy");
    for (i, (number, at)) in targets.into_iter().enumerate().skip(from) {
        let _ = fs::remove_dir_all(&folder);
        files[number].1[at] ^= 1 << (at % 8);
        write_folder(&folder, &files);
        files[number].1[at] ^= 1 << (at % 8);
        println!("flip {i} {:?}", outcome(open_folder(&folder), &expected));
    }
    println!("all flipped");
}

/// Runs children until every byte has had its turn; outcomes by kind of file.
fn flip(test: &str, step: usize) {
    if let Ok(task) = std::env::var(CHILD) {
        let [origin, from, step] = task.split('\n').collect::<Vec<_>>().try_into().unwrap();
        return flip_from(Path::new(origin), from.parse().unwrap(), step.parse().unwrap());
    }
    let root: PathBuf =
        std::env::temp_dir().join(format!("omen-flip-{}-{step}", std::process::id()));
    for is_clean in [false, true] {
        let origin = root.join(format!("origin-{is_clean}"));
        fill(open_folder(&origin).unwrap(), is_clean);
        let (files, targets) = targets(&origin, step);
        let mut table: BTreeMap<(String, String), usize> = BTreeMap::new();
        let next = Cell::new(0);
        while next.get() < targets.len() {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "--include-ignored", "--nocapture", test])
                .env(CHILD, format!("{}\n{}\n{step}", origin.display(), next.get()))
                .stdout(Stdio::piped())
                .env("RUST_BACKTRACE", "0")
                .stderr(fs::File::create(root.join("stderr")).unwrap())
                .spawn()
                .unwrap();
            let mut note = |i: usize, outcome: &str| {
                let (path, _, _) = &files[targets[i].0];
                let digit = |c: char| c.is_ascii_digit();
                let kind = path.trim_start_matches("kv/").trim_matches(digit).to_owned();
                *table.entry((kind, outcome.to_owned())).or_default() += 1;
                next.set(i + 1);
            };
            for line in BufReader::new(child.stdout.take().unwrap()).lines() {
                let line = line.unwrap();
                if let Some((i, outcome)) =
                    line.strip_prefix("flip ").and_then(|line| line.split_once(' '))
                {
                    note(i.parse().unwrap(), outcome);
                }
            }
            let status = child.wait().unwrap();
            let said = fs::read_to_string(root.join("stderr")).unwrap();
            // Its destructors panic as well.
            let of_fjall = said.rfind("panicked at ").is_some_and(|at| {
                let place = said[at..].lines().next().unwrap_or_default();
                place.contains("/fjall-") || place.contains("/lsm-tree-")
            });
            if status.signal() == Some(SIGABRT) || (!status.success() && of_fjall) {
                note(next.get(), "the process ends");
            } else {
                let (number, at) = targets.get(next.get()).copied().unwrap_or_default();
                assert!(status.success(), "byte {at} of {}", files[number].0);
            }
        }
        println!("{} flips of fjall's files, clean end: {is_clean}", targets.len());
        for ((kind, outcome), count) in &table {
            println!("  {kind:24} {outcome}: {count}");
        }
        let refused = (String::from("version"), format!("{:?}", Outcome::Refused));
        assert!(step > 1 || table.contains_key(&refused), "{table:?}");
    }
    fs::remove_dir_all(&root).unwrap();
}

#[test]
fn a_flipped_byte_of_the_store_on_disk_is_an_error_or_harmless() {
    flip("damage_fjall::a_flipped_byte_of_the_store_on_disk_is_an_error_or_harmless", 397);
}

#[test]
#[ignore = "minutes: every byte"]
fn every_flipped_byte_of_the_store_on_disk_is_an_error_or_harmless() {
    flip("damage_fjall::every_flipped_byte_of_the_store_on_disk_is_an_error_or_harmless", 1);
}
