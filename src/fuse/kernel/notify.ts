/**
 * Messages that the filesystem sends to the kernel unasked (enum fuse_notify_code): header with unique 0, then a struct.
 * Called by kernel-session.ts; never awaited inside an operation, because the kernel takes the inode's lock for them.
 */
import { NOTIFY, SIZE } from "./abi.ts";
import { viewOf, writeI64, writeU32 } from "./structs.ts";

function notification(code: number, size: number): { readonly bytes: Buffer; readonly view: DataView } {
  const bytes = Buffer.alloc(SIZE.out_header + size);
  const view = viewOf(bytes);
  writeU32(view, 0, bytes.length);
  writeU32(view, 4, code);
  return { bytes, view };
}

/** FUSE_NOTIFY_INVAL_ENTRY: the kernel forgets `name` in `parent`, and what it remembers below. */
export function invalEntry(parent: number, name: string): Buffer {
  const nameBytes = Buffer.from(name);
  const { bytes, view } = notification(NOTIFY.INVAL_ENTRY, SIZE.notify_inval_entry_out + nameBytes.length + 1);
  const at = SIZE.out_header;
  writeI64(view, at, parent);
  writeU32(view, at + 8, nameBytes.length);
  nameBytes.copy(bytes, at + SIZE.notify_inval_entry_out);
  return bytes;
}

/** FUSE_NOTIFY_INVAL_INODE: the kernel forgets attributes, and pages from `offset` on (`length` 0: to the end). */
export function invalInode(ino: number, offset: number, length: number): Buffer {
  const { bytes, view } = notification(NOTIFY.INVAL_INODE, SIZE.notify_inval_inode_out);
  const at = SIZE.out_header;
  writeI64(view, at, ino);
  writeI64(view, at + 8, offset);
  writeI64(view, at + 16, length);
  return bytes;
}
