/**
 * From words to mount options: `-o` in the form of mount(8), sizes, octal numbers. What is not understood is refused by name.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseMountWords, parseSeconds, parseSize, parseWhole, splitOptions } from "../../src/cli/mount-flags.ts";

describe("-o", () => {
  it("takes seamount's own options under their mount(8) names", () => {
    const words = [
      "ro,allow_other,uid=1000,gid=100",
      "umask=077,library=My Docs:/a,cache_size=1.5G,refresh=0.5,server=x.org",
    ];
    expect(parseMountWords([...words, "file_server=http://files:8082/"])).toEqual({
      flags: {
        readOnly: true,
        allowOther: true,
        uid: 1000,
        gid: 100,
        umask: 0o077,
        library: "My Docs:/a",
        cacheSize: 1.5 * 2 ** 30,
        refreshMs: 500,
        server: "x.org",
        fileServer: "http://files:8082",
      },
      fuseOptions: [],
    });
  });

  it("hands noatime, nodev, nosuid and noexec on, and lets the later word win", () => {
    expect(parseMountWords(["noatime,nodev,nosuid,noexec,exec,atime,noatime,ro,rw"])).toEqual({
      flags: { readOnly: false },
      fuseOptions: ["nodev", "nosuid", "noatime"],
    });
  });

  it("ignores what belongs to mount(8), fstab(5) and systemd", () => {
    const words = "defaults,noauto,user,nofail,_netdev,x-systemd.automount,x-gvfs-show,fsname=a,subtype=b,relatime,,";
    expect(parseMountWords([words])).toEqual({ flags: {}, fuseOptions: [] });
  });

  it.each([
    ["suid", 'Unknown mount option "suid".'],
    ["color=blue", 'Unknown mount option "color".'],
    ["toString", 'Unknown mount option "toString".'],
    ["constructor=1", 'Unknown mount option "constructor".'],
    ["ro=1", 'Unknown mount option "ro".'],
    ["uid", 'The mount option "uid" needs a value: -o uid=...'],
    ["uid=", 'The mount option "uid" needs a value: -o uid=...'],
    ["uid=me", 'The mount option uid "me" is not a whole number.'],
    ["umask=9", 'The mount option umask "9" is not an octal number like 022.'],
    ["cache_size=lots", 'The mount option cache_size "lots" is not a size like 256M or 2G.'],
    ["refresh=-1", 'The mount option refresh "-1" is not a number of seconds.'],
    ["file_server=ftp://x", "The mount option file_server must begin with https:// or http://."],
  ])("refuses %s by name", (word, sentence) => {
    expect(() => parseMountWords([`ro,${word}`])).toThrow(sentence);
  });

  it("a backslash keeps a comma inside a value", () => {
    expect(parseMountWords(["library=a\\,b\\\\c,ro"]).flags).toEqual({ library: "a,b\\c", readOnly: true });
  });

  it("escaped words come back from splitting as they were", () => {
    const word = fc.string({ minLength: 1 });
    fc.assert(
      fc.property(fc.array(word), (words) => {
        const text = words.map((w) => w.replace(/[\\,]/g, "\\$&")).join(",");
        expect(splitOptions(text)).toEqual(words);
      }),
    );
  });
});

describe("numbers", () => {
  it.each([
    ["0", 0],
    ["1048576", 1_048_576],
    ["1k", 1024],
    ["256M", 268_435_456],
    ["256MB", 268_435_456],
    ["256MiB", 268_435_456],
    ["0.5G", 536_870_912],
    ["2T", 2 ** 41],
  ])("the size %s is %d bytes", (text, bytes) => {
    expect(parseSize(text, "--cache-size")).toBe(bytes);
  });

  it.each(["", "M", "-1", "1e9", "0x10", "1 000", "9999999T", "NaN", "Infinity"])("%j is no size", (text) => {
    expect(() => parseSize(text, "--cache-size")).toThrow(`--cache-size "${text}" is not a size`);
  });

  it("seconds may have a fraction, counts may not", () => {
    expect(parseSeconds("1.25", "--refresh")).toBe(1250);
    expect(() => parseWhole("1.25", "--uid")).toThrow('--uid "1.25" is not a whole number.');
  });
});
