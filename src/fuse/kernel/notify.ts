/**
 * Messages that the filesystem sends to the kernel unasked (enum fuse_notify_code): header with unique 0, then a struct.
 * Called by kernel-session.ts; never awaited inside an operation, because the kernel takes the inode's lock for them.
 */
import { NOTIFY, SIZE } from "./abi.ts";
import { writeI64 } from "./structs.ts";

function notification(code: number, size: number): Buffer {
  const b = Buffer.alloc(SIZE.out_header + size);
  b.writeUInt32LE(b.length, 0);
  b.writeInt32LE(code, 4);
  return b;
}

/** FUSE_NOTIFY_INVAL_ENTRY: the kernel forgets `name` in `parent`, and what it remembers below. */
export function invalEntry(parent: number, name: string): Buffer {
  const bytes = Buffer.from(name);
  const b = notification(NOTIFY.INVAL_ENTRY, SIZE.notify_inval_entry_out + bytes.length + 1);
  const at = SIZE.out_header;
  writeI64(b, at, parent);
  b.writeUInt32LE(bytes.length, at + 8);
  bytes.copy(b, at + SIZE.notify_inval_entry_out);
  return b;
}

/** FUSE_NOTIFY_INVAL_INODE: the kernel forgets attributes, and pages from `offset` on (`length` 0: to the end). */
export function invalInode(ino: number, offset: number, length: number): Buffer {
  const b = notification(NOTIFY.INVAL_INODE, SIZE.notify_inval_inode_out);
  const at = SIZE.out_header;
  writeI64(b, at, ino);
  writeI64(b, at + 8, offset);
  writeI64(b, at + 16, length);
  return b;
}
