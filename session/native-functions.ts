// Puts the native engine behind the seams that catalog/functions keeps for it: distance kernels (so that exact scans and
// indexes agree to the last bit) and regular expressions in linear time. Once per thread, before any session runs.
import { setRegexEngine } from "../catalog/functions/regex-engine.ts";
import { setVectorKernels } from "../catalog/functions/vector-distance.ts";
import { compileRegex, distance } from "../native/index.ts";

export function useNativeFunctions(): void {
  setVectorKernels({
    l2: (a, b) => distance("l2", a, b),
    // The engine's inner product distance is negated, as pgvector's <#> is.
    innerProduct: (a, b) => -distance("ip", a, b),
    cosine: (a, b) => distance("cosine", a, b),
  });
  setRegexEngine({ compile: compileRegex });
}
