// Whether an expression may give another value for the same row one day: what a stored value (of an index, of a generated
// column) must never depend on.
import { notSupported } from "../../common/error.ts";
import { elementOidOf } from "../../common/types/oid.ts";
import type { CatalogSnapshot } from "../../catalog/catalog.ts";
import type { BoundExpression } from "./expression.ts";
import { someExpression } from "./walk.ts";

/** PostgreSQL's contain_mutable_functions: any function, or text conversion of a type, that is not immutable. */
export function isMutable(e: BoundExpression, catalog: CatalogSnapshot): boolean {
  return someExpression(e, (node) => {
    switch (node.kind) {
      case "call":
        return node.function.volatility !== "i";
      case "io-cast":
        return (
          hasMutableConversion(node.input.type.oid, "output", catalog) ||
          hasMutableConversion(node.type.oid, "input", catalog)
        );
      case "array-cast":
        return isMutable(node.element, catalog);
      case "scalar-array":
        return node.function.volatility !== "i";
      case "text-score":
      case "hybrid-rrf":
        // Scores follow the statistics of an index.
        return true;
      case "subquery":
        throw notSupported("a sub-select in a stored expression", node.position);
      default:
        return false;
    }
  });
}

/** Text conversions of arrays and composites call other types' ones, so PostgreSQL marks them stable. */
function hasMutableConversion(
  typeOid: number,
  direction: "input" | "output",
  catalog: CatalogSnapshot,
): boolean {
  const type = catalog.typeByOid(typeOid);
  if (type === undefined || type.kind === "c" || elementOidOf(typeOid) !== undefined) return true;
  const suffix = direction === "input" ? "in" : "out";
  const found = [suffix, `_${suffix}`].flatMap((end) =>
    catalog.functionsByName(undefined, `${type.name}${end}`, ["pg_catalog"]),
  );
  return found.some((entry) => entry.volatility !== "i");
}
