/**
 * The id a server gives to a file's content: SHA-1 over its list of blocks, as fsmgr of seafile-server makes it for files
 * of the Web API (fixed blocks of 8 MiB). Used to find out whether an upload whose answer was lost has been stored; a
 * server configured with another block size makes other ids, so a match proves and a difference proves nothing.
 */
import { createHash } from "node:crypto";
import { chunksOf } from "./content.ts";
import { type Content, type ObjectId, ZERO_ID } from "./types.ts";

const BLOCK_SIZE = 8 * 1024 * 1024;

/** Reads the whole content. */
export async function fileIdOf(content: Content, signal?: AbortSignal): Promise<ObjectId> {
  if (content.size === 0) return ZERO_ID;
  const blocks: string[] = [];
  let hash = createHash("sha1");
  let room = BLOCK_SIZE;
  for await (const chunk of chunksOf(content, signal)) {
    for (let at = 0; at < chunk.length; ) {
      const part = chunk.subarray(at, at + room);
      hash.update(part);
      at += part.length;
      room -= part.length;
      if (room > 0) continue;
      blocks.push(hash.digest("hex"));
      hash = createHash("sha1");
      room = BLOCK_SIZE;
    }
  }
  if (room < BLOCK_SIZE) blocks.push(hash.digest("hex"));
  const list = blocks.map((id) => `"${id}"`).join(", ");
  const object = `{"block_ids": [${list}], "size": ${content.size}, "type": 1, "version": 1}`;
  return createHash("sha1").update(object).digest("hex") as ObjectId;
}
