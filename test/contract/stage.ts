/**
 * The development server of one scenario, with the users of the recordings, and the state that its answers need.
 * Setup works through the store, not through the API under test; only links are asked for, because they live in the API.
 * Used by replay.ts.
 */
import { createDevServer, type DevServer, type DevServerOptions } from "../../src/devserver/index.ts";
import { exchange } from "./raw-http.ts";
import { bytesOf, type LinkSetup, type Setup } from "./recording.ts";
import type { Variables } from "./template.ts";

export const TEST_USER = "test@example.com";
export const OTHER_USER = "other@example.com";
export const PASSWORD = "testpass123";

export class Stage {
  readonly variables: Variables = new Map();
  readonly server: DevServer;

  static async open(options: Omit<DevServerOptions, "users">): Promise<Stage> {
    const users = [TEST_USER, OTHER_USER].map((email) => ({ email, password: PASSWORD }));
    return new Stage(await createDevServer({ ...options, users }));
  }

  constructor(server: DevServer) {
    this.server = server;
    this.variables
      .set("seahub", server.url)
      .set("fileserver", server.fileServerUrl)
      .set("test", server.store.user(TEST_USER)!.id)
      .set("other", server.store.user(OTHER_USER)!.id)
      .set("token-test", server.token(TEST_USER))
      .set("token-other", server.token(OTHER_USER));
  }

  close(): Promise<void> {
    return this.server.close();
  }

  libraryId(name: string): string {
    const id = this.variables.get(name);
    if (id === undefined) throw new Error(`The recording uses the library ${name} before it is made.`);
    return id;
  }

  async prepare(setup: readonly Setup[]): Promise<void> {
    for (const action of setup) await this.#act(action);
  }

  async #act(action: Setup): Promise<void> {
    const { server, variables } = this;
    const { store, faults } = server;
    if ("link" in action) return this.#link(action);
    if ("share" in action) return store.share(this.libraryId(action.share), action.to, action.permission);
    if ("write" in action) {
      const { write, library, content } = action;
      return store.writeFile(this.libraryId(library), write, bytesOf(content), { mkdirs: true });
    }
    if ("mkdir" in action) return store.mkdir(this.libraryId(action.library), action.mkdir);
    if ("remove" in action) return store.remove(this.libraryId(action.library), action.remove);
    if ("move" in action) return store.move(this.libraryId(action.library), action.move, action.to);
    if ("expireLink" in action) {
      const link = store.publicLinks.byToken(variables.get(action.expireLink) ?? "");
      if (link === undefined) throw new Error(`The recording expires the link ${action.expireLink} before it is made.`);
      return store.publicLinks.setExpiry(link, Date.UTC(2001, 0, 1) / 1000);
    }
    if ("library" in action) {
      const { library, owner, name = library, description = "" } = action;
      variables.set(library, store.createLibrary(owner, name, { description }));
      return;
    }
    if ("deleteLibrary" in action) return store.deleteLibrary(this.libraryId(action.deleteLibrary));
    if ("quota" in action) return store.setQuota(action.user, action.quota);
    if ("advanceClock" in action) return server.advanceClock(action.advanceClock);
    if ("fail" in action) return faults.fail(action.fail, action.status);
    if ("head" in action) {
      variables.set(action.as, store.head(this.libraryId(action.head)));
      return;
    }
    faults.expireLinks();
  }

  async #link({ link, kind, library, path, reuse = false, query, as = TEST_USER }: LinkSetup): Promise<void> {
    const endpoint = kind === "download" ? "file" : `${kind}-link`;
    const extra = `${reuse ? "&reuse=1" : ""}${query === undefined ? "" : `&${query}`}`;
    const { status, body } = await exchange({
      method: "GET",
      url: `${this.server.url}/api2/repos/${this.libraryId(library)}/${endpoint}/?p=${encodeURIComponent(path)}${extra}`,
      headers: { Authorization: `Token ${this.server.token(as)}` },
    });
    const token = /\/(?:files|upload-api|update-api)\/([0-9a-f-]{36})/.exec(body.toString())?.[1];
    if (token === undefined) throw new Error(`No ${kind} link for ${path}: ${status} ${body}`);
    this.variables.set(link, token);
  }
}
