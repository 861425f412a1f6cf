// What the main thread and its workers tell each other. Sockets travel as descriptors of the same process.
export interface WorkerConfiguration {
  /** Memory of the process's activity board (session/activity.ts). */
  readonly activity: SharedArrayBuffer;
  readonly authentication:
    | { readonly kind: "trust" }
    | { readonly kind: "scram"; readonly superuser: string; readonly verifier: string };
  /** Values of settings that the server was started with, by name. */
  readonly settings: ReadonlyMap<string, string>;
  /** PEM texts; undefined = no TLS. */
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
}

export interface ClientHandedOver {
  readonly kind: "connection";
  readonly fd: number;
  readonly peer: { readonly address: string; readonly port: number } | undefined;
  /** The server is full; the client hears so after its startup packet. */
  readonly isRefused: boolean;
}

export type ToWorker =
  | ClientHandedOver
  /** Ends every session with 57P01, then answers "stopped". */
  | { readonly kind: "stop" };

export type FromWorker =
  | { readonly kind: "ready" }
  /** A connection handed over has ended. */
  | { readonly kind: "closed" }
  | { readonly kind: "stopped" };
