/**
 * Reading what is to be stored. Invariant: exactly the announced number of bytes comes out, or a SeafileError; too few
 * bytes would leave the server waiting, too many would be cut off silently. Called by multipart.ts and object-id.ts.
 */
import { abortReason } from "../util/abort.ts";
import { SeafileError } from "./errors.ts";
import type { Content } from "./types.ts";

/** The bytes in order. Rejects with the abort reason, or kind "protocol" with the reader's own error as cause. */
export async function* chunksOf(content: Content, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  let seen = 0;
  try {
    if (content.size > 0) {
      for await (const chunk of content.open(signal)) {
        seen += chunk.length;
        if (seen > content.size) break;
        if (chunk.length > 0) yield chunk;
      }
    }
  } catch (cause) {
    if (signal?.aborted) throw abortReason(signal);
    throw new SeafileError("protocol", "The content to be stored could not be read.", { cause, unapplied: true });
  }
  if (seen !== content.size) {
    const message = `The content to be stored has not the announced ${content.size} bytes.`;
    throw new SeafileError("protocol", message, { unapplied: true });
  }
}
