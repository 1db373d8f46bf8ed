/** Connections, retries, limits: how long a request is pursued, how many run at once, and what never happens. */

import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { SeafileError } from "../../src/seafile/errors.ts";
import type { ClientOptions } from "../../src/seafile/http.ts";
import { abortReason } from "../../src/util/abort.ts";
import { FAST, type Handler, idOf, json, LIBRARY, libraryAt, startServer, TOKEN } from "./seafile-server.ts";

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function setUp(handler: Handler, options: Partial<ClientOptions> = {}, prefix = "") {
  const server = await startServer(handler);
  const [library, account] = libraryAt(server.url + prefix, options);
  closers.push(
    () => account.close(),
    () => server.close(),
  );
  return { server, library, account };
}

const listing: Handler = (_hit, response) => json(response, [], { oid: idOf("1"), dir_perm: "rw" });

/** Answers `failures` times with a failure and then with a listing. */
const failing = (failures: number, fail: Handler): Handler => {
  return (hit, response, count) => (count < failures ? fail : listing)(hit, response, count);
};

describe("a request that does no harm when repeated", () => {
  it.each([500, 502, 503, 504, 520, 429, 409])("is repeated after %i", async (status) => {
    const { server, library } = await setUp(failing(2, (_hit, response) => response.writeHead(status).end()));
    expect(await library.list("/")).toMatchObject({ id: idOf("1") });
    expect(server.hits).toHaveLength(3);
  });

  it("is repeated after a cut connection and a cut body", async () => {
    const { server, library } = await setUp(
      failing(2, (_hit, response, count) => {
        if (count === 0) return response.destroy();
        response.writeHead(200, { "content-length": 100, oid: idOf("1") }).write("[");
        setTimeout(() => response.destroy(), 5);
      }),
    );
    expect(await library.list("/")).toMatchObject({ id: idOf("1") });
    expect(server.hits).toHaveLength(3);
  });

  it.each([400, 401, 403, 404, 443])("is not repeated after %i", async (status) => {
    const { server, library } = await setUp((_hit, response) => response.writeHead(status).end("{}"));
    await expect(library.list("/")).rejects.toMatchObject({ status });
    expect(server.hits).toHaveLength(1);
  });

  it("is given up with kind server when 500 stays", async () => {
    const { server, library } = await setUp((_hit, response) => response.writeHead(500).end());
    await expect(library.list("/")).rejects.toMatchObject({ kind: "server" });
    expect(server.hits).toHaveLength(FAST.maxServerErrors);
  });

  it("is repeated beyond the deadline when Retry-After asks for it", async () => {
    const { library } = await setUp(
      failing(1, (_hit, response) => response.writeHead(429, { "retry-after": "1" }).end()),
      { retry: { ...FAST, deadlineMs: 300 } },
    );
    expect(await library.list("/")).toMatchObject({ id: idOf("1") });
  });

  it("is given up with kind throttled when Retry-After is too long", async () => {
    const { server, library } = await setUp((_hit, response) =>
      response.writeHead(429, { "retry-after": "3600" }).end(),
    );
    await expect(library.list("/")).rejects.toMatchObject({ kind: "throttled", retryAfterMs: 3_600_000 });
    expect(server.hits).toHaveLength(1);
  });
});

describe("a dead server", () => {
  it("that refuses connections ends in kind unreachable by the deadline", async () => {
    const { server, library } = await setUp(listing, { retry: { ...FAST, deadlineMs: 200 } });
    await server.close();
    await expect(library.list("/")).rejects.toMatchObject({ kind: "unreachable" });
  });

  it("that accepts and never answers ends in kind timeout", async () => {
    const { server, library } = await setUp(() => {}, {
      retry: { ...FAST, deadlineMs: 100 },
      timeouts: { headers: 1_000 },
    });
    await expect(library.list("/")).rejects.toMatchObject({ kind: "timeout" });
    expect(server.hits).toHaveLength(1);
  });

  it("that stops in the middle of a body ends in kind timeout", async () => {
    const { library } = await setUp((_hit, response) => response.writeHead(200, { "content-length": 9 }).write("["), {
      retry: { ...FAST, deadlineMs: 100 },
      timeouts: { body: 1_000 },
    });
    await expect(library.list("/")).rejects.toMatchObject({ kind: "timeout" });
  });

  it("is waited for while it restarts", async () => {
    const { server, library, account } = await setUp(listing, { retry: { ...FAST, deadlineMs: 10_000 } });
    const { port } = new URL(server.url);
    await server.close();
    const listed = library.list("/");
    const again = createServer((socket) => {
      const body = "[]";
      const head = `HTTP/1.1 200 OK\r\noid: ${idOf("2")}\r\nContent-Length: ${body.length}\r\n\r\n`;
      socket.once("data", () => socket.write(head + body));
    });
    setTimeout(() => again.listen(Number(port), "127.0.0.1"), 100);
    expect(await listed).toMatchObject({ id: idOf("2") });
    await account.close();
    await new Promise((resolve) => again.close(resolve));
  });

  it("that speaks something else than HTTP is kind protocol, at once", async () => {
    const server = createServer((socket) => socket.once("data", () => socket.end("500 what?\r\n")));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const [library, account] = libraryAt(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    await expect(library.list("/")).rejects.toMatchObject({ kind: "protocol" });
    await account.close();
    await new Promise((resolve) => server.close(resolve));
  });
});

describe("abort", () => {
  it("ends a request that hangs, a wait between attempts, and a wait for a place", async () => {
    const hanging = await setUp(() => {}, { maxRequests: 1 });
    const waiting = await setUp((_hit, response) => response.writeHead(429, { "retry-after": "5" }).end());
    const controller = new AbortController();
    const { signal } = controller;
    const all = [hanging.library, hanging.library, waiting.library].map((library) =>
      library.list("/", undefined, signal).then(
        () => "listed",
        (error: unknown) => error,
      ),
    );
    setTimeout(() => controller.abort(new Error("Ctrl-C")), 50);
    expect(await Promise.all(all)).toEqual([1, 2, 3].map(() => abortReason(signal)));
    expect(hanging.server.hits).toHaveLength(1);
  });

  it("gives the place back", async () => {
    let hang = true;
    const { library } = await setUp((hit, response, count) => (hang ? undefined : listing(hit, response, count)), {
      maxRequests: 1,
    });
    const controller = new AbortController();
    const hung = library.list("/", undefined, controller.signal);
    setTimeout(() => controller.abort(new Error("Ctrl-C")), 30);
    await expect(hung).rejects.toThrow("Ctrl-C");
    hang = false;
    expect(await library.list("/")).toMatchObject({ id: idOf("1") });
  });

  it("close() ends what is under way", async () => {
    const { library, account } = await setUp(() => {});
    const listed = library.list("/");
    setTimeout(() => void account.close(), 30);
    await expect(listed).rejects.toMatchObject({ kind: "unreachable" });
  });
});

describe("limits", () => {
  it("run no more requests at once than allowed", async () => {
    let running = 0;
    let most = 0;
    const { library } = await setUp(
      (hit, response, count) => {
        most = Math.max(most, ++running);
        setTimeout(() => {
          running--;
          listing(hit, response, count);
        }, 10);
      },
      { maxRequests: 3 },
    );
    await Promise.all(Array.from({ length: 12 }, () => library.list("/")));
    expect(most).toBe(3);
  });
});

describe("secrets and addresses", () => {
  it("never follow a redirect", async () => {
    const other = await startServer(listing);
    closers.push(() => other.close());
    const { library } = await setUp((_hit, response) =>
      response.writeHead(301, { location: `${other.url}/api2/repos/` }).end(),
    );
    await expect(library.list("/")).rejects.toMatchObject({
      kind: "protocol",
      message: expect.stringContaining(other.url),
    });
    expect(other.hits).toEqual([]);
  });

  it("the token is in no error, whatever the server answers", async () => {
    const { library } = await setUp((hit, response, count) => {
      if (count % 2 === 0) response.writeHead(400).end(`<title>${hit.headers.authorization}</title>`);
      else response.writeHead(200).end(`"${hit.headers.authorization}"`);
    });
    for (let i = 0; i < 2; i++) {
      const error: unknown = await library.list("/").catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(SeafileError);
      expect(JSON.stringify([(error as Error).message, (error as Error).stack, error])).not.toContain(TOKEN);
    }
  });

  it("a path prefix of the server is kept, with one slash", async () => {
    const { server, library } = await setUp(listing, {}, "/seafile//");
    await library.list("/ä b+%");
    expect(server.hits[0]!.path).toBe(`/seafile/api2/repos/${LIBRARY}/dir/`);
    expect(server.hits[0]!.query.get("p")).toBe("/ä b+%");
  });

  it("a web page in place of an answer is kind protocol", async () => {
    const { library } = await setUp((_hit, response) => response.end("<!DOCTYPE html><html>Wi-Fi login</html>"));
    await expect(library.list("/")).rejects.toMatchObject({ kind: "protocol" });
  });
});
