// `npm start [-- serve options]`: set up what is missing, then become the server (same process, so signals reach it).
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { root, setup } from "./setup.mjs";

setup();
const entry = join(root, "dist/bin/omendb.js");
process.argv = [process.argv[0], entry, "serve", ...process.argv.slice(2)];
await import(pathToFileURL(entry).href);
