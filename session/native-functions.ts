// Puts the native engine behind the seams that catalog/functions and common/types keep for it: distance kernels (so that
// exact scans and indexes agree to the last bit), regular expressions in linear time, and vectors read from the bytes of
// their texts. Once per thread, before any session runs.
import { encodeUtf8 } from "../common/batch/vector.ts";
import { setRegexEngine } from "../catalog/functions/regex-engine.ts";
import { setVectorKernels } from "../catalog/functions/vector-distance.ts";
import { checkModifier, MAX_DIMENSIONS } from "../common/types/embedding.ts";
import { registerCodec } from "../common/types/registry.ts";
import type { TypeCodec } from "../common/types/type.ts";
import { vectorCodec } from "../common/types/vector.ts";
import { compileRegex, distance, parseVector } from "../native/index.ts";
import { VectorTexts } from "./vector-texts.ts";

export function useNativeFunctions(): void {
  setVectorKernels({
    l2: (a, b) => distance("l2", a, b),
    // The engine's inner product distance is negated, as pgvector's <#> is.
    innerProduct: (a, b) => -distance("ip", a, b),
    cosine: (a, b) => distance("cosine", a, b),
  });
  setRegexEngine({ compile: compileRegex });
  registerCodec(nativeVectorCodec());
}

/** The vector codec with its texts read natively where they have the plain form; errors and other forms are its own. */
function nativeVectorCodec(): TypeCodec {
  const texts = new VectorTexts();
  const elements = new Float32Array(MAX_DIMENSIONS);
  return {
    ...vectorCodec,
    parsePlain: (bytes) => texts.read(bytes),
    parse: (text, typmod, types) => {
      const count = parseVector(encodeUtf8(text), elements, 0);
      if (count === 0) return vectorCodec.parse(text, typmod, types);
      checkModifier(count, typmod);
      return elements.slice(0, count);
    },
  };
}
