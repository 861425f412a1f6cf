// COPY, as the session sees it: CopyIn takes the client's data for a table, copyOut gives the data of a result.
export { CopyIn } from "./copy/copy-in.ts";
export { copyOut, type CopyProgress } from "./copy/copy-out.ts";
export { BINARY_FORMAT, CSV_FORMAT, type CopyFormat, TEXT_FORMAT } from "./copy/format.ts";
