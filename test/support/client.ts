// A driver's connection that shows answers as the server sent them.
import { Client } from "pg";

/** Connects to `database` of the server at `url`; values come as text, and the loss of the connection is no exception. */
export async function connect(url: string, database: string): Promise<Client> {
  const target = new URL(url);
  target.pathname = `/${database}`;
  const client = new Client({
    connectionString: target.href,
    types: { getTypeParser: () => (value: string) => value },
  });
  client.on("error", () => undefined);
  await client.connect();
  return client;
}
