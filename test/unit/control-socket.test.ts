/** The control socket: who may open it, what it answers, and that no client can hurt the process that serves the mount. */
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createConnection, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type ControlSocket, startControl } from "../../src/cli/control-socket.ts";
import { ControlClient } from "../../src/control/client.ts";
import { MAX_REQUEST_BYTES } from "../../src/control/protocol.ts";
import { silentLogger } from "../../src/observe/log.ts";
import { busy, FakeControl, queueItem } from "./fake-control.ts";

const MOUNTPOINT = "/mnt/seafile";
let root: string;
let control: FakeControl;
let server: ControlSocket;
const clients: ControlClient[] = [];

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "seamount-"));
  vi.stubEnv("XDG_RUNTIME_DIR", root);
  control = new FakeControl(MOUNTPOINT);
  server = await startControl({ control, mountpoint: MOUNTPOINT, log: silentLogger() });
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await server.close();
  vi.unstubAllEnvs();
  rmSync(root, { recursive: true, force: true });
});

async function connect(): Promise<ControlClient> {
  const client = await ControlClient.connect(server.path);
  clients.push(client);
  return client;
}

/** Sends raw text and reads answers until `lines` of them are there or the server ends the connection. */
async function exchange(sent: string | Buffer, lines: number): Promise<unknown[]> {
  const socket: Socket = createConnection(server.path);
  socket.on("error", () => {});
  socket.write(sent);
  let received = "";
  for await (const chunk of socket) {
    received += (chunk as Buffer).toString();
    if (received.split("\n").length > lines) break;
  }
  socket.destroy();
  return received
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);
}

const request = (id: unknown, method: unknown, params?: unknown) => `${JSON.stringify({ id, method, params })}\n`;

describe("the socket", () => {
  it("is for its user only, and gone when the mount has ended", async () => {
    expect((statSync(server.path).mode & 0o777).toString(8)).toBe("600");
    expect((statSync(dirname(server.path)).mode & 0o777).toString(8)).toBe("700");
    await server.close();
    expect(existsSync(server.path)).toBe(false);
    await expect(ControlClient.connect(server.path)).rejects.toMatchObject({ code: "unreachable" });
  });

  it("replaces what a killed process of the same number has left", async () => {
    await server.close();
    writeFileSync(server.path, "");
    server = await startControl({ control, mountpoint: MOUNTPOINT, log: silentLogger() });
    expect(await (await connect()).queue()).toEqual([]);
  });

  it("is in a folder of its own, which goes with it, when the names of the run folders are too long for a socket", async () => {
    vi.stubEnv("TMPDIR", root);
    const folders = [join(root, "x".repeat(100))];
    const other = await startControl({ control, mountpoint: MOUNTPOINT, log: silentLogger(), folders });
    try {
      expect(dirname(dirname(other.path))).toBe(root);
      expect((statSync(dirname(other.path)).mode & 0o777).toString(8)).toBe("700");
      clients.push(await ControlClient.connect(other.path));
    } finally {
      await other.close();
    }
    expect(existsSync(dirname(other.path))).toBe(false);
  });
});

describe("a client", () => {
  it("gets the status and the queue as the mount has them", async () => {
    control.items = [
      queueItem(1),
      queueItem(2, { state: "held", reason: "quota", because: "The quota is used up – 配额." }),
    ];
    const client = await connect();
    expect(await client.status()).toEqual(control.status());
    expect(await client.queue()).toEqual(control.items);
  });

  it("passes ids, paths and waits on as they are", async () => {
    const client = await connect();
    expect(await client.retry()).toBe(0);
    expect(await client.retry([1, 2])).toBe(2);
    expect(await client.hold([3])).toBe(1);
    expect(await client.release([3])).toBe(1);
    expect(await client.discard([3])).toBe(0);
    expect(await client.sync("/Work", undefined)).toEqual({ pending: 0, held: 0 });
    expect(await client.unmount(0)).toEqual({ pending: 0 });
    expect(await client.unmount(undefined)).toEqual({ pending: 0 });
    expect(control.calls).toEqual([
      ["retry", undefined],
      ["retry", [1, 2]],
      ["hold", [3]],
      ["release", [3]],
      ["discard", [3]],
      ["sync", "/Work"],
      ["unmount", 0],
      ["unmount", undefined],
    ]);
  });

  it("asks for the status while another request waits", async () => {
    control.items = [queueItem(1, { state: "uploading", sent: 5 })];
    const client = await connect();
    const syncing = client.sync(undefined, undefined);
    expect((await client.status()).queue.uploading).toEqual(control.items);
    client.close();
    await expect(syncing).rejects.toMatchObject({ code: "closed" });
  });

  it("that goes away ends its sync, and nothing else", async () => {
    control.items = [queueItem(1, { state: "uploading" })];
    const client = await connect();
    const other = await connect();
    const syncing = client.sync(undefined, undefined);
    await vi.waitFor(() => expect(control.calls).toEqual([["sync", undefined]]));
    client.close();
    await expect(syncing).rejects.toMatchObject({ code: "closed" });
    await vi.waitFor(() => expect(control.aborted).toBe(1));
    expect(await other.queue()).toHaveLength(1);
  });

  it("gets the result of a sync whose time is up", async () => {
    control.items = [queueItem(1, { state: "uploading" }), queueItem(2, { state: "held" })];
    expect(await (await connect()).sync(undefined, 10)).toEqual({ pending: 2, held: 1 });
  });

  it("is told the code and the sentence of a failure", async () => {
    control.onUnmount = busy;
    await expect((await connect()).unmount(undefined)).rejects.toMatchObject({
      code: "EBUSY",
      message: "The mount is busy.",
    });
  });

  it("gets the answers to what is under way when the mount ends, and then the end", async () => {
    control.items = [queueItem(1, { state: "uploading" })];
    const client = await connect();
    const syncing = client.sync(undefined, undefined);
    await vi.waitFor(() => expect(control.calls).toHaveLength(1));
    await server.close();
    expect(await syncing).toEqual({ pending: 1, held: 0 });
    await expect(client.status()).rejects.toMatchObject({ code: "closed" });
  });

  it("of a mount that dies without an answer fails instead of waiting", async () => {
    const path = join(root, "dying.sock");
    const dying = createServer((socket) => socket.once("data", () => socket.destroy()));
    await new Promise<void>((resolve) => dying.listen(path, resolve));
    try {
      const client = await ControlClient.connect(path);
      await expect(client.unmount(undefined)).rejects.toMatchObject({ code: "closed" });
    } finally {
      dying.close();
    }
  });

  it("is not confused by an answer that is none", async () => {
    const path = join(root, "odd.sock");
    const odd = createServer((socket) => socket.once("data", () => socket.write("{]\n")));
    await new Promise<void>((resolve) => odd.listen(path, resolve));
    try {
      const client = await ControlClient.connect(path);
      await expect(client.status()).rejects.toMatchObject({ code: "closed", message: "The mount answers nonsense." });
    } finally {
      odd.close();
    }
  });
});

describe("what a mount does not accept", () => {
  const WAIT = "a number of milliseconds up to 2147483647";
  it.each([
    ["no-such", {}, "unknown-method", 'There is no method "no-such".'],
    ["toString", {}, "unknown-method", 'There is no method "toString".'],
    ["hold", {}, "bad-request", '"ids" must be a list of positive whole numbers.'],
    ["hold", { ids: [1.5] }, "bad-request", '"id" must be a positive whole number.'],
    ["discard", { ids: ["1"] }, "bad-request", '"id" must be a positive whole number.'],
    ["retry", [1], "bad-request", '"params" must be an object.'],
    ["sync", { path: "Work" }, "bad-request", '"path" must be an absolute path.'],
    ["sync", { timeoutMs: -1 }, "bad-request", `"timeoutMs" must be ${WAIT}.`],
    ["unmount", { drainMs: 2 ** 31 }, "bad-request", `"drainMs" must be ${WAIT}.`],
    ["export", { id: 1, path: "a" }, "bad-request", '"path" must be an absolute path.'],
    ["export", { id: 1, path: `${MOUNTPOINT}/a` }, "bad-request", `${MOUNTPOINT}/a is in the mount itself.`],
    ["export", { id: 1, path: "/mnt/x/../seafile/a" }, "bad-request", '"path" must be an absolute path.'],
  ])("%s with %j is refused as %s", async (method, params, code, message) => {
    expect(await exchange(request(7, method, params), 1)).toEqual([{ id: 7, error: { message, code } }]);
    expect(control.calls).toEqual([]);
  });

  it.each(["nonsense", "[]", "null", '{"method":"status"}', '{"id":"1","method":"status"}', ""])(
    "%j is answered as no request, and the next request works",
    async (line) => {
      const [first, second] = await exchange(`${line}\n${request(2, "queue")}`, 2);
      expect(first).toMatchObject({ id: null, error: { code: "bad-request" } });
      expect(second).toEqual({ id: 2, result: [] });
    },
  );

  it("a line without an end is refused and its connection closed", async () => {
    expect(await exchange(Buffer.alloc(MAX_REQUEST_BYTES + 1, "a"), 2)).toMatchObject([
      { id: null, error: { code: "too-large" } },
    ]);
    expect(await (await connect()).queue()).toEqual([]);
  });

  it("an answer that is too long is a failure of that request only", async () => {
    control.items = [queueItem(1, { because: "x".repeat(64 * 2 ** 20) })];
    const client = await connect();
    await expect(client.queue()).rejects.toMatchObject({ code: "too-large" });
    expect((await client.status()).queue.files).toBe(1);
  });

  it("a failure inside the mount is an answer, too", async () => {
    control.queue = () => {
      throw new TypeError("x is undefined");
    };
    expect(await exchange(request(1, "queue"), 1)).toEqual([
      { id: 1, error: { message: "x is undefined", code: "failed" } },
    ]);
  });
});

describe("a stream of requests", () => {
  it("may be cut anywhere, also inside a character", async () => {
    const bytes = Buffer.from(request(1, "sync", { path: "/Wörk/日本" }) + request(2, "queue"));
    const socket = createConnection(server.path);
    for (const byte of bytes) {
      socket.write(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await vi.waitFor(() => expect(control.calls).toEqual([["sync", "/Wörk/日本"]]));
    socket.destroy();
  });

  it("of many at once is answered completely", async () => {
    const answers = await exchange(Array.from({ length: 500 }, (_, id) => request(id, "queue")).join(""), 500);
    expect(answers.map((answer) => (answer as { id: number }).id).sort((a, b) => a - b)).toEqual([
      ...Array.from({ length: 500 }, (_, id) => id),
    ]);
  });

  it("beyond those under way waits until one of them has ended", async () => {
    let release!: () => void;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    let running = 0;
    let most = 0;
    control.onUnmount = async () => {
      most = Math.max(most, ++running);
      await gate;
      running--;
      return { pending: 0 };
    };
    const answers = exchange(Array.from({ length: 40 }, (_, id) => request(id, "unmount")).join(""), 40);
    await vi.waitFor(() => expect(running).toBe(16));
    release();
    expect(await answers).toHaveLength(40);
    expect(most).toBe(16);
  });

  it("of a client that never reads does not keep the mount from ending", async () => {
    control.items = Array.from({ length: 2000 }, (_, i) => queueItem(i + 1));
    const socket = createConnection(server.path);
    socket.on("error", () => {});
    socket.pause();
    socket.write(Array.from({ length: 100 }, (_, id) => request(id, "queue")).join(""));
    await new Promise((resolve) => setTimeout(resolve, 100));
    await server.close();
    socket.resume();
    // What was on the way arrives, then the end.
    expect((await text(socket)).length).toBeGreaterThan(0);
  });
});
