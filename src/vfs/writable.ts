/**
 * Refusals before anything is asked or written: what is read-only, what is in a locked library, names that Seafile cannot store.
 * Called by namespace, renames, filesystem and the FUSE adapter.
 */
import { checkName, toNfc } from "../seafile/names.ts";
import { FsError } from "./errno.ts";
import { type DirInode, type FileInode, type Inode, isOnServer } from "./inode.ts";

/** Throws EROFS in a read-only library, EACCES where only this entry is read-only. */
export function assertWritable(inode: Inode): void {
  if (inode.kind === "dir" && inode.library === undefined) {
    throw new FsError("EPERM", "libraries are made and removed on the server only");
  }
  if (inode.library?.info.writable === false) throw new FsError("EROFS", "the library is shared read-only");
  if (!inode.writable) throw new FsError("EACCES", `${inode.name} is read-only`);
}

/** Throws EPERM for what was dropped into a drop box: it is its owner's now. */
export function assertOurs(inode: Inode): void {
  if (inode.library?.info.addOnly === true && inode.kind === "file" && isOnServer(inode)) {
    throw new FsError("EPERM", `${inode.name} has been dropped: it cannot be changed any more`);
  }
}

/** Throws EACCES for a file of a drop box that was dropped already, or that is to be read. */
export function assertOpenable(inode: FileInode, reads: boolean): void {
  if (inode.library.info.addOnly !== true || (!reads && !isOnServer(inode))) return;
  throw new FsError("EACCES", `${inode.name} is in a drop box, which gives nothing back and changes nothing`);
}

/**
 * Also refuses content that a locked library could then not store. What comes back is to be awaited: whether a password is right that
 * was not tried yet.
 */
export function assertContentWritable(inode: Inode, signal?: AbortSignal): Promise<void> | undefined {
  assertWritable(inode);
  return inode.library?.prepareWriting(signal);
}

/** The name as the server will spell it. Throws ENAMETOOLONG, EINVAL, or as assertWritable. */
export function storableName(dir: DirInode, wanted: string): string {
  const problem = checkName(wanted);
  if (problem === "too-long") throw new FsError("ENAMETOOLONG", "a name has at most 255 bytes");
  if (problem !== undefined) throw new FsError("EINVAL", `Seafile cannot store the name ${JSON.stringify(wanted)}`);
  assertWritable(dir);
  return toNfc(wanted);
}
