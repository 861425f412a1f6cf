// The rows of one write, or the key of one look-up, as the engine takes them: a row block where they are few, ColumnBuffers
// where they are many or wide. Either is given back to the pool once the engine has read it.
import { must } from "../../common/assert.ts";
import type { Vector } from "../../common/batch/vector.ts";
import type { SqlType } from "../../common/types/type.ts";
import type { ColumnSpec, RowBlock, StoredRows } from "../../native/engine.ts";
import type { BufferPool } from "./buffer-pool.ts";
import { LentBuffers } from "./column-buffer.ts";
import { columnSpec } from "./column-spec.ts";
import { packRows } from "./pack-rows.ts";
import { BLOCK_ROWS, blockName } from "./row-block.ts";

/** What the rows' columns are: made once for a plan, for blocks are found by it. */
export interface RowShape {
  readonly types: readonly SqlType[];
  readonly specs: readonly ColumnSpec[];
}

export function rowShape(types: readonly SqlType[]): RowShape {
  return { types, specs: types.map(columnSpec) };
}

export class LentRows {
  readonly #pool: BufferPool;
  readonly #shape: RowShape;
  readonly #blockName: string | undefined;
  #block: RowBlock | undefined;
  #buffers: LentBuffers | undefined;

  constructor(shape: RowShape, pool: BufferPool) {
    this.#pool = pool;
    this.#shape = shape;
    this.#blockName = blockName(shape.specs);
  }

  /** The first `count` rows of `columns`. Valid until the next call of this or of release(). */
  hold(columns: readonly Vector[], count: number): StoredRows {
    return (count <= BLOCK_ROWS ? this.holdFew(columns, count) : undefined) ?? this.#holdMany(columns, count);
  }

  /** As hold, for at most BLOCK_ROWS rows, always in a block; undefined where they are too wide for one. */
  holdFew(columns: readonly Vector[], count: number): RowBlock | undefined {
    const name = this.#blockName;
    if (name === undefined) return undefined;
    const { types, specs } = this.#shape;
    this.#block = packRows(this.#block ?? this.#pool.takeBlock(name, specs), columns, types, count);
    return this.#block;
  }

  /** Nobody may look at the rows afterwards. */
  release(): void {
    if (this.#block !== undefined && this.#blockName !== undefined)
      this.#pool.releaseBlock(this.#blockName, this.#block);
    this.#block = undefined;
    this.#buffers?.release();
  }

  #holdMany(columns: readonly Vector[], count: number): StoredRows {
    const buffers = (this.#buffers ??= new LentBuffers(this.#pool));
    buffers.release();
    const types = this.#shape.types;
    const rows = columns.map((vector, i) =>
      buffers.lend(vector, must(types[i], "a type per column"), 0, count),
    );
    return { rows, shape: undefined };
  }
}
