/**
 * The bytes of the journal file: a header of 8 bytes, then one frame per record (length u32le, CRC-32 of the payload u32le,
 * payload in JSON, UTF-8). Invariant: what decodes is what was encoded, in order and without a hole: the first frame that
 * is not whole ends the log. Pure; called by journal.ts.
 */
import { crc32 } from "node:zlib";
import { isJournalRecord, type JournalRecord } from "./journal-record.ts";

const NAME = "seamjnl";
const VERSION = 1;
const FRAME_HEAD = 8;

/** The first bytes of every journal: seven letters and the version of the format. */
export const HEADER: Buffer = Buffer.from([...Buffer.from(NAME, "latin1"), VERSION]);

/** Largest payload in bytes: a sealed file with half a million gaps. A greater length can only be damage. */
export const MAX_PAYLOAD = 16 * 1024 * 1024;

export interface DecodedLog {
  readonly records: readonly JournalRecord[];
  /** Length of the good part, header included; 0 when not even the header is good. */
  readonly end: number;
  /** "torn": behind the good part is what an interrupted write leaves, a part of a frame or zeros. "corrupt": anything else. */
  readonly damage: "none" | "torn" | "corrupt";
}

/** Throws TypeError for a record that could not be read back, RangeError for one that is too large. */
export function encodeFrame(record: JournalRecord): Buffer {
  if (!isJournalRecord(record)) throw new TypeError("a record of the journal has a field of the wrong type");
  const payload = Buffer.from(JSON.stringify(record));
  if (payload.length > MAX_PAYLOAD) throw new RangeError(`a record of ${payload.length} bytes is too large`);
  const frame = Buffer.alloc(FRAME_HEAD + payload.length);
  frame.writeUInt32LE(payload.length, 0);
  frame.writeUInt32LE(crc32(payload), 4);
  payload.copy(frame, FRAME_HEAD);
  return frame;
}

/** Throws a sentence with the path when the log was written in a version of the format that is not known here. */
export function decodeLog(bytes: Buffer, path: string): DecodedLog {
  const header = bytes.subarray(0, HEADER.length);
  if (header.length < HEADER.length) {
    return { records: [], end: 0, damage: HEADER.subarray(0, header.length).equals(header) ? "torn" : "corrupt" };
  }
  if (header.toString("latin1", 0, NAME.length) !== NAME) return { records: [], end: 0, damage: "corrupt" };
  const version = header[NAME.length];
  if (version !== VERSION) {
    throw new Error(`${path} has version ${version} of its format and this program knows only version ${VERSION}`);
  }
  const records: JournalRecord[] = [];
  let end = HEADER.length;
  for (let frame = frameAt(bytes, end); frame !== undefined; frame = frameAt(bytes, end)) {
    records.push(frame.record);
    end = frame.end;
  }
  if (end === bytes.length) return { records, end, damage: "none" };
  return { records, end, damage: isTorn(bytes, end) ? "torn" : "corrupt" };
}

function frameAt(bytes: Buffer, start: number): { record: JournalRecord; end: number } | undefined {
  if (bytes.length - start < FRAME_HEAD) return undefined;
  const end = start + FRAME_HEAD + bytes.readUInt32LE(start);
  if (end > bytes.length || end - start > FRAME_HEAD + MAX_PAYLOAD) return undefined;
  const payload = bytes.subarray(start + FRAME_HEAD, end);
  if (crc32(payload) !== bytes.readUInt32LE(start + 4)) return undefined;
  try {
    const record: unknown = JSON.parse(payload.toString("utf8"));
    return isJournalRecord(record) ? { record, end } : undefined;
  } catch {
    return undefined;
  }
}

/** Whether nothing but one interrupted write is behind `start`. */
function isTorn(bytes: Buffer, start: number): boolean {
  if (bytes.subarray(start).every((byte) => byte === 0)) return true;
  const isCut = bytes.length - start < FRAME_HEAD || start + FRAME_HEAD + bytes.readUInt32LE(start) > bytes.length;
  return isCut && !hasFrameBehind(bytes, start + 1);
}

function hasFrameBehind(bytes: Buffer, from: number): boolean {
  for (let brace = bytes.indexOf("{", from); brace !== -1; brace = bytes.indexOf("{", brace + 1)) {
    if (brace - FRAME_HEAD >= from && frameAt(bytes, brace - FRAME_HEAD) !== undefined) return true;
  }
  return false;
}
