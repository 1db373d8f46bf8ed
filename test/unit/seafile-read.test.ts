/** Reading a version over download links: what is requested, what survives, what is refused. */
import type { ServerResponse } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import type { ClientOptions } from "../../src/seafile/http.ts";
import type { FileVersion } from "../../src/seafile/types.ts";
import {
  bytesOf,
  type Handler,
  type Hit,
  INFO,
  idOf,
  json,
  LIBRARY,
  LINK_ID,
  libraryAt,
  startServer,
} from "./seafile-server.ts";

const DATA = "0123456789abcdefghijklmnopqrstuvwxyz";
const ID = idOf("a");
const VERSION: FileVersion = { path: "/d/x.txt", id: ID, size: DATA.length };
const LINK_PATH = `/api2/repos/${LIBRARY}/file/`;
const FILE_PATH = `/files/${LINK_ID}/x.txt`;

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function setUp(files: Handler, options: Partial<ClientOptions> = {}, id: () => string = () => ID) {
  const server = await startServer((hit, response, count) => {
    if (hit.path === LINK_PATH) json(response, `http://${hit.headers.host}${FILE_PATH}`, { oid: id() });
    else files(hit, response, count);
  });
  const [library, account] = libraryAt(server.url, options);
  closers.push(
    () => account.close(),
    () => server.close(),
  );
  return { server, library, account };
}

/** As the C file server answers: 206 for a range, 200 without one. */
function serveCut(hit: Hit, response: ServerResponse, cutAfter: number): void {
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(hit.headers.range ?? "") ?? [];
  const [start, end] = from === undefined ? [0, DATA.length] : [Number(from), Number(to) + 1];
  const body = DATA.slice(start, end);
  response.writeHead(from === undefined ? 200 : 206, {
    "content-length": body.length,
    ...(from === undefined ? {} : { "content-range": `bytes ${start}-${end - 1}/${DATA.length}` }),
  });
  if (cutAfter >= body.length) response.end(body);
  else response.write(body.slice(0, cutAfter), () => setTimeout(() => response.destroy(), 5));
}

const serve: Handler = (hit, response) => serveCut(hit, response, Number.POSITIVE_INFINITY);

describe("Library.read", () => {
  it("takes one link and one ranged request, and reuses the link for the next range", async () => {
    const { server, library } = await setUp(serve);
    expect(await bytesOf(library.read(VERSION, 4, 10))).toBe(DATA.slice(4, 10));
    expect(await bytesOf(library.read(VERSION, 10, 36))).toBe(DATA.slice(10));
    expect(server.lines()).toEqual([`GET ${LINK_PATH}`, `GET ${FILE_PATH}`, `GET ${FILE_PATH}`]);
    expect(server.hits[0]!.query.get("reuse")).toBe("1");
    expect(server.hits[1]!.headers.range).toBe("bytes=4-9");
  });

  it("reads a whole file without a Range header and never sends conditional headers", async () => {
    const { server, library } = await setUp(serve);
    expect(await bytesOf(library.read(VERSION, 0, 1e9))).toBe(DATA);
    const { headers } = server.hits[1]!;
    expect(headers.range).toBeUndefined();
    expect(Object.keys(headers).filter((name) => name.startsWith("if-"))).toEqual([]);
  });

  it("requests nothing for an empty range, an empty file or a range behind the end", async () => {
    const { server, library } = await setUp(serve);
    expect(await bytesOf(library.read(VERSION, 5, 5))).toBe("");
    expect(await bytesOf(library.read({ ...VERSION, size: 0 }, 0, 10))).toBe("");
    expect(await bytesOf(library.read(VERSION, 36, 99))).toBe("");
    expect(server.hits).toEqual([]);
  });

  it("keeps the token away from the file server", async () => {
    const { server, library } = await setUp(serve);
    await bytesOf(library.read(VERSION, 0, 3));
    expect(server.hits[0]!.headers.authorization).toMatch(/^Token /);
    expect(server.hits[1]!.headers.authorization).toBeUndefined();
  });

  it("continues a cut body where it stopped", async () => {
    const { server, library } = await setUp((hit, response, count) => serveCut(hit, response, count < 3 ? 5 : 99));
    expect(await bytesOf(library.read(VERSION, 2, 36))).toBe(DATA.slice(2));
    expect(server.hits.slice(1).map(({ headers }) => headers.range)).toEqual([
      "bytes=2-35",
      "bytes=7-35",
      "bytes=12-35",
      "bytes=17-35",
    ]);
  });

  it("is not stopped by more cuts than it has patience for, as long as bytes arrive", async () => {
    const { library } = await setUp((hit, response) => serveCut(hit, response, 1), {
      retry: { deadlineMs: 200, firstDelayMs: 1, maxDelayMs: 50, maxServerErrors: 2 },
    });
    expect(await bytesOf(library.read(VERSION, 0, 36))).toBe(DATA);
  });

  it("skips to the offset when a server answers a range with the whole file", async () => {
    const { library } = await setUp((_hit, response) => response.end(DATA));
    expect(await bytesOf(library.read(VERSION, 7, 12))).toBe(DATA.slice(7, 12));
  });

  it("renews a refused link once and goes on", async () => {
    const { server, library } = await setUp((hit, response, count) => {
      if (count === 0) response.writeHead(403).end("Access token not found\n");
      else serveCut(hit, response, 99);
    });
    expect(await bytesOf(library.read(VERSION, 0, 36))).toBe(DATA);
    expect(server.lines().filter((line) => line === `GET ${LINK_PATH}`)).toHaveLength(2);
  });

  it("gives up with kind forbidden when the renewed link is refused too", async () => {
    const { server, library } = await setUp((_hit, response) =>
      response.writeHead(403).end("Access token not found\n"),
    );
    await expect(bytesOf(library.read(VERSION, 0, 36))).rejects.toMatchObject({ kind: "forbidden", status: 403 });
    expect(server.hits).toHaveLength(4);
  });

  it("says gone when the path holds other content by now", async () => {
    const { library } = await setUp(serve, {}, () => idOf("b"));
    await expect(bytesOf(library.read(VERSION, 0, 36))).rejects.toMatchObject({ kind: "gone" });
  });

  it("renews a lease at the age of 3,000 s and not before", async () => {
    let now = 1_000_000;
    const { server, library } = await setUp(serve, { clock: () => now });
    const links = () => server.lines().filter((line) => line === `GET ${LINK_PATH}`).length;
    await bytesOf(library.read(VERSION, 0, 3));
    now += 2_999_999;
    await bytesOf(library.read(VERSION, 0, 3));
    expect(links()).toBe(1);
    now += 1;
    await bytesOf(library.read(VERSION, 0, 3));
    expect(links()).toBe(2);
  });

  it("shares one link request among simultaneous readers, and one reader's abort does not disturb the others", async () => {
    const { server, library } = await setUp(serve);
    const controller = new AbortController();
    const aborted = bytesOf(library.read(VERSION, 0, 3, controller.signal));
    const others = [bytesOf(library.read(VERSION, 0, 3)), bytesOf(library.read(VERSION, 3, 6))];
    controller.abort(new Error("given up"));
    await expect(aborted).rejects.toThrow("given up");
    expect(await Promise.all(others)).toEqual(["012", "345"]);
    expect(server.lines().filter((line) => line === `GET ${LINK_PATH}`)).toHaveLength(1);
  });

  it("ends on abort in the middle of a body", async () => {
    const { library } = await setUp((_hit, response) => {
      response.writeHead(200, { "content-length": DATA.length });
      response.write(DATA.slice(0, 4));
    });
    const controller = new AbortController();
    const reading = library.read(VERSION, 0, 36, controller.signal)[Symbol.asyncIterator]();
    expect((await reading.next()).value?.toString()).toBe("0123");
    setTimeout(() => controller.abort(new Error("Ctrl-C")), 5);
    await expect(reading.next()).rejects.toThrow("Ctrl-C");
  });

  it("retries 416 and short bodies, then says protocol", async () => {
    const { server, library } = await setUp((_hit, response) => response.writeHead(416).end());
    await expect(bytesOf(library.read(VERSION, 3, 36))).rejects.toMatchObject({ kind: "protocol", status: 416 });
    expect(server.hits).toHaveLength(1 + 4);
  });

  it("refuses bytes from another place than asked for", async () => {
    const { library } = await setUp((_hit, response) => {
      response.writeHead(206, { "content-range": `bytes 0-9/${DATA.length}` }).end(DATA.slice(0, 10));
    });
    await expect(bytesOf(library.read(VERSION, 3, 13))).rejects.toMatchObject({ kind: "protocol" });
  });

  it("keeps the connection when a caller stops at the last byte", async () => {
    const ports = new Set<number>();
    const { library } = await setUp((hit, response) => {
      ports.add(response.socket!.remotePort!);
      serveCut(hit, response, 99);
    });
    for (let i = 0; i < 8; i++) {
      for await (const chunk of library.read(VERSION, i, i + 4)) if (chunk.length === 4) break;
    }
    expect(ports.size).toBeLessThanOrEqual(2);
  });

  it("refuses an encrypted library before any request", async () => {
    const { server, account } = await setUp(serve);
    const library = account.library({ ...INFO, encrypted: true });
    await expect(bytesOf(library.read(VERSION, 0, 3))).rejects.toMatchObject({ kind: "encrypted" });
    await expect(library.pin(VERSION)).rejects.toMatchObject({ kind: "encrypted" });
    expect(server.hits).toEqual([]);
  });

  it("uses the override for the file server's address and prefix", async () => {
    const other = await startServer(serve);
    closers.push(() => other.close());
    const { server, library } = await setUp(serve, { fileServer: `${other.url}/seafhttp/` });
    expect(await bytesOf(library.read(VERSION, 0, 3))).toBe("012");
    expect(other.lines()).toEqual([`GET /seafhttp${FILE_PATH}`]);
    expect(server.lines()).toEqual([`GET ${LINK_PATH}`]);
  });
});

describe("Library.pin", () => {
  it("costs one request, none when leased, and says which id the path has now", async () => {
    const { server, library } = await setUp(serve);
    expect(await library.pin(VERSION)).toBe(ID);
    expect(await library.pin({ ...VERSION, path: "/moved.txt" })).toBe(ID);
    expect(server.hits).toHaveLength(1);
    expect(await library.pin({ ...VERSION, id: idOf("c") })).toBe(ID);
    expect(server.hits).toHaveLength(2);
  });
});
