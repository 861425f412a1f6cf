// COPY's options after the session read and checked them (22023, 42601 and the like are the session's to raise).

export interface CopyFormat {
  readonly format: "text" | "csv" | "binary";
  /** One single-byte character. */
  readonly delimiter: string;
  readonly nullString: string;
  readonly header: boolean;
  /** csv only. */
  readonly quote: string;
  readonly escape: string;
  /** csv out: positions of columns that are always quoted. */
  readonly forceQuote: readonly number[];
  /** csv in: positions of FORCE_NOT_NULL and FORCE_NULL columns. */
  readonly forceNotNull: readonly number[];
  readonly forceNull: readonly number[];
}

export const TEXT_FORMAT: CopyFormat = {
  format: "text",
  delimiter: "\t",
  nullString: "\\N",
  header: false,
  quote: '"',
  escape: '"',
  forceQuote: [],
  forceNotNull: [],
  forceNull: [],
};

export const CSV_FORMAT: CopyFormat = { ...TEXT_FORMAT, format: "csv", delimiter: ",", nullString: "" };

export const BINARY_FORMAT: CopyFormat = { ...TEXT_FORMAT, format: "binary" };
