// The extensions CREATE EXTENSION accepts.

export interface AvailableExtension {
  readonly name: string;
  readonly version: string;
  /** pgvector's own comment: \dx and obj_description show it once the extension is recorded. */
  readonly comment: string;
}

/** The objects exist with or without it; the version is that of the pgvector whose behaviour they follow. */
export const AVAILABLE_EXTENSIONS: readonly AvailableExtension[] = [
  { name: "vector", version: "0.8.5", comment: "vector data type and ivfflat and hnsw access methods" },
];

/** Comment of a recorded extension. */
export function extensionComment(name: string): string | undefined {
  return AVAILABLE_EXTENSIONS.find((extension) => extension.name === name)?.comment;
}
