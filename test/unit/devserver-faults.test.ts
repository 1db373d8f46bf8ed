/** Faults do to a request what they say, to as many requests as they say, and the request log counts what arrived. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startServer, type TestServer } from "./devserver-client.ts";

let test: TestServer;

beforeEach(async () => {
  test = await startServer({ controlApi: true });
});
afterEach(() => test.server.close());

const status = async (response: Promise<Response>) => (await response).status;
const listing = () => test.api(`/api2/repos/${test.library}/dir/`);

describe("faults", () => {
  it("fail answers the next requests of a kind only, without doing anything", async () => {
    test.server.faults.fail("mkdir", 520, { times: 2 });
    const mkdir = () => test.form(`/api2/repos/${test.library}/dir/?p=/d`, { operation: "mkdir" });
    expect([await status(mkdir()), await status(listing()), await status(mkdir())]).toEqual([520, 200, 520]);
    expect(test.server.store.list(test.library, "/")).toEqual([]);
    expect(await status(mkdir())).toBe(201);
  });

  it("a fault with `after` lets so many requests of the kind pass first", async () => {
    test.server.faults.fail("dir", 500, { after: 2, times: 2 });
    const mkdir = () => test.form(`/api2/repos/${test.library}/dir/?p=/d`, { operation: "mkdir" });
    const answers = [listing, mkdir, listing, listing, listing, listing].map((request) => () => status(request()));
    const seen: number[] = [];
    for (const answer of answers) seen.push(await answer());
    expect(seen).toEqual([200, 201, 200, 500, 500, 200]);
  });

  it("fail takes a body and headers, and has the real answer's where none are given", async () => {
    const { faults } = test.server;
    faults.fail("*", 503, { body: "busy", headers: { "Retry-After": "7", "content-type": "text/plain" } });
    const given = await listing();
    expect([given.headers.get("retry-after"), given.headers.get("content-type"), await given.text()]).toEqual([
      "7",
      "text/plain",
      "busy",
    ]);
    faults.fail("dir", 429);
    const throttled = await listing();
    expect([throttled.headers.get("retry-after"), await throttled.text()]).toEqual([
      "1",
      '{"detail":"Request was throttled. Expected available in 1 second."}',
    ]);
  });

  it("fail of an upload answers a client that is still sending, and commits nothing", async () => {
    test.server.faults.fail("upload", 500);
    expect(await status(test.upload("big", Buffer.alloc(3_000_000)))).toBe(500);
    expect(test.server.store.list(test.library, "/")).toEqual([]);
    expect(await status(test.upload("big", Buffer.alloc(3_000_000)))).toBe(200);
  });

  it("cut ends a download after exactly that many bytes", async () => {
    await test.server.store.writeFile(test.library, "/f", Buffer.alloc(500_000, "x"));
    const link = await test.link(`/api2/repos/${test.library}/file/?p=/f&reuse=1`);
    test.server.faults.cut("download", 123_456);
    const response = await fetch(link);
    let received = 0;
    const read = async () => {
      for await (const chunk of response.body!) received += chunk.length;
    };
    await expect(read()).rejects.toThrow();
    expect(received).toBe(123_456);
    expect((await (await fetch(link)).arrayBuffer()).byteLength).toBe(500_000);
  });

  it("cut ends an upload while it is sent, and nothing of it is stored", async () => {
    test.server.faults.cut("upload", 100_000);
    await expect(test.upload("f", Buffer.alloc(2_000_000))).rejects.toThrow();
    expect(test.server.store.list(test.library, "/")).toEqual([]);
  });

  it("cut of an upload's answer loses the answer and keeps the upload", async () => {
    test.server.faults.cut("upload", 0, { answer: true });
    await expect(test.upload("f", "data")).rejects.toThrow();
    expect((await test.server.store.readFile(test.library, "/f")).toString()).toBe("data");
    expect(await status(test.upload("g", "data"))).toBe(200);
  });

  it("hang never answers, and ends with the client", async () => {
    test.server.faults.hang("dir");
    const answer = await Promise.race([
      test.api(`/api2/repos/${test.library}/dir/`, { signal: AbortSignal.timeout(150) }).then(
        () => "answered",
        () => "gave up",
      ),
    ]);
    expect(answer).toBe("gave up");
    expect(await status(listing())).toBe(200);
    expect(test.server.requests.list().map((request) => request.status)).toEqual([0, 200]);
  });

  it("delay lets other requests pass", async () => {
    test.server.faults.delay("dir", 200);
    const order: string[] = [];
    await Promise.all([
      listing().then(() => order.push("dir")),
      test.api("/api2/account/info/").then(() => order.push("account")),
    ]);
    expect(order).toEqual(["account", "dir"]);
  });

  it("down breaks every connection at both origins until it is up again", async () => {
    const { server } = test;
    server.faults.down();
    await expect(listing()).rejects.toThrow();
    await expect(fetch(`${server.fileServerUrl}/protocol-version`)).rejects.toThrow();
    server.faults.up();
    expect(await status(listing())).toBe(200);
    expect(await status(fetch(`${server.fileServerUrl}/protocol-version`))).toBe(200);
  });

  it("expireLinks forgets links and leaves logins alone", async () => {
    const link = await test.link(`/api2/repos/${test.library}/upload-link/`);
    test.server.faults.expireLinks();
    expect(await status(test.upload("f", "1", { link }))).toBe(403);
    expect(await status(test.upload("f", "1"))).toBe(200);
  });

  it("clear forgets what was planned", async () => {
    test.server.faults.fail("*", 500, { times: Number.POSITIVE_INFINITY });
    test.server.faults.clear();
    expect(await status(listing())).toBe(200);
  });
});

describe("request log", () => {
  it("names each family of endpoints", async () => {
    const { form, library, server } = test;
    await test.api("/api2/repos/");
    await form(`/api2/repos/${library}/dir/?p=/d`, { operation: "mkdir" });
    await form(`/api2/repos/${library}/dir/?p=/d`, { operation: "rename", newname: "e" });
    await test.upload("f", "1");
    await fetch(await test.link(`/api2/repos/${library}/file/?p=/f`));
    await form(`/api/v2.1/repos/${library}/file/?p=/f`, { operation: "rename", newname: "g" });
    await test.api(`/api/v2.1/repos/${library}/file/?p=/g`, { method: "DELETE" });
    await test.api("/api2/nonesuch/");
    expect(server.requests.list().map((request) => `${request.kind} ${request.status}`)).toEqual([
      "repos 200",
      "mkdir 201",
      "rename 200",
      "upload-link 200",
      "upload 200",
      "file-link 200",
      "download 200",
      "rename 200",
      "delete-file 200",
      "unknown 404",
    ]);
    expect([server.requests.count(), server.requests.count("rename")]).toEqual([10, 2]);
    server.requests.reset();
    expect(server.requests.count()).toBe(0);
  });
});

describe("control API", () => {
  const control = (method: string, name: string, body?: object) =>
    fetch(`${test.server.url}/_dev/${name}`, { method, ...(body && { body: JSON.stringify(body) }) });

  it("plans faults, reads and empties the log, and is not in it", async () => {
    expect(await status(control("POST", "faults", { type: "fail", kind: "dir", status: 500 }))).toBe(200);
    expect(await status(listing())).toBe(500);
    const log = (await (await control("GET", "requests")).json()) as { kind: string }[];
    expect(log.map((request) => request.kind)).toEqual(["dir"]);
    await control("DELETE", "requests");
    expect(test.server.requests.count()).toBe(0);
    expect(await status(control("POST", "faults", { type: "explode" }))).toBe(400);
    expect(await status(control("POST", "nonesuch"))).toBe(404);
  });

  it("takes the server down and up again", async () => {
    await control("POST", "down");
    await expect
      .poll(() =>
        listing().then(
          () => "up",
          () => "down",
        ),
      )
      .toBe("down");
    expect(await status(control("POST", "up"))).toBe(200);
    expect(await status(listing())).toBe(200);
  });

  it("moves the clock", async () => {
    const link = await test.link(`/api2/repos/${test.library}/upload-link/`);
    await control("POST", "clock", { advanceMs: 3_600_000 });
    expect(await status(test.upload("f", "1", { link }))).toBe(403);
  });
});

it("without the option there is no control API", async () => {
  const plain = await startServer();
  expect(await status(fetch(`${plain.server.url}/_dev/requests`))).toBe(404);
  await plain.server.close();
});
