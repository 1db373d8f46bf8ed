/** Multipart bodies come apart right wherever they are cut, and names are read as the C and the Go file server read them. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { boundaryOf, MultipartReader, readSmall } from "../../src/devserver/multipart.ts";
import { parseLikeC, parseLikeGo } from "../../src/devserver/part-header.ts";

async function* cut(data: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  let at = 0;
  for (let i = 0; at < data.length; i++) {
    const size = sizes[i % sizes.length]!;
    yield data.subarray(at, at + size);
    at += size;
  }
}

function encode(parts: readonly Buffer[]): Buffer {
  const pieces = parts.flatMap((part, index) => [
    Buffer.from(`--BOUND\r\nX: ${index}\r\n\r\n`),
    part,
    Buffer.from("\r\n"),
  ]);
  return Buffer.concat([...pieces, Buffer.from("--BOUND--\r\n")]);
}

async function readAll(source: AsyncIterable<Buffer>): Promise<{ header: string; body: Buffer }[]> {
  const reader = new MultipartReader(source, "BOUND");
  const parts: { header: string; body: Buffer }[] = [];
  for (let part = await reader.next(); part !== undefined; part = await reader.next()) {
    parts.push({ header: part.header.toString(), body: await readSmall(part.body) });
  }
  return parts;
}

const content = fc
  .array(fc.constantFrom("\r\n", "\r", "\n", "--", "--BOUND", "\r\n--BOUN", "\r\n--BOUNDx", "a", "\0", "é"), {
    maxLength: 8,
  })
  .map((pieces) => Buffer.from(pieces.join("")));
// What holds a whole delimiter line ends its part by right.
const part = content.filter((data) => !/\r\n--BOUND(--|\r\n)/.test(`${data.toString()}\r\n`));

describe("multipart reader", () => {
  it("gives every part back, whatever it holds and however the stream is cut", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(part, { minLength: 1, maxLength: 4 }),
        fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 5 }),
        async (parts, sizes) => {
          const read = await readAll(cut(encode(parts), sizes));
          expect(read).toEqual(parts.map((body, index) => ({ header: `X: ${index}`, body })));
        },
      ),
      { numRuns: 300 },
    );
  });

  it("skips a body that nobody read", async () => {
    const reader = new MultipartReader(cut(encode([Buffer.from("one"), Buffer.from("two")]), [3]), "BOUND");
    await reader.next();
    const second = await reader.next();
    expect((await readSmall(second!.body)).toString()).toBe("two");
  });

  it("refuses a body that ends early or does not begin with its boundary", async () => {
    const whole = encode([Buffer.from("data")]);
    for (const length of [0, 5, 20, whole.length - 6]) {
      await expect(readAll(cut(whole.subarray(0, length), [7]))).rejects.toThrow("ends before its last boundary");
    }
    await expect(readAll(cut(Buffer.from("something else entirely"), [7]))).rejects.toThrow("does not begin");
  });

  it("finds the boundary in a Content-Type, quoted or not", () => {
    expect(boundaryOf("multipart/form-data; boundary=abc")).toBe("abc");
    expect(boundaryOf('multipart/form-data; charset=utf-8; boundary="a b"')).toBe("a b");
    expect(boundaryOf("application/json")).toBeUndefined();
  });
});

describe("file names, as observed on real servers", () => {
  const header = (parameters: string) => Buffer.from(`Content-Disposition: form-data; name="file"; ${parameters}`);
  const cases: [title: string, parameters: string, c: string, go: string][] = [
    ["plain", 'filename="ok.txt"', "ok.txt", "ok.txt"],
    ["raw UTF-8", 'filename="naïve.txt"', "naïve.txt", "naïve.txt"],
    ["%22 stays", 'filename="q%22uote.txt"', "q%22uote.txt", "q%22uote.txt"],
    ["escaped quote", 'filename="b\\"q.txt"', '"q.txt', 'b"q.txt'],
    ["backslash", 'filename="back\\slash.txt"', "slash.txt", "back\\slash.txt"],
    ["slash", 'filename="x/y.txt"', "y.txt", "y.txt"],
    ["unquoted", "filename=unq.txt", "filename=unq.txt", "unq.txt"],
    ["semicolon", 'filename="semi;colon.txt"', "semi;colon.txt", "semi;colon.txt"],
    ["filename* only", "filename*=UTF-8''star%20name.txt", "filename*=UTF-8''star%20name.txt", "star name.txt"],
    ["both", "filename=\"plain.txt\"; filename*=UTF-8''starred.txt", "plain.txt", "starred.txt"],
    ["spaces at the ends", 'filename=" a "', " a ", " a "],
  ];
  for (const [title, parameters, c, go] of cases) {
    it(`${title}: ${parameters} is ${JSON.stringify(c)} for C and ${JSON.stringify(go)} for Go`, () => {
      expect(parseLikeC(header(parameters))).toEqual({ name: "file", fileName: c });
      expect(parseLikeGo(header(parameters))).toEqual({ name: "file", fileName: go });
    });
  }

  it("bytes that are not UTF-8 are a bad request for C", () => {
    const raw = Buffer.concat([header('filename="'), Buffer.from([0xff, 0x22])]);
    expect(parseLikeC(raw)).toBeUndefined();
  });

  it("a field has no file name", () => {
    const field = Buffer.from('Content-Disposition: form-data; name="parent_dir"');
    expect([parseLikeC(field), parseLikeGo(field)]).toEqual(Array(2).fill({ name: "parent_dir", fileName: undefined }));
  });
});
