//! The file `FORMAT` of a database folder: which version of the files it holds.
//!
//! `"OMENDB\0\0", version u32, sum of these 12 bytes u32`. Written and synced before anything else. A folder of an older
//! version that this one reads becomes one of this version when it is opened; with any other it is refused, never
//! guessed at.

use omen_disk::{Disk, DiskErrorKind, checksum};

use crate::error::{Result, StoreError, sqlstate};

const PATH: &str = "FORMAT";
const MAGIC: &[u8; 8] = b"OMENDB\0\0";
/// 1 kept rows in the key-value store and had no such file. 2 had nothing in its log about values that rows got beside their
/// versions. 3 had no vector columns whose rows differ in length: columns of sparse vectors that it made stay as they are. All
/// else is as it was.
const VERSION: u32 = 4;
/// The oldest version that is read.
const OLDEST: u32 = 2;

fn encode(version: u32) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&version.to_le_bytes());
    let sum = checksum(0, &bytes[..12]);
    bytes[12..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// Checks the version of a folder, brings it to this one, or writes it into a new folder. `is_database`: the folder has been
/// one before.
pub fn check(disk: &dyn Disk, is_database: bool) -> Result<()> {
    if found_version(disk, is_database)? < VERSION {
        // Beside its place first: a torn file would refuse the folder.
        let fresh = format!("{PATH}.tmp");
        if disk.exists(&fresh)? {
            disk.remove(&fresh)?;
        }
        let file = disk.create(&fresh)?;
        file.write_at(0, &encode(VERSION))?;
        file.sync_data()?;
        disk.rename(&fresh, PATH)?;
        disk.sync_dir("")?;
    }
    Ok(())
}

/// The version that the folder has, this one in a new folder.
fn found_version(disk: &dyn Disk, is_database: bool) -> Result<u32> {
    let file = match disk.open(PATH) {
        Err(error) if error.kind == DiskErrorKind::NotFound => {
            if is_database {
                return Err(incompatible(1));
            }
            let file = disk.create(PATH)?;
            file.write_at(0, &encode(VERSION))?;
            file.sync_data()?;
            disk.sync_dir("")?;
            return Ok(VERSION);
        }
        file => file?,
    };
    let mut found = [0; 16];
    if file.len()? == 16 {
        file.read_at(0, &mut found)?;
    }
    let version = u32::from_le_bytes(found[8..12].try_into().expect("four bytes"));
    if found == encode(version) {
        let is_read = (OLDEST..=VERSION).contains(&version);
        return if is_read { Ok(version) } else { Err(incompatible(version)) };
    }
    if is_database {
        return Err(StoreError::corrupt(format!("file \"{PATH}\" is damaged")));
    }
    // Cut off by a crash before anything could be stored.
    file.write_at(0, &encode(VERSION))?;
    file.set_len(16)?;
    file.sync_data()?;
    Ok(VERSION)
}

/// Whether the file says this version, without writing anything.
pub fn verify(disk: &dyn Disk) -> Result<()> {
    if disk.exists(PATH)? {
        return found_version(disk, true).map(|_| ());
    }
    Err(StoreError::corrupt(format!(
        "file \"{PATH}\" is missing: no database, or an unfinished backup"
    )))
}

fn incompatible(version: u32) -> StoreError {
    let detail = format!(
        "The data directory was written in format version {version}, this server reads versions {OLDEST} to {VERSION}."
    );
    let hint = if version > VERSION {
        "Use the newer server that wrote it."
    } else {
        "Dump the data with the server that wrote it and load it into a new directory."
    };
    StoreError::new(sqlstate::INTERNAL, "database files are incompatible with server")
        .detail(detail)
        .hint(hint)
}

#[cfg(test)]
mod tests {
    use omen_disk::MemoryDisk;

    use super::*;

    #[test]
    fn other_versions_and_damage_are_refused() {
        let disk = MemoryDisk::new();
        check(&disk, false).unwrap();
        check(&disk, true).unwrap();
        let file = disk.open(PATH).unwrap();
        file.write_at(0, &encode(VERSION + 1)).unwrap();
        let newer = check(&disk, true).unwrap_err();
        assert!(newer.detail.unwrap().contains("version 5"));
        file.write_at(9, &[7]).unwrap();
        assert_eq!(check(&disk, true).unwrap_err().sqlstate, "XX001");
        check(&disk, false).unwrap();
        for older in OLDEST..VERSION {
            let before = MemoryDisk::new();
            before.create(PATH).unwrap().write_at(0, &encode(older)).unwrap();
            verify(&before).unwrap();
            assert_eq!(found_version(&before, true).unwrap(), older, "a look changes nothing");
            check(&before, true).unwrap();
            assert_eq!(found_version(&before, true).unwrap(), VERSION);
        }
        let old = MemoryDisk::new();
        assert!(check(&old, true).unwrap_err().detail.unwrap().contains("version 1"));
    }
}
