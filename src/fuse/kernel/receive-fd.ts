/**
 * Receives an open file descriptor over a Unix socket (SCM_RIGHTS), which Node cannot: fusermount3 hands over /dev/fuse so.
 * Invariant: koffi is loaded here, lazily, and nowhere else; without it only root can mount.
 * Called by mount-helper.ts for ordinary users. Sources: unix(7), cmsg(3), recvmsg(2) of Linux on 64-bit machines.
 */
import { closeSync } from "node:fs";
import { MountError } from "../system/mount-error.ts";

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_DONTWAIT = 0x40;
const MSG_CMSG_CLOEXEC = 0x40000000;
/** sizeof(struct cmsghdr), and of one with an int as CMSG_SPACE(4) counts it. */
const CMSG_HEADER = 16;
const CMSG_SPACE = 24;

/** One end stays here, the other goes to a child process. */
export interface FdSocket {
  /** The descriptor for the child; its owner closes it with close(). */
  readonly childFd: number;
  /** The descriptor that was sent, or undefined if none was. Never waits: call it after the child has ended. */
  receive(): number | undefined;
  /** Closes both ends. */
  close(): void;
}

/** A connected pair of sockets. Throws MountError "ffi-missing" without koffi. */
export async function openFdSocket(): Promise<FdSocket> {
  const libc = await loadLibc();
  const pair = new Int32Array(2);
  if (libc.socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) !== 0) {
    throw new MountError("refused", "The system refused a pair of sockets (socketpair failed).");
  }
  const [own, childFd] = [pair[0]!, pair[1]!];
  return {
    childFd,
    receive: () => receiveFd(libc, own),
    close: () => {
      closeSync(own);
      closeSync(childFd);
    },
  };
}

/** Whether openFdSocket() will work. */
export function canReceiveFds(): Promise<boolean> {
  return loadLibc().then(
    () => true,
    () => false,
  );
}

/**
 * _exit(2): ends the process with `status` at once, without joining its threads. Returns only where koffi was not loaded,
 * that is, where no socket was opened before.
 */
export function exitAtOnce(status: number): void {
  loaded?._exit(status);
}

interface MessageHeader {
  readonly msg_name: null;
  readonly msg_namelen: number;
  readonly msg_iov: readonly { readonly iov_base: Buffer; readonly iov_len: number }[];
  readonly msg_iovlen: number;
  readonly msg_control: Buffer;
  readonly msg_controllen: number;
  readonly msg_flags: number;
}

interface Libc {
  socketpair(domain: number, type: number, protocol: number, pair: Int32Array): number;
  recvmsg(fd: number, message: MessageHeader, flags: number): number;
  _exit(status: number): void;
}

let loaded: Libc | undefined;

async function loadLibc(): Promise<Libc> {
  if (loaded !== undefined) return loaded;
  const { default: koffi } = await import("koffi").catch((cause: unknown) => {
    const message =
      "Mounting as an ordinary user needs the package koffi, which could not be loaded. Install it (npm install koffi), or mount as root.";
    throw new MountError("ffi-missing", message, { cause });
  });
  koffi.struct("seamount_iovec", { iov_base: "uint8_t *", iov_len: "size_t" });
  koffi.struct("seamount_msghdr", {
    msg_name: "void *",
    msg_namelen: "uint32_t",
    msg_iov: "seamount_iovec *",
    msg_iovlen: "size_t",
    msg_control: "uint8_t *",
    msg_controllen: "size_t",
    msg_flags: "int",
  });
  const libc = koffi.load(null);
  loaded = {
    socketpair: libc.func("int socketpair(int domain, int type, int protocol, int *pair)"),
    recvmsg: libc.func("long recvmsg(int fd, seamount_msghdr *message, int flags)"),
    _exit: libc.func("void _exit(int status)"),
  };
  return loaded;
}

function receiveFd(libc: Libc, socket: number): number | undefined {
  const data = Buffer.alloc(1);
  const control = Buffer.alloc(CMSG_SPACE);
  const message: MessageHeader = {
    msg_name: null,
    msg_namelen: 0,
    msg_iov: [{ iov_base: data, iov_len: data.length }],
    msg_iovlen: 1,
    msg_control: control,
    msg_controllen: control.length,
    msg_flags: 0,
  };
  const received = libc.recvmsg(socket, message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  const isRights = control.readInt32LE(8) === SOL_SOCKET && control.readInt32LE(12) === SCM_RIGHTS;
  return received > 0 && isRights ? control.readInt32LE(CMSG_HEADER) : undefined;
}
