import { describe, expect, it } from "vitest";
import { ListingCache } from "../../src/cache/listing-cache.ts";
import type { ObjectId, RemoteEntry, RemoteListing } from "../../src/seafile/types.ts";
import { deferred } from "../../src/util/abort.ts";

const id = (digit: string) => digit.repeat(40) as ObjectId;
const file = (name: string, digit = "1"): RemoteEntry => ({
  name,
  kind: "file",
  id: id(digit),
  size: 1,
  mtime: 1,
  writable: true,
});
const listing = (listingId: string, ...entries: RemoteEntry[]): RemoteListing => ({
  id: id(listingId),
  writable: true,
  entries,
});

function cache(lifetimeMs = 1000) {
  let time = 0;
  const listings = new ListingCache({ lifetimeMs, maxEntries: 100, now: () => time });
  return { listings, advance: (ms: number) => (time += ms) };
}

describe("ListingCache", () => {
  it("is fresh for its lifetime and then asks with the id it knows", async () => {
    const { listings, advance } = cache();
    const asked: (ObjectId | undefined)[] = [];
    const fetch = async (known: ObjectId | undefined) => {
      asked.push(known);
      return known === undefined ? listing("a", file("x")) : ("unchanged" as const);
    };
    await listings.refresh(1, fetch);
    expect(listings.fresh(1)?.entries.has("x")).toBe(true);
    advance(1000);
    expect(listings.fresh(1)).toBeUndefined();
    const again = await listings.refresh(1, fetch);
    expect(again.changed).toBe(false);
    expect(listings.fresh(1)?.entries.has("x")).toBe(true);
    expect(asked).toEqual([undefined, id("a")]);
  });

  it("shares one fetch among all who wait, and one who leaves does not disturb the others", async () => {
    const { listings } = cache();
    const answer = deferred<RemoteListing>();
    let fetches = 0;
    const fetch = () => {
      fetches++;
      return answer.promise;
    };
    const leaver = new AbortController();
    const left = listings.refresh(1, fetch, leaver.signal);
    const stays = listings.refresh(1, fetch);
    leaver.abort();
    await expect(left).rejects.toMatchObject({ name: "AbortError" });
    answer.resolve(listing("a", file("x")));
    expect((await stays).listing.entries.has("x")).toBe(true);
    expect(fetches).toBe(1);
  });

  it("a change of our own is not undone by an older answer that was under way", async () => {
    const { listings } = cache();
    const answer = deferred<RemoteListing>();
    const running = listings.refresh(1, () => answer.promise);
    listings.patch(1, { set: file("new", "2") });
    listings.patch(1, { delete: "old" });
    answer.resolve(listing("a", file("old"), file("stays")));
    const { listing: fetched } = await running;
    expect([...fetched.entries.keys()].sort()).toEqual(["new", "stays"]);
  });

  it("forgets the validator once we changed the directory, so that the server cannot say unchanged", async () => {
    const { listings, advance } = cache();
    await listings.refresh(1, async () => listing("a", file("x")));
    listings.patch(1, { set: file("y") });
    advance(1000);
    const asked: (ObjectId | undefined)[] = [];
    await listings.refresh(1, async (known) => {
      asked.push(known);
      return listing("b", file("x"), file("y"));
    });
    expect(asked).toEqual([undefined]);
  });

  it("of two entries of one name the first is kept", async () => {
    const { listings } = cache();
    const { listing: fetched } = await listings.refresh(1, async () => listing("a", file("x", "1"), file("x", "2")));
    expect(fetched.entries.get("x")?.id).toBe(id("1"));
  });

  it("a directory that was made here is known without asking, until something is made in it", () => {
    const { listings } = cache();
    listings.made(1, listing("0"));
    expect(listings.fresh(1)).toMatchObject({ id: id("0"), entries: new Map() });
    listings.patch(1, { set: file("x") });
    expect([...listings.fresh(1)!.entries.keys()]).toEqual(["x"]);
    expect(listings.fresh(1)!.id).toBeUndefined();
  });

  it("a directory that was expired while it was fetched is asked for again", async () => {
    const { listings } = cache();
    const answer = deferred<RemoteListing>();
    const running = listings.refresh(1, () => answer.promise);
    listings.expire(1);
    answer.resolve(listing("a", file("x")));
    expect((await running).listing.entries.has("x")).toBe(true);
    expect(listings.fresh(1)).toBeUndefined();
  });

  it("a failed fetch is reported to its waiters and the next one asks again", async () => {
    const { listings } = cache();
    await expect(listings.refresh(1, () => Promise.reject(new Error("down")))).rejects.toThrow("down");
    expect((await listings.refresh(1, async () => listing("a"))).listing.entries.size).toBe(0);
  });
});
