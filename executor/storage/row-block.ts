// Row blocks: memory for a few rows that crosses to the engine as two arrays (RowBlock in native/engine.ts). Point look-ups
// and single-row writes go through them; scans and bulk writes, where a call does much work, through ColumnBuffers.
//
// All blocks have the same capacity, so that a pool of them serves every statement that moves rows of the same kinds of
// columns. A block lives as long as its rows fit: one with longer bytes takes its place (grownBlock).
import { type ColumnBuffer, BlockKind, type ColumnSpec, type RowBlock } from "../../native/engine.ts";

/** Rows of a block: most look-ups and writes that are not bulk find room in it. */
export const BLOCK_ROWS = 16;
/** Columns that are wider than this together (long vectors) go in buffers of their own: a block would be mostly unused. */
const MAX_BLOCK_BYTES = 1 << 18;
const PART_ALIGN = 8;
const HEADER_BYTES = 8;
const FIRST_BYTES_PER_ROW = 16;

const NO_WIDE = new BigInt64Array(0);
const NO_OFFSETS = new Uint32Array(0);
const NO_BYTES = new Uint8Array(0);
/** The flag of kinds that have no wide form; nobody writes it. */
const NOT_WIDE = new Uint8Array(1);

/** Names of shapes, by the list that asks. undefined = too wide for a block. */
const names = new WeakMap<readonly ColumnSpec[], string | undefined>();

/** What blocks for these columns have in common, or undefined where their rows are too wide for one. */
export function blockName(specs: readonly ColumnSpec[]): string | undefined {
  const known = names.get(specs);
  if (known !== undefined || names.has(specs)) return known;
  const fits = sizeOf(shapeOf(specs)) <= MAX_BLOCK_BYTES;
  const name = fits ? specs.map(({ kind, dim }) => `${BlockKind[kind]}.${dim}`).join() : undefined;
  names.set(specs, name);
  return name;
}

export function allocateBlock(specs: readonly ColumnSpec[]): RowBlock {
  return blockOf(specs, shapeOf(specs));
}

/** A block with room for `size` bytes in a bytes column, and what `block` held. */
export function grownBlock(block: RowBlock, column: number, size: number): RowBlock {
  const shape = block.shape.slice();
  shape[2 + 2 * column] = Math.max(size, (shape[2 + 2 * column] as number) * 2);
  const grown = blockOf(block.columns, shape);
  for (const [i, to] of grown.columns.entries()) {
    const from = block.columns[i] as ColumnBuffer;
    to.nulls.set(from.nulls);
    to.offsets.set(from.offsets);
    to.bytes.set(from.bytes);
    to.values.set(from.values);
    if (to.isWide !== NOT_WIDE) to.isWide.set(from.isWide);
  }
  return grown;
}

function shapeOf(specs: readonly ColumnSpec[]): Uint32Array {
  const shape = new Uint32Array(1 + 2 * specs.length);
  shape[0] = BLOCK_ROWS;
  for (const [i, { kind, dim }] of specs.entries()) {
    shape[1 + 2 * i] = BlockKind[kind];
    shape[2 + 2 * i] = kind === "bytes" ? BLOCK_ROWS * FIRST_BYTES_PER_ROW : dim;
  }
  return shape;
}

function sizeOf(shape: Uint32Array): number {
  let size = 0;
  for (let i = 1; i < shape.length; i += 2) {
    size += HEADER_BYTES + padded(BLOCK_ROWS) + valueBytes(shape[i] as number, shape[i + 1] as number);
  }
  return size;
}

/** Bytes of a column's values, offsets included. */
function valueBytes(kind: number, room: number): number {
  switch (kind) {
    case BlockKind.bool:
      return padded(BLOCK_ROWS);
    case BlockKind.i32:
      return padded(4 * BLOCK_ROWS);
    case BlockKind.bytes:
      return padded(4 * (BLOCK_ROWS + 1)) + padded(room);
    case BlockKind.vector:
      return padded(4 * BLOCK_ROWS * room);
    default:
      return 8 * BLOCK_ROWS;
  }
}

function padded(size: number): number {
  return Math.ceil(size / PART_ALIGN) * PART_ALIGN;
}

function blockOf(specs: readonly ColumnSpec[], shape: Uint32Array): RowBlock {
  const memory = new ArrayBuffer(sizeOf(shape));
  const columns: ColumnBuffer[] = [];
  let at = 0;
  for (const [i, { kind, dim }] of specs.entries()) {
    const isWide = kind === "i64" ? new Uint8Array(memory, at, 1) : NOT_WIDE;
    const nulls = new Uint8Array(memory, at + HEADER_BYTES, BLOCK_ROWS);
    const start = at + HEADER_BYTES + padded(BLOCK_ROWS);
    const room = shape[2 + 2 * i] as number;
    columns.push({ kind, dim, isWide, nulls, ...valuesAt(kind, memory, start, room) });
    at = start + valueBytes(BlockKind[kind], room);
  }
  return { rows: new Uint8Array(memory), shape, columns };
}

type Values = Pick<ColumnBuffer, "values" | "wide" | "offsets" | "bytes">;

function valuesAt(kind: ColumnSpec["kind"], memory: ArrayBuffer, at: number, room: number): Values {
  const none = { wide: NO_WIDE, offsets: NO_OFFSETS, bytes: NO_BYTES };
  switch (kind) {
    case "bool":
      return { ...none, values: new Uint8Array(memory, at, BLOCK_ROWS) };
    case "i32":
      return { ...none, values: new Int32Array(memory, at, BLOCK_ROWS) };
    case "i64":
      return {
        ...none,
        values: new Float64Array(memory, at, BLOCK_ROWS),
        wide: new BigInt64Array(memory, at, BLOCK_ROWS),
      };
    case "f64":
      return { ...none, values: new Float64Array(memory, at, BLOCK_ROWS) };
    case "vector":
      return { ...none, values: new Float32Array(memory, at, BLOCK_ROWS * room) };
    case "bytes": {
      const offsets = new Uint32Array(memory, at, BLOCK_ROWS + 1);
      const bytes = new Uint8Array(memory, at + padded(4 * (BLOCK_ROWS + 1)), room);
      return { ...none, values: NO_BYTES, offsets, bytes };
    }
  }
}
