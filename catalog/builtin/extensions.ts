// The extensions CREATE EXTENSION accepts.

export interface AvailableExtension {
  readonly name: string;
  readonly version: string;
  /** PostgreSQL's and pgvector's own comments: \dx and obj_description show it once the extension is recorded. */
  readonly comment: string;
}

/**
 * vector: the objects exist with or without it; the version is that of the pgvector whose behaviour they follow. plpgsql:
 * schema files of Rails and of old dumps name it, since every PostgreSQL database has it; functions in it are refused where
 * they are made.
 */
export const AVAILABLE_EXTENSIONS: readonly AvailableExtension[] = [
  { name: "plpgsql", version: "1.0", comment: "PL/pgSQL procedural language" },
  { name: "vector", version: "0.8.5", comment: "vector data type and ivfflat and hnsw access methods" },
];

/** Comment of a recorded extension. */
export function extensionComment(name: string): string | undefined {
  return AVAILABLE_EXTENSIONS.find((extension) => extension.name === name)?.comment;
}
