//! The folder a backup goes to.

use crate::engine::disk_failed;
use crate::error::Result;
use omen_disk::{Disk, FjallKv, OsDisk};
use omen_store::{BackupTarget, StoreError};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a data folder consists of; nothing else is ever taken away from the target.
const PARTS: [&str; 6] = ["FORMAT", "kv", "rows", "vec", "graph", "text"];

/// The folder `path`, made when missing, with an empty store in it. 58P02 when something is in it already.
pub fn empty_folder(path: &str) -> Result<BackupTarget> {
    let folder = PathBuf::from(path);
    let is_new = !folder.exists();
    let disk = OsDisk::open(path).map_err(|error| disk_failed(&error))?;
    if !disk.list("").map_err(|error| disk_failed(&error))?.is_empty() {
        let message = format!("directory \"{path}\" exists but is not empty");
        return Err(StoreError::new("58P02", message));
    }
    match FjallKv::open(&folder.join("kv")) {
        Ok(kv) => Ok(BackupTarget {
            disk: Arc::new(disk),
            kv: Arc::new(kv),
            discard: Box::new(move || discard(&folder, is_new)),
        }),
        Err(error) => {
            discard(&folder, is_new);
            Err(disk_failed(&error))
        }
    }
}

/// Takes an unfinished backup away. What cannot be removed stays without `FORMAT`, which no server and no restore opens; the
/// backup's own error is what the user hears of.
fn discard(folder: &Path, is_new: bool) {
    for part in PARTS.map(|name| folder.join(name)) {
        let _ = if part.is_dir() { fs::remove_dir_all(&part) } else { fs::remove_file(&part) };
    }
    if is_new {
        let _ = fs::remove_dir(folder);
    }
}
