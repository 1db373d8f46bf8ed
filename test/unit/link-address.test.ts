import { describe, expect, it } from "vitest";
import { idOf, pageOf, parseLink } from "../../src/seafile/link-address.ts";

const TOKEN = "9275b8996a1d486789f5";

describe("the address of a link", () => {
  it.each([
    [`https://cloud.example.com/d/${TOKEN}/`, "folder", "https://cloud.example.com", "/"],
    [`https://Cloud.Example.com/f/${TOKEN}`, "file", "https://cloud.example.com", "/"],
    [`http://127.0.0.1:8000/u/d/${TOKEN}/`, "upload", "http://127.0.0.1:8000", "/"],
    [
      `https://example.com/seafile/d/${TOKEN}/?p=/a%20b/c/&mode=list`,
      "folder",
      "https://example.com/seafile",
      "/a b/c",
    ],
    [`https://example.com/seafile/u/d/${TOKEN}/#x`, "upload", "https://example.com/seafile", "/"],
    [`https://example.com/f/${TOKEN}/?dl=1&p=/x`, "file", "https://example.com", "/"],
    [`https://example.com/d/${TOKEN}/?p=/../../etc`, "folder", "https://example.com", "/etc"],
  ])("%s", (text, kind, server, path) => {
    expect(parseLink(text)).toEqual({ kind, server, path, token: TOKEN });
  });

  it.each([
    "",
    "cloud.example.com/d/abc/",
    "https://cloud.example.com/",
    "https://cloud.example.com/d/",
    "https://cloud.example.com/d/a b/",
    "https://cloud.example.com/library/x/",
    "ftp://cloud.example.com/d/abc/",
    "https://user:secret@cloud.example.com/d/abc/",
  ])("%j is refused without being repeated", (text) => {
    const error = (() => {
      try {
        return parseLink(text);
      } catch (thrown) {
        return thrown as Error;
      }
    })();
    expect(error).toMatchObject({ name: "SeafileError", kind: "invalid" });
    expect((error as Error).message).not.toContain("secret");
  });

  it("leads back to its page, and stands for one library", () => {
    for (const letters of ["d", "f", "u/d"]) {
      const address = parseLink(`https://example.com/x/${letters}/${TOKEN}/`);
      expect(pageOf(address)).toBe(`/${letters}/${TOKEN}/`);
      expect(idOf(address)).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
      expect(idOf(address)).toBe(idOf(parseLink(`https://example.com/x/${letters}/${TOKEN}?p=/a`)));
    }
    expect(idOf(parseLink(`https://example.com/d/${TOKEN}`))).not.toBe(
      idOf(parseLink(`https://example.com/f/${TOKEN}`)),
    );
  });
});
