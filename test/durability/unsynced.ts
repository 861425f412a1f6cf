// Takes back what a killed server did to its folder and never synced, as a loss of power may: the reader of the record that
// unsynced.c writes. What stays is a state that the disk could have had.
import {
  closeSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { randomSource } from "../../bench/dataset.ts";

const HEAD_BYTES = 48;
const NAMES = ["create", "mkdir", "rename", "remove", "rmdir"];

interface Change {
  readonly kind: string;
  /** Where its record begins. */
  readonly at: number;
  readonly inode: bigint;
  readonly offset: number;
  readonly oldSize: number;
  readonly path: string;
  readonly other: string;
  readonly old: Buffer;
}

/** Records in the order of the changes; one that the kill cut off is left out, for its change was not made. */
function read(journal: string): readonly Change[] {
  const bytes = readFileSync(journal);
  const changes: Change[] = [];
  for (let at = 0; at + HEAD_BYTES <= bytes.length; ) {
    const total = bytes.readUInt32LE(at + 44);
    if (at + total > bytes.length) break;
    const pathBytes = bytes.readUInt32LE(at + 32);
    const otherBytes = bytes.readUInt32LE(at + 36);
    const path = at + HEAD_BYTES;
    changes.push({
      kind: bytes.toString("latin1", at, at + 8).replace(/\0.*$/, ""),
      at,
      inode: bytes.readBigUInt64LE(at + 8),
      offset: Number(bytes.readBigUInt64LE(at + 16)),
      oldSize: Number(bytes.readBigUInt64LE(at + 24)),
      path: bytes.toString("utf8", path, path + pathBytes),
      other: bytes.toString("utf8", path + pathBytes, path + pathBytes + otherBytes),
      old: bytes.subarray(path + pathBytes + otherBytes, at + total),
    });
    at += total;
  }
  return changes;
}

/** What has to survive together in its order: the changes of one file's contents, or of the names in one folder. */
function scope(change: Change): string {
  return change.kind === "write" ? String(change.inode) : dirname(change.path);
}

/** The changes that no sync made lasting. */
function unsynced(changes: readonly Change[]): readonly Change[] {
  /** Scope -> changes before this place are lasting. */
  const lasting = new Map<string, number>();
  for (const { kind, at, inode, path, offset } of changes) {
    const key = kind === "sync" || kind === "born" ? String(inode) : kind === "syncdir" ? path : undefined;
    // Changes to the file that had a new one's number before are nobody's any more.
    const end = kind === "born" ? at : offset;
    if (key !== undefined) lasting.set(key, Math.max(lasting.get(key) ?? 0, end));
  }
  return changes.filter(
    (change) =>
      (change.kind === "write" || NAMES.includes(change.kind)) &&
      change.at >= (lasting.get(scope(change)) ?? 0),
  );
}

/**
 * Takes back unsynced changes under `folder`: all of them without a seed, else from a random place on for each file and each
 * folder. Returns how many changes went and how many stayed.
 */
export function dropUnsynced(
  folder: string,
  journalFolder: string,
  seed?: number,
): { readonly dropped: number; readonly kept: number } {
  const pending = unsynced(read(join(journalFolder, "journal")));
  const counts = new Map<string, number>();
  for (const change of pending) counts.set(scope(change), (counts.get(scope(change)) ?? 0) + 1);
  const random = seed === undefined ? () => 0 : randomSource(seed);
  const keep = new Map(Array.from(counts, ([key, count]) => [key, Math.floor(random() * (count + 1))]));
  const dropped = pending.filter((change) => {
    const left = keep.get(scope(change)) ?? 0;
    keep.set(scope(change), left - 1);
    return left <= 0;
  });
  const files = new Files(folder);
  for (const change of dropped.toReversed()) undo(change, files, journalFolder);
  return { dropped: dropped.length, kept: pending.length - dropped.length };
}

function undo(change: Change, files: Files, journalFolder: string): void {
  const { kind, path, other, offset } = change;
  const saved = offset > 0 ? join(journalFolder, `saved-${offset}`) : undefined;
  switch (kind) {
    case "write":
      return undoWrite(change, files.find(change.inode));
    case "create":
      return rmSync(path, { force: true });
    case "mkdir":
      return rmSync(path, { recursive: true, force: true });
    case "rename":
      if (!existsSync(path) && existsSync(other)) renameSync(other, path);
      if (saved !== undefined && !existsSync(other)) linkSync(saved, other);
      return;
    case "remove":
      if (saved !== undefined && !existsSync(path)) linkSync(saved, path);
      return;
    case "rmdir":
      mkdirSync(path, { recursive: true });
  }
}

/** `path` undefined: the file is gone for good. */
function undoWrite({ offset, oldSize, old }: Change, path: string | undefined): void {
  if (path === undefined) return;
  const descriptor = openSync(path, "r+");
  try {
    writeSync(descriptor, old, 0, old.length, offset);
    if (fstatSync(descriptor).size > oldSize) ftruncateSync(descriptor, oldSize);
  } finally {
    closeSync(descriptor);
  }
}

/** Files of a folder by inode, whatever they are called at the moment. */
class Files {
  readonly #folder: string;
  readonly #known = new Map<bigint, string>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  find(inode: bigint): string | undefined {
    const known = this.#known.get(inode);
    if (known !== undefined && isAt(known, inode)) return known;
    this.#known.clear();
    this.#scan(this.#folder);
    return this.#known.get(inode);
  }

  #scan(folder: string): void {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) this.#scan(path);
      else this.#known.set(lstatSync(path, { bigint: true }).ino, path);
    }
  }
}

function isAt(path: string, inode: bigint): boolean {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false })?.ino === inode;
}
