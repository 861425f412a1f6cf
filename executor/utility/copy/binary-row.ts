// COPY's binary form (PostgreSQL 15, "COPY", File Formats): header, tuples as length-prefixed fields, trailer.

/** Signature, flags, length of the header extension. */
export const BINARY_HEADER = Uint8Array.from([
  0x50, 0x47, 0x43, 0x4f, 0x50, 0x59, 0x0a, 0xff, 0x0d, 0x0a, 0x00, 0, 0, 0, 0, 0, 0, 0, 0,
]);

export const BINARY_TRAILER = Uint8Array.of(0xff, 0xff);

/** One tuple; undefined = NULL. */
export function binaryRow(fields: readonly (Uint8Array | undefined)[]): Uint8Array {
  const sizeBytes = fields.reduce((sum, field) => sum + 4 + (field?.length ?? 0), 2);
  const row = new Uint8Array(sizeBytes);
  const view = new DataView(row.buffer);
  view.setInt16(0, fields.length);
  let at = 2;
  for (const field of fields) {
    view.setInt32(at, field === undefined ? -1 : field.length);
    at += 4;
    if (field !== undefined) {
      row.set(field, at);
      at += field.length;
    }
  }
  return row;
}
