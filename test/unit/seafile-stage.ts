/**
 * One account and one empty library on a development server, for tests of how many requests changes cost and of what
 * becomes of them under faults. Closed by the test that opened it. Used by the seafile-*.test.ts files.
 */
import { createDevServer, type DevServer, type DevServerOptions } from "../../src/devserver/index.ts";
import { silentLogger } from "../../src/observe/log.ts";
import { Account } from "../../src/seafile/account.ts";
import type { ClientOptions } from "../../src/seafile/http.ts";
import type { ChangeResult, Library } from "../../src/seafile/library.ts";
import type { Change, ObjectId } from "../../src/seafile/types.ts";
import { FAST } from "./seafile-server.ts";

export const ME = "test@example.com";
export const FLAVOURS = [
  { flavour: "c", compat: 11 },
  { flavour: "go", compat: 11 },
  { flavour: "c", compat: 12 },
  { flavour: "go", compat: 12 },
] as const;

export interface Stage {
  readonly server: DevServer;
  readonly account: Account;
  readonly library: Library;
  /** Kinds of the requests since the last call, in order. */
  requests(): string[];
  /** Applies, and says "ok" or the kind of the error for each change. */
  outcomes(changes: readonly Change[]): Promise<string[]>;
  /** Paths of everything in the library, sorted. */
  paths(): string[];
  write(path: string, text: string): Promise<ObjectId>;
  text(path: string): Promise<string>;
  idOf(path: string): ObjectId;
  close(): Promise<void>;
}

export async function openStage(server: DevServerOptions, client: Partial<ClientOptions> = {}): Promise<Stage> {
  const devServer = await createDevServer(server);
  const { store, requests } = devServer;
  const id = store.createLibrary(ME, "Docs");
  const options = { server: devServer.url, token: devServer.token(ME), log: silentLogger(), retry: FAST };
  const account = new Account({ ...options, ...client });
  const library = account.library((await account.libraries()).find((info) => info.id === id)!);
  await library.keepsMtimes();
  requests.reset();
  const idOf = (path: string) => {
    const entry = store.tree(id).get(path);
    if (entry === undefined) throw new Error(`${path} is not on the server.`);
    return entry.id as ObjectId;
  };
  return {
    server: devServer,
    account,
    library,
    requests: () => {
      const kinds = requests.list().map(({ kind }) => kind);
      requests.reset();
      return kinds;
    },
    outcomes: async (changes) => (await library.apply(changes)).map(outcomeOf),
    paths: () => [...store.tree(id).keys()].sort(),
    write: async (path, text) => {
      await store.writeFile(id, path, Buffer.from(text), { mkdirs: true });
      return idOf(path);
    },
    text: async (path) => (await store.readFile(id, path)).toString(),
    idOf,
    close: async () => {
      await account.close();
      await devServer.close();
    },
  };
}

export function outcomeOf(result: ChangeResult): string {
  return result.ok ? "ok" : result.error.kind;
}
