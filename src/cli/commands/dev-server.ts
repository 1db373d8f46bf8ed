/**
 * `seamount dev-server`: a Seafile server for development and demonstrations on this machine, without accounts of anybody.
 * It is the same server that the tests use; it stores what it is given in --data, or forgets it at the end.
 */
import { randomBytes } from "node:crypto";
import { statSync } from "node:fs";
import { resolve } from "node:path";
import type { DevServerOptions } from "../../devserver/index.ts";
import type { Command } from "../command.ts";
import { CliError, EXIT, usageError } from "../exit-codes.ts";
import { parseSize, parseWhole } from "../mount-flags.ts";
import { say, sayJson } from "../output.ts";
import { readPasswordFromStdin } from "../prompt.ts";

interface Args {
  readonly data?: string | undefined;
  readonly library?: (string | number)[] | undefined;
  readonly user?: string | undefined;
  readonly passwordStdin?: boolean | undefined;
  readonly host?: string | undefined;
  readonly port?: string | undefined;
  readonly flavour?: "c" | "go" | undefined;
  readonly compat?: "11" | "12" | undefined;
  readonly latency?: string | undefined;
  readonly bandwidth?: string | undefined;
  readonly json?: boolean | undefined;
}

interface User {
  readonly email: string;
  readonly name?: string;
  readonly password: string;
}

const DEFAULT_USER: User = { email: "test@example.com", password: "testpass123" };

export const devServerCommand: Command<Args> = {
  command: "dev-server",
  describe: "Run a Seafile server for development on this machine",
  builder: (yargs) =>
    yargs
      .options({
        data: { type: "string", describe: "Folder to keep everything in (default: memory, forgotten at the end)" },
        library: {
          type: "array",
          string: true,
          nargs: 1,
          describe: "NAME or NAME=DIR: a library, filled from a folder; repeatable",
        },
        user: { type: "string", describe: `EMAIL or EMAIL:NAME (default: ${DEFAULT_USER.email})` },
        "password-stdin": { type: "boolean", describe: "Read the user's password from standard input" },
        host: { type: "string", describe: "Address to listen on (default: 127.0.0.1)" },
        port: { type: "string", describe: "Port to listen on (default: any free one)" },
        flavour: { choices: ["c", "go"] as const, describe: "Whose file server to imitate (default: c)" },
        compat: { choices: ["11", "12"] as const, describe: "Which server version to imitate (default: 11)" },
        latency: { type: "string", describe: "Milliseconds to add to every answer" },
        bandwidth: { type: "string", describe: "Bytes per second for bodies, e.g. 1M" },
        json: { type: "boolean", describe: "Print address and user as JSON" },
      })
      .example('$0 dev-server --library "Photos=./pictures"', "until Ctrl-C"),
  handler: async (args) => {
    const imports = (args.library ?? []).map((text) => parseImport(String(text)));
    const user = await chooseUser(args);
    // Loaded when asked for: a process that serves a mount has no use for it.
    const { createDevServer } = await import("../../devserver/index.ts");
    const server = await createDevServer({ ...serverOptions(args), users: [user] });
    const ended = untilSignal();
    try {
      const known = new Set(server.store.libraries().map(({ record }) => record.name));
      for (const { name, folder } of imports) {
        if (known.has(name)) continue; // Kept in --data since an earlier run.
        const id = server.store.createLibrary(user.email, name);
        if (folder) await server.store.importFolder(id, folder);
      }
      announce(server, user, args.json === true);
      await ended;
    } finally {
      await server.close();
    }
  },
};

function announce(server: { url: string; fileServerUrl: string }, user: User, json: boolean): void {
  const { url, fileServerUrl } = server;
  if (json) {
    sayJson({ url, fileServerUrl, username: user.email, password: user.password });
    return;
  }
  say(`Seafile development server: ${url}`);
  say(`User: ${user.email}   Password: ${user.password}`);
  say("Press Ctrl-C to stop it.");
}

function serverOptions(args: Args): DevServerOptions {
  return {
    ...(args.data === undefined ? {} : { data: resolve(args.data) }),
    ...(args.host === undefined ? {} : { host: args.host }),
    ...(args.port === undefined ? {} : { port: parsePort(args.port) }),
    ...(args.flavour === undefined ? {} : { flavour: args.flavour }),
    ...(args.compat === undefined ? {} : { compat: args.compat === "12" ? 12 : 11 }),
    ...(args.latency === undefined ? {} : { latencyMs: parseWhole(args.latency, "--latency") }),
    ...(args.bandwidth === undefined ? {} : { bandwidth: parseSize(args.bandwidth, "--bandwidth") }),
  };
}

function parsePort(text: string): number {
  const port = parseWhole(text, "--port");
  if (port > 65_535) throw usageError(`--port ${port} is above 65535.`);
  return port;
}

/** "NAME=DIR"; a name with "=" needs a folder whose path has none. */
function parseImport(text: string): { name: string; folder?: string } {
  const equals = text.lastIndexOf("=");
  const name = equals < 0 ? text : text.slice(0, equals);
  if (name === "") throw usageError(`--library "${text}" has no name: write --library NAME=DIR.`);
  if (equals < 0) return { name };
  const folder = resolve(text.slice(equals + 1));
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory())
    throw new CliError(EXIT.notFound, `--library ${name}: ${folder} is not a folder.`);
  return { name, folder };
}

async function chooseUser(args: Args): Promise<User> {
  if (args.user === undefined && !args.passwordStdin) return DEFAULT_USER;
  const [email = "", ...rest] = (args.user ?? DEFAULT_USER.email).split(":");
  if (!email.includes("@")) throw usageError(`--user "${args.user}" is not an e-mail address.`);
  const name = rest.join(":");
  const password = args.passwordStdin ? (await readPasswordFromStdin()).password : randomBytes(9).toString("base64url");
  return { email, password, ...(name === "" ? {} : { name }) };
}

function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => resolve());
  });
}
