/**
 * One development server and one mount for all tests of a file: fast, and independent because every test works in a folder
 * of its own. Tests that break the server or end the mount start their own with startServer() and mountLibrary().
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll } from "vitest";
import { createDevServer, type DevServer, type DevServerOptions } from "../../src/devserver/index.ts";
import { FsWorker } from "./fs-worker.ts";
import { EMAIL, type Mounted, type MountSettings, mountLibrary } from "./mounts.ts";
import { fileScope, type Scope } from "./scope.ts";
import { serverText, serverTree, type Tree } from "./trees.ts";

export async function startServer(scope: Scope, options: DevServerOptions = {}): Promise<DevServer> {
  const server = await createDevServer(options);
  scope.defer(() => server.close());
  return server;
}

/** Every kind of file server and version that writing has to be right with. */
export const SERVERS = [
  { flavour: "c", compat: 11 },
  { flavour: "c", compat: 12 },
  { flavour: "go", compat: 11 },
  { flavour: "go", compat: 12 },
] as const satisfies readonly DevServerOptions[];

/** A folder of its own for one test, seen from both sides. */
export interface Folder {
  /** Below the mount point. */
  readonly dir: string;
  /** In the library, absolute. */
  readonly path: string;
  /** What the server holds in it. */
  tree(): Promise<Tree>;
  /** The content of one file of it on the server. */
  text(name: string): Promise<string>;
}

export interface Fixture {
  readonly server: DevServer;
  readonly libraryId: string;
  readonly mount: Mounted;
  readonly worker: FsWorker;
  folder(): Promise<Folder>;
  /** Unmounts and mounts again with nothing remembered but what the server holds. */
  remount(): Promise<void>;
}

export interface FixtureOptions {
  readonly server?: DevServerOptions;
  readonly mount?: Omit<Partial<MountSettings>, "server" | "library">;
  /** What the library holds before it is mounted. */
  readonly prepare?: (server: DevServer, libraryId: string) => Promise<void> | void;
}

/** Call at the top of a test file. The members may be used inside tests only. */
export function useMount(options: FixtureOptions = {}): Fixture {
  const scope = fileScope();
  let server: DevServer;
  let libraryId: string;
  let mount: Mounted;
  let worker: FsWorker;
  let folders = 0;

  beforeAll(async () => {
    server = await startServer(scope, options.server);
    libraryId = server.store.createLibrary(EMAIL, "Work");
    await options.prepare?.(server, libraryId);
    mount = await mountLibrary(scope, { ...options.mount, server, library: "Work" });
    worker = new FsWorker(scope);
  });

  return {
    get server() {
      return server;
    },
    get libraryId() {
      return libraryId;
    },
    get mount() {
      return mount;
    },
    get worker() {
      return worker;
    },
    async folder() {
      const name = `t${++folders}`;
      await mkdir(join(mount.dir, name));
      const path = `/${name}`;
      return {
        dir: join(mount.dir, name),
        path,
        tree: () => serverTree(server, libraryId, path),
        text: (file: string) => serverText(server, libraryId, `${path}/${file}`),
      };
    },
    async remount() {
      const exit = await mount.unmount();
      if (exit.code !== 0) throw new Error(`unmounting ended with ${exit.code ?? exit.signal}:\n${mount.log()}`);
      mount = await mountLibrary(scope, { ...options.mount, server, library: "Work", dir: mount.dir });
    },
  };
}
