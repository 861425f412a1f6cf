// pgvector's objects and ours as rows of the system tables, in the shape of the generated PostgreSQL data. They live in
// pg_catalog and exist in every database without CREATE EXTENSION vector, which succeeds all the same and records an
// extension: programs written for pgvector run it first, and nothing breaks for those that do not. Since pgvector installs
// into public by default, the look-ups also find these objects as public.vector and so on.
//
// Oids are fixed: entries of user objects name types and operator classes by them, so they do not change once given. Types
// have theirs from the range of users' objects (common/types/oid.ts); everything else in 8000-9999, which PostgreSQL leaves to
// developers and never ships with:
//   8200-8499 functions   9100-9199 operators   9200-9249 operator classes   9250-9299 operator families
//   9300-9399 access methods   9400-9499 amop   9500-9599 casts   9600-9699 amproc
//
// The rows: own-functions.ts, own-types.ts (with casts), own-operators.ts, own-operator-classes.ts (with access methods).
import { Oid } from "../../common/types/oid.ts";

const FIRST_OWN_OID = 8000;
const LAST_OWN_OID = 9999;
const FIRST_OWN_TYPE = Oid.vector;

/** An object of the product's own ranges, found under public as well as under pg_catalog. */
export function isOwnObject(oid: number): boolean {
  return (oid >= FIRST_OWN_OID && oid <= LAST_OWN_OID) || oid >= FIRST_OWN_TYPE;
}
