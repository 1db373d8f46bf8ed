/** Names Seafile can store, names a multipart body can carry, addresses, object ids. */
import { describe, expect, it } from "vitest";
import {
  checkName,
  fitsFormField,
  fitsMultipart,
  isNumbered,
  join,
  nameOf,
  parentOf,
  toNfc,
} from "../../src/seafile/names.ts";
import { fileIdOf } from "../../src/seafile/object-id.ts";
import { fileServerLink, parseServer, prefixOf } from "../../src/seafile/server-address.ts";
import { ZERO_ID } from "../../src/seafile/types.ts";
import { contentOf, LINK_ID } from "./seafile-server.ts";

describe("checkName", () => {
  it.each([
    "a",
    ".hidden",
    " lead",
    "trail ",
    "dot.",
    'q"',
    "a:b*?<>|",
    "tab\tx",
    "100%",
    "CON",
    "é".repeat(127),
    "x".repeat(255),
  ])("accepts %j", (name) => expect(checkName(name)).toBeUndefined());

  it.each(["a\\b", "\u{1F600}"])("leaves %j to the server, which stores it", (name) =>
    expect(checkName(name)).toBe(undefined),
  );

  it.each(["", ".", "..", "a/b", "a\0b", "\ud800x"])("refuses %j as invalid", (name) =>
    expect(checkName(name)).toBe("invalid"),
  );

  it("counts bytes of the NFC form: 255 fit, 256 are too long", () => {
    expect(checkName("x".repeat(256))).toBe("too-long");
    expect(checkName("é".repeat(128))).toBe("too-long");
    expect(checkName("e\u0301".repeat(127))).toBeUndefined();
    expect(toNfc("e\u0301")).toBe("\u00e9");
  });
});

describe("what fits where", () => {
  it("keeps quotes, backslashes, control characters and 250 bytes out of multipart headers", () => {
    expect(fitsMultipart("naïve é; 'x' %22.txt")).toBe(true);
    expect(fitsMultipart("x".repeat(249))).toBe(true);
    for (const name of ['a"b', "a\\b", "a\nb", "a\tb", "x".repeat(250)]) expect(fitsMultipart(name)).toBe(false);
  });

  it("keeps line breaks and backslashes out of form fields", () => {
    expect(fitsFormField('/a"b/c\td')).toBe(true);
    for (const path of ["/a\nb", "/a\rb", "/a\\b"]) expect(fitsFormField(path)).toBe(false);
  });

  it("takes paths apart and together", () => {
    expect([parentOf("/a"), parentOf("/a/b"), nameOf("/a/b"), join("/", "a"), join("/a", "b")]).toEqual([
      "/",
      "/a",
      "b",
      "/a",
      "/a/b",
    ]);
  });

  it("recognises the names the server makes of taken ones", () => {
    expect(isNumbered("a (1).txt", "a.txt")).toBe(true);
    expect(isNumbered("a (12)", "a")).toBe(true);
    expect(isNumbered(" (1).bashrc", ".bashrc")).toBe(true);
    expect(isNumbered("a.txt", "a.txt")).toBe(false);
    expect(isNumbered("a (x).txt", "a.txt")).toBe(false);
    expect(isNumbered("ab (1).txt", "a.txt")).toBe(false);
  });
});

describe("fileIdOf", () => {
  it("makes the id a real 11.0.13 server gave to 11 bytes", async () => {
    expect(await fileIdOf(contentOf("hello world"))).toBe("aab9a78455aaf01c2779ecc7288ca3c500171b50");
  });

  it("is the zero id for no bytes, and does not depend on how the bytes arrive", async () => {
    expect(await fileIdOf(contentOf(""))).toBe(ZERO_ID);
    const bytes = Buffer.alloc(8 * 1024 * 1024 + 5, "abc");
    expect(await fileIdOf(contentOf(bytes, 1_000_003))).toBe(await fileIdOf(contentOf(bytes, bytes.length)));
  });
});

describe("addresses", () => {
  it.each([
    ["https://x", "https://x", ""],
    ["https://x/", "https://x", ""],
    ["http://x:8000/seafile/", "http://x:8000", "/seafile"],
  ])("%s is taken", (text, origin, prefix) => {
    const url = parseServer(text);
    expect([url.origin, prefixOf(url)]).toEqual([origin, prefix]);
  });

  it.each(["cloud.example.com", "ftp://x", "https://me:pw@x", "https://x/?a=b", ""])("%j is refused", (text) => {
    expect(() => parseServer(text)).toThrow(expect.objectContaining({ kind: "invalid" }));
    expect(() => parseServer(text)).not.toThrow(/pw/);
  });

  it("replaces origin and prefix of a link by the override, and leaves links alone without one", () => {
    const link = `http://host:8082/files/${LINK_ID}/na%20me.txt`;
    expect(fileServerLink(link, "https://x/seafhttp")).toBe(`https://x/seafhttp/files/${LINK_ID}/na%20me.txt`);
    expect(fileServerLink(link, undefined)).toBe(link);
    expect(fileServerLink(`https://x/seafhttp/upload-api/${LINK_ID}`, "http://y:8082/")).toBe(
      `http://y:8082/upload-api/${LINK_ID}`,
    );
  });

  it("takes line breaks out of a link's decorative name", () => {
    expect(fileServerLink(`http://h/files/${LINK_ID}/a%0Ab`, undefined)).toBe(`http://h/files/${LINK_ID}/a_b`);
  });

  it("refuses what is no link to a file server", () => {
    for (const link of ["", "javascript:alert(1)", "http://h/else", "ftp://h/files/x/y"]) {
      expect(() => fileServerLink(link, undefined)).toThrow(expect.objectContaining({ kind: "protocol" }));
    }
  });
});
