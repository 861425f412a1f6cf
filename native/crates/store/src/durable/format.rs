//! The file `FORMAT` of a database folder: which version of the files it holds.
//!
//! `"OMENDB\0\0", version u32, sum of these 12 bytes u32`. Written and synced before anything else; a folder with
//! another version is refused, never guessed at.

use omen_disk::{Disk, DiskErrorKind, checksum};

use crate::error::{Result, StoreError, sqlstate};

const PATH: &str = "FORMAT";
const MAGIC: &[u8; 8] = b"OMENDB\0\0";
/// 1 kept rows in the key-value store and had no such file.
const VERSION: u32 = 2;

fn encode(version: u32) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&version.to_le_bytes());
    let sum = checksum(0, &bytes[..12]);
    bytes[12..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// Checks the version of a folder, or writes it into a new one. `is_database`: the folder has been one before.
pub fn check(disk: &dyn Disk, is_database: bool) -> Result<()> {
    let file = match disk.open(PATH) {
        Err(error) if error.kind == DiskErrorKind::NotFound => {
            if is_database {
                return Err(incompatible(1));
            }
            let file = disk.create(PATH)?;
            file.write_at(0, &encode(VERSION))?;
            file.sync_data()?;
            return Ok(disk.sync_dir("")?);
        }
        file => file?,
    };
    let mut found = [0; 16];
    if file.len()? == 16 {
        file.read_at(0, &mut found)?;
    }
    if found == encode(VERSION) {
        return Ok(());
    }
    let version = u32::from_le_bytes(found[8..12].try_into().expect("four bytes"));
    if found == encode(version) {
        return Err(incompatible(version));
    }
    if is_database {
        return Err(StoreError::corrupt(format!("file \"{PATH}\" is damaged")));
    }
    // Cut off by a crash before anything could be stored.
    file.write_at(0, &encode(VERSION))?;
    file.set_len(16)?;
    Ok(file.sync_data()?)
}

/// Whether the file says this version, without writing anything.
pub fn verify(disk: &dyn Disk) -> Result<()> {
    if disk.exists(PATH)? {
        return check(disk, true);
    }
    Err(StoreError::corrupt(format!(
        "file \"{PATH}\" is missing: no database, or an unfinished backup"
    )))
}

fn incompatible(version: u32) -> StoreError {
    let detail = format!(
        "The data directory was written in format version {version}, this server reads and writes version {VERSION}."
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
        assert!(newer.detail.unwrap().contains("version 3"));
        file.write_at(9, &[7]).unwrap();
        assert_eq!(check(&disk, true).unwrap_err().sqlstate, "XX001");
        check(&disk, false).unwrap();
        let old = MemoryDisk::new();
        assert!(check(&old, true).unwrap_err().detail.unwrap().contains("version 1"));
    }
}
