// The one way a command gives up: the reason on stderr, exit status 1.
export function fail(message: string): never {
  process.stderr.write(`omendb: ${message}\n`);
  process.exit(1);
}
