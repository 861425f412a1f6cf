// Types of $1, $2, ...: declared by the client, or found from the first context that asks for one, as PostgreSQL's
// variable-parameter parsing does. Used so far undecided = `unknown` until coerced.
import { SqlError, SqlState } from "../../common/error.ts";
import { Oid } from "../../common/types/oid.ts";
import type { SqlType } from "../../common/types/type.ts";
import { typeName, type TypeLookup } from "./types.ts";

/** The protocol counts parameters in 16 bits. */
const MAX_PARAMETERS = 65_535;

export class ParameterTypes {
  /** 0 = never mentioned, unknown = mentioned but undecided. */
  readonly #oids: number[];
  readonly #declared: number;
  readonly #types: TypeLookup;

  constructor(declared: readonly number[], types: TypeLookup) {
    this.#oids = declared.map((oid) => (oid === Oid.unknown ? 0 : oid));
    this.#declared = declared.length;
    this.#types = types;
  }

  /** Type of $number (1-based) where it is mentioned. 42P02 for $0 and absurd numbers. */
  mention(number: number, position: number): number {
    if (number <= 0 || number > MAX_PARAMETERS) {
      throw new SqlError(SqlState.undefinedParameter, `there is no parameter $${number}`, { position });
    }
    while (this.#oids.length < number) this.#oids.push(0);
    if (this.#oids[number - 1] === 0) this.#oids[number - 1] = Oid.unknown;
    return this.#oids[number - 1] as number;
  }

  /** The context wants `oid` for a parameter that was undecided when it was bound. 42P08 when two contexts disagree. */
  decide(index: number, oid: number, position: number): void {
    const current = this.#oids[index];
    if (current === Oid.unknown || current === 0 || current === undefined) {
      this.#oids[index] = oid;
    } else if (current !== oid) {
      throw new SqlError(
        SqlState.ambiguousParameter,
        `inconsistent types deduced for parameter $${index + 1}`,
        {
          detail: `${typeName(this.#types, current)} versus ${typeName(this.#types, oid)}`,
          position,
        },
      );
    }
  }

  /** All types at the end. 42P18 for a parameter that nothing decided. */
  finish(): readonly SqlType[] {
    return this.#oids.map((oid, index) => {
      if (oid === Oid.unknown || (oid === 0 && index >= this.#declared)) {
        throw new SqlError(
          SqlState.indeterminateDatatype,
          `could not determine data type of parameter $${index + 1}`,
        );
      }
      return { oid: oid === 0 ? Oid.text : oid, typmod: -1 };
    });
  }
}
