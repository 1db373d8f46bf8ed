/**
 * Several requests at once, and connections that break: sections 21, 22 and 25 of the recordings, without their timings and
 * without what they show as a server's bug (conflict copies and doubled names under concurrent writes of one name).
 */
import { Agent, request as httpRequest } from "node:http";
import { connect } from "node:net";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { exchange, multipart } from "./raw-http.ts";
import type { Flavour } from "./recording.ts";
import { Stage, TEST_USER } from "./stage.ts";

let stage: Stage;

async function open(flavour: Flavour): Promise<void> {
  stage = await Stage.open({ flavour });
  await stage.prepare([
    { library: "Many", owner: TEST_USER },
    { mkdir: "/d", library: "Many" },
    { link: "up", kind: "upload", library: "Many", path: "/d" },
  ]);
}

afterEach(() => stage.close());

const names = () => stage.server.store.list(stage.libraryId("Many"), "/d").map(({ name }) => name);
const numbered = (count: number, name: string) => Array.from({ length: count }, (_, index) => `${name}${index + 10}`);

async function api(method: string, path: string, form?: string): Promise<string> {
  const { status } = await exchange({
    method,
    url: `${stage.server.url}/api2/repos/${stage.libraryId("Many")}/${path}`,
    headers: {
      Authorization: `Token ${stage.server.token(TEST_USER)}`,
      "Content-Type": "application/x-www-form-urlencoded",
    },
    ...(form === undefined ? {} : { body: Buffer.from(form) }),
  });
  return status;
}

async function upload(name: string): Promise<string> {
  const { contentType, body } = multipart([
    { name: "file", filename: name, content: name },
    { name: "parent_dir", content: "/d" },
  ]);
  const url = `${stage.server.fileServerUrl}/upload-api/${stage.variables.get("up")}`;
  return (await exchange({ method: "POST", url, headers: { "Content-Type": contentType }, body })).status;
}

describe.each(["c", "go"] as const)("flavour %s", (flavour) => {
  beforeEach(() => open(flavour));

  it("does forty mkdirs, uploads, renames and deletes in one folder at the same time", async () => {
    const folders = numbered(40, "dir");
    const files = numbered(40, "file");
    const made = await Promise.all(folders.map((name) => api("POST", `dir/?p=/d/${name}`, "operation=mkdir")));
    expect(new Set(made)).toEqual(new Set(["201 Created"]));
    expect(new Set(await Promise.all(files.map(upload)))).toEqual(new Set(["200 OK"]));
    expect(names().sort()).toEqual([...folders, ...files]);

    const renamed = await Promise.all(
      files.map((name) => api("POST", `file/?p=/d/${name}`, `operation=rename&newname=new-${name}`)),
    );
    expect(new Set(renamed)).toEqual(new Set(["301 Moved Permanently"]));
    expect(names().sort()).toEqual([...folders, ...files.map((name) => `new-${name}`)]);

    const deleted = await Promise.all(
      [...folders, ...files.map((name) => `new-${name}`)].map((name) => api("DELETE", `file/?p=/d/${name}`)),
    );
    expect(new Set(deleted)).toEqual(new Set(["200 OK"]));
    expect(names()).toEqual([]);
  });

  it("keeps all sixteen contents of concurrent uploads of one name", async () => {
    expect(new Set(await Promise.all(numbered(16, "").map(() => upload("one.txt"))))).toEqual(new Set(["200 OK"]));
    expect(names()).toHaveLength(16);
    expect(names()).toContain("one.txt");
    expect(names()).toContain("one (1).txt");
  });

  it("makes nothing of an upload whose connection breaks half-way", async () => {
    const { contentType, body } = multipart([
      { name: "parent_dir", content: "/d" },
      { name: "file", filename: "half.bin", content: { counter: 1000 } },
    ]);
    const { port, pathname } = new URL(`${stage.server.fileServerUrl}/upload-api/${stage.variables.get("up")}`);
    const socket = connect(Number(port), "127.0.0.1");
    const closed = new Promise((resolve) => socket.on("close", resolve));
    const head = `POST ${pathname} HTTP/1.1\r\nHost: x\r\nContent-Type: ${contentType}\r\nContent-Length: ${body.length}\r\n\r\n`;
    socket.write(Buffer.concat([Buffer.from(head), body.subarray(0, body.length / 2)]), () => socket.destroy());
    await closed;
    expect(await upload("after.txt")).toBe("200 OK");
    expect(names()).toEqual(["after.txt"]);
  });

  it("answers HEAD with Range as recorded: the C server sends the body all the same, the Go server does not", async () => {
    await stage.prepare([
      { write: "/d/r.bin", library: "Many", content: { counter: 1000 } },
      { link: "r-bin", kind: "download", library: "Many", path: "/d/r.bin", reuse: true },
    ]);
    const { port, pathname } = new URL(`${stage.server.fileServerUrl}/files/${stage.variables.get("r-bin")}/r.bin`);
    const socket = connect(Number(port), "127.0.0.1");
    let received = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
    });
    // The second request ends the connection, so that its end is the end of what the server had to say.
    socket.write(`HEAD ${pathname} HTTP/1.1\r\nHost: x\r\nRange: bytes=0-9\r\n\r\n`);
    await vi.waitFor(() => expect(received.includes("\r\n\r\n")).toBe(true));
    socket.write(`GET /files/zzz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    await new Promise((resolve) => socket.on("close", resolve));
    const between = received.subarray(received.indexOf("\r\n\r\n") + 4, received.lastIndexOf("HTTP/1.1 4"));
    expect([...between]).toEqual(flavour === "c" ? [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] : []);
  });

  it("keeps a connection to the file server open after an answer, an error included", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const reused: boolean[] = [];
    for (let round = 0; round < 3; round++) {
      await new Promise<void>((resolve, reject) => {
        const url = `${stage.server.fileServerUrl}/files/00000000-0000-0000-0000-000000000000/x`;
        const outgoing = httpRequest(url, { agent }, (incoming) => {
          expect(incoming.statusCode).toBe(403);
          incoming.resume().on("end", resolve);
        });
        outgoing.on("error", reject).end();
        outgoing.on("response", () => reused.push(outgoing.reusedSocket));
      });
    }
    agent.destroy();
    expect(reused).toEqual([false, true, true]);
  });
});
