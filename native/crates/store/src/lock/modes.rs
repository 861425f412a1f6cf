//! Lock modes and who conflicts with whom: PostgreSQL's tables (documentation, section 13.3).

use super::LockTag;

/// Of a wait for the holders of a moment to let go (`LockManager::await_departure`): conflicts with nothing, so nobody
/// waits behind it.
pub const MODE_DEPARTURE: u8 = 0;
pub const MODE_SHARE: u8 = 5;
pub const MODE_EXCLUSIVE: u8 = 7;

/// Bit m of `RELATION_CONFLICTS[n]`: modes n and m (1 ACCESS SHARE .. 8 ACCESS EXCLUSIVE) conflict.
const RELATION_CONFLICTS: [u16; 9] = [
    0,
    bits(&[8]),
    bits(&[7, 8]),
    bits(&[5, 6, 7, 8]),
    bits(&[4, 5, 6, 7, 8]),
    bits(&[3, 4, 6, 7, 8]),
    bits(&[3, 4, 5, 6, 7, 8]),
    bits(&[2, 3, 4, 5, 6, 7, 8]),
    bits(&[1, 2, 3, 4, 5, 6, 7, 8]),
];

/// The same for rows: 0 KEY SHARE, 1 SHARE, 2 NO KEY UPDATE, 3 UPDATE.
const ROW_CONFLICTS: [u16; 4] = [bits(&[3]), bits(&[2, 3]), bits(&[1, 2, 3]), bits(&[0, 1, 2, 3])];

const fn bits(modes: &[u8]) -> u16 {
    let mut mask = 0;
    let mut i = 0;
    while i < modes.len() {
        mask |= 1 << modes[i];
        i += 1;
    }
    mask
}

fn conflict_mask(tag: LockTag, mode: u8) -> u16 {
    match tag {
        LockTag::Row { .. } => ROW_CONFLICTS[mode as usize],
        _ => RELATION_CONFLICTS[mode as usize],
    }
}

pub fn conflicts(tag: LockTag, a: u8, b: u8) -> bool {
    conflict_mask(tag, a) & (1 << b) != 0
}

/// Whoever holds `held` needs no `wanted`: everything that conflicts with `wanted` conflicts with `held`.
pub fn covers(tag: LockTag, held: u8, wanted: u8) -> bool {
    let wanted = conflict_mask(tag, wanted);
    conflict_mask(tag, held) & wanted == wanted
}

/// PostgreSQL's name of a mode in a deadlock report. Row and key waits are waits for a transaction there.
pub fn mode_name(tag: LockTag, mode: u8) -> &'static str {
    const NAMES: [&str; 9] = [
        "INVALID",
        "AccessShareLock",
        "RowShareLock",
        "RowExclusiveLock",
        "ShareUpdateExclusiveLock",
        "ShareLock",
        "ShareRowExclusiveLock",
        "ExclusiveLock",
        "AccessExclusiveLock",
    ];
    match tag {
        LockTag::Row { .. } | LockTag::Key { .. } | LockTag::Keys { .. } => "ShareLock",
        LockTag::Relation(_) if mode == MODE_DEPARTURE => "ShareLock",
        _ => NAMES[mode as usize],
    }
}
