// A user's mistake, or the world's: what PostgreSQL reports as ErrorResponse. Always carries the five-character SQLSTATE of
// https://www.postgresql.org/docs/15/errcodes-appendix.html and PostgreSQL's wording, so that drivers and ORMs react.

/** SQLSTATE codes we raise, by PostgreSQL's condition name. */
export const SqlState = {
  warning: "01000",
  noData: "02000",
  connectionException: "08000",
  protocolViolation: "08P01",
  featureNotSupported: "0A000",
  cardinalityViolation: "21000",
  stringDataRightTruncation: "22001",
  numericValueOutOfRange: "22003",
  nullValueNotAllowed: "22004",
  invalidDatetimeFormat: "22007",
  datetimeFieldOverflow: "22008",
  invalidTimeZoneDisplacementValue: "22009",
  divisionByZero: "22012",
  intervalFieldOverflow: "22015",
  invalidEscapeCharacter: "22019",
  characterNotInRepertoire: "22021",
  invalidParameterValue: "22023",
  substringError: "22011",
  invalidArgumentForLogarithm: "2201E",
  invalidArgumentForPowerFunction: "2201F",
  invalidRegularExpression: "2201B",
  invalidRowCountInLimitClause: "2201W",
  invalidRowCountInResultOffsetClause: "2201X",
  untranslatableCharacter: "22P05",
  arraySubscriptError: "2202E",
  invalidEscapeSequence: "22025",
  dataException: "22000",
  stringDataLengthMismatch: "22026",
  invalidTextRepresentation: "22P02",
  invalidBinaryRepresentation: "22P03",
  badCopyFileFormat: "22P04",
  notNullViolation: "23502",
  foreignKeyViolation: "23503",
  uniqueViolation: "23505",
  checkViolation: "23514",
  invalidCursorState: "24000",
  invalidTransactionState: "25000",
  activeSqlTransaction: "25001",
  readOnlySqlTransaction: "25006",
  noActiveSqlTransaction: "25P01",
  inFailedSqlTransaction: "25P02",
  idleInTransactionSessionTimeout: "25P03",
  invalidSqlStatementName: "26000",
  invalidAuthorizationSpecification: "28000",
  invalidPassword: "28P01",
  dependentObjectsStillExist: "2BP01",
  invalidCursorName: "34000",
  invalidCatalogName: "3D000",
  invalidSchemaName: "3F000",
  invalidSavepointSpecification: "3B001",
  serializationFailure: "40001",
  deadlockDetected: "40P01",
  syntaxError: "42601",
  insufficientPrivilege: "42501",
  cannotCoerce: "42846",
  groupingError: "42803",
  windowingError: "42P20",
  invalidRecursion: "42P19",
  invalidForeignKey: "42830",
  invalidName: "42602",
  nameTooLong: "42622",
  reservedName: "42939",
  datatypeMismatch: "42804",
  indeterminateDatatype: "42P18",
  collationMismatch: "42P21",
  indeterminateCollation: "42P22",
  wrongObjectType: "42809",
  generatedAlways: "428C9",
  undefinedColumn: "42703",
  undefinedFunction: "42883",
  undefinedTable: "42P01",
  undefinedParameter: "42P02",
  undefinedObject: "42704",
  duplicateColumn: "42701",
  duplicateCursor: "42P03",
  duplicateDatabase: "42P04",
  duplicateFunction: "42723",
  duplicatePreparedStatement: "42P05",
  duplicateSchema: "42P06",
  duplicateTable: "42P07",
  duplicateAlias: "42712",
  duplicateObject: "42710",
  ambiguousColumn: "42702",
  ambiguousFunction: "42725",
  ambiguousParameter: "42P08",
  ambiguousAlias: "42P09",
  invalidColumnReference: "42P10",
  invalidColumnDefinition: "42611",
  invalidCursorDefinition: "42P11",
  invalidDatabaseDefinition: "42P12",
  invalidFunctionDefinition: "42P13",
  invalidPreparedStatementDefinition: "42P14",
  invalidSchemaDefinition: "42P15",
  invalidTableDefinition: "42P16",
  invalidObjectDefinition: "42P17",
  withCheckOptionViolation: "44000",
  insufficientResources: "53000",
  diskFull: "53100",
  outOfMemory: "53200",
  tooManyConnections: "53300",
  configurationLimitExceeded: "53400",
  programLimitExceeded: "54000",
  statementTooComplex: "54001",
  tooManyColumns: "54011",
  tooManyArguments: "54023",
  objectNotInPrerequisiteState: "55000",
  objectInUse: "55006",
  cantChangeRuntimeParam: "55P02",
  lockNotAvailable: "55P03",
  operatorIntervention: "57000",
  queryCanceled: "57014",
  adminShutdown: "57P01",
  crashShutdown: "57P02",
  cannotConnectNow: "57P03",
  idleSessionTimeout: "57P05",
  ioError: "58030",
  undefinedFile: "58P01",
  duplicateFile: "58P02",
  configFileError: "F0000",
  internalError: "XX000",
  dataCorrupted: "XX001",
  indexCorrupted: "XX002",
} as const;

export type SqlState = (typeof SqlState)[keyof typeof SqlState];

export type Severity = "ERROR" | "FATAL" | "PANIC";
export type NoticeSeverity = "WARNING" | "NOTICE" | "DEBUG" | "INFO" | "LOG";

/** The optional fields of an ErrorResponse or NoticeResponse. */
export interface SqlErrorFields {
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  /** 1-based character position in the statement text. */
  readonly position?: number | undefined;
  readonly where?: string | undefined;
  readonly schema?: string | undefined;
  readonly table?: string | undefined;
  readonly column?: string | undefined;
  readonly dataType?: string | undefined;
  readonly constraint?: string | undefined;
  /** FATAL ends the connection; default ERROR. */
  readonly severity?: Severity | undefined;
}

export class SqlError extends Error {
  override name = "SqlError";
  readonly code: string;
  readonly fields: SqlErrorFields;

  constructor(code: string, message: string, fields: SqlErrorFields = {}) {
    super(message);
    this.code = code;
    this.fields = fields;
  }

  get severity(): Severity {
    return this.fields.severity ?? "ERROR";
  }

  /** The same error with fields added where it has none: callers know the position or the table, the thrower often not. */
  with(fields: SqlErrorFields): SqlError {
    const error = new SqlError(this.code, this.message, { ...fields, ...definedOnly(this.fields) });
    if (this.stack !== undefined) error.stack = this.stack;
    return error;
  }
}

function definedOnly(fields: SqlErrorFields): SqlErrorFields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** 0A000 naming the feature. `position` is the 1-based character position in the statement. */
export function notSupported(feature: string, position?: number): SqlError {
  const verb = /[a-z]s$/.test(feature) || feature.endsWith(" SETS") ? "are" : "is";
  return new SqlError(SqlState.featureNotSupported, `${feature} ${verb} not supported`, { position });
}

/** A NoticeResponse on its way to the client. */
export interface Notice extends Omit<SqlErrorFields, "severity"> {
  readonly severity: NoticeSeverity;
  readonly code: string;
  readonly message: string;
}

/** Turns whatever was thrown into a SqlError: engine errors carry a SQLSTATE as `code`, everything else is XX000. */
export function toSqlError(thrown: unknown): SqlError {
  if (thrown instanceof SqlError) return thrown;
  if (thrown instanceof RangeError && /call stack/i.test(thrown.message)) {
    return new SqlError(SqlState.statementTooComplex, "stack depth limit exceeded", {
      hint: "Simplify the statement: it nests deeper than this server can follow.",
    });
  }
  if (thrown instanceof Error) {
    const code: unknown = (thrown as { code?: unknown }).code;
    const engine = thrown as { detail?: string; hint?: string; constraint?: string };
    if (typeof code === "string" && /^[0-9A-Z]{5}$/.test(code)) {
      return new SqlError(code, thrown.message, {
        detail: engine.detail,
        hint: engine.hint,
        constraint: engine.constraint,
      });
    }
    const error = new SqlError(SqlState.internalError, thrown.message);
    if (thrown.stack !== undefined) error.stack = thrown.stack;
    return error;
  }
  return new SqlError(SqlState.internalError, String(thrown));
}
