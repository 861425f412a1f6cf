// The SQL of the views of information_schema. A view that is not listed here exists with its columns and has no rows.

export const informationSchemaViews: ReadonlyMap<string, string> = new Map();
