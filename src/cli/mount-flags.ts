/**
 * From the words of the command line to mount options: sizes, octal numbers, and `-o` in the form of mount(8).
 * Pure; used by the mount command. Invariant: an unknown or malformed word is refused by name, never ignored.
 */
import type { FUSE_OPTIONS, MountOptions } from "../options.ts";
import { parseServer } from "./credentials.ts";
import { usageError } from "./exit-codes.ts";

type FuseOption = (typeof FUSE_OPTIONS)[number];

/** What flags and `-o` can set; credentials and the mount point come from elsewhere. `server` selects the login. */
export interface MountFlags {
  server?: string;
  library?: string;
  /** "NAME=FILE", or "FILE" for the library that is mounted. */
  passwordFiles?: string[];
  readOnly?: boolean;
  allowOther?: boolean;
  uid?: number;
  gid?: number;
  umask?: number;
  cacheSize?: number;
  refreshMs?: number;
  timeoutMs?: number;
  fileServer?: string;
  transport?: NonNullable<MountOptions["transport"]>;
  writeBackDelayMs?: number;
  commit?: NonNullable<MountOptions["commit"]>;
  fsync?: NonNullable<MountOptions["fsync"]>;
  onConflict?: NonNullable<MountOptions["onConflict"]>;
}

const SIZE_UNITS: Readonly<Record<string, number>> = { "": 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** "256M", "1.5G", "1048576": bytes; K, M, G and T are powers of 1,024. */
export function parseSize(text: string, name: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?$/i.exec(text);
  const bytes = match ? Math.round(Number(match[1]) * SIZE_UNITS[match[2]!.toUpperCase()]!) : Number.NaN;
  if (!Number.isSafeInteger(bytes)) throw usageError(`${name} "${text}" is not a size like 256M or 2G.`);
  return bytes;
}

export function parseWhole(text: string, name: string): number {
  if (!/^\d{1,10}$/.test(text)) throw usageError(`${name} "${text}" is not a whole number.`);
  return Number(text);
}

export function parseOctal(text: string, name: string): number {
  if (!/^[0-7]{1,4}$/.test(text)) throw usageError(`${name} "${text}" is not an octal number like 022.`);
  return Number.parseInt(text, 8);
}

/** Seconds, possibly with a fraction, as milliseconds. */
export function parseSeconds(text: string, name: string): number {
  if (!/^\d{1,7}(\.\d+)?$/.test(text)) throw usageError(`${name} "${text}" is not a number of seconds.`);
  return Math.round(Number(text) * 1000);
}

function parseChoice<T extends string>(text: string, name: string, choices: readonly T[]): T {
  const chosen = choices.find((choice) => choice === text);
  if (chosen === undefined) throw usageError(`${name} "${text}" is not one of ${choices.join(", ")}.`);
  return chosen;
}

type Apply = (flags: MountFlags, value: string, name: string) => void;

/** The options that have a value, by their -o name. The long flags are the same names with dashes. */
export const VALUE_OPTIONS: Readonly<Record<string, Apply>> = {
  server: (flags, value) => {
    flags.server = value;
  },
  library: (flags, value) => {
    flags.library = value;
  },
  password_file: (flags, value) => {
    flags.passwordFiles = [...(flags.passwordFiles ?? []), value];
  },
  uid: (flags, value, name) => {
    flags.uid = parseWhole(value, name);
  },
  gid: (flags, value, name) => {
    flags.gid = parseWhole(value, name);
  },
  umask: (flags, value, name) => {
    flags.umask = parseOctal(value, name);
  },
  cache_size: (flags, value, name) => {
    flags.cacheSize = parseSize(value, name);
  },
  refresh: (flags, value, name) => {
    flags.refreshMs = parseSeconds(value, name);
  },
  timeout: (flags, value, name) => {
    flags.timeoutMs = parseSeconds(value, name);
  },
  file_server: (flags, value, name) => {
    flags.fileServer = parseServer(value, name);
  },
  transport: (flags, value, name) => {
    flags.transport = parseChoice(value, name, ["auto", "kernel", "fuse-native"]);
  },
  write_back_delay: (flags, value, name) => {
    flags.writeBackDelayMs = parseSeconds(value, name);
  },
  commit: (flags, value, name) => {
    flags.commit = parseChoice(value, name, ["background", "close"]);
  },
  fsync: (flags, value, name) => {
    flags.fsync = parseChoice(value, name, ["local", "server"]);
  },
  on_conflict: (flags, value, name) => {
    flags.onConflict = parseChoice(value, name, ["copy", "fail", "overwrite"]);
  },
};

const SWITCHES: Readonly<Record<string, (flags: MountFlags) => void>> = {
  ro: (flags) => {
    flags.readOnly = true;
  },
  rw: (flags) => {
    flags.readOnly = false;
  },
  allow_other: (flags) => {
    flags.allowOther = true;
  },
};

/** Handed to the kernel; the second word takes the first one back. */
const KERNEL_SWITCHES: ReadonlyMap<string, { readonly option: FuseOption; readonly on: boolean }> = new Map([
  ["noatime", { option: "noatime", on: true }],
  ["nodev", { option: "nodev", on: true }],
  ["nosuid", { option: "nosuid", on: true }],
  ["noexec", { option: "noexec", on: true }],
  ["exec", { option: "noexec", on: false }],
  ["atime", { option: "noatime", on: false }],
]);

/** Words that mount(8), fstab(5) and systemd mean for themselves, and defaults that change nothing. */
const IGNORED =
  /^(defaults|auto|noauto|user|nouser|users|owner|group|nofail|_netdev|relatime|async|fsname=.*|subtype=.*|x-.*|comment=.*)$/;

/** Reads `-o` words into flags. Later words win. Throws usage errors. */
export function parseMountWords(words: readonly string[]): { flags: MountFlags; fuseOptions: FuseOption[] } {
  const flags: MountFlags = {};
  const kernel = new Set<FuseOption>();
  for (const word of words.flatMap(splitOptions)) {
    const equals = word.indexOf("=");
    const name = equals < 0 ? word : word.slice(0, equals);
    const kernelSwitch = KERNEL_SWITCHES.get(word);
    if (kernelSwitch) {
      if (kernelSwitch.on) kernel.add(kernelSwitch.option);
      else kernel.delete(kernelSwitch.option);
    } else if (Object.hasOwn(SWITCHES, word)) {
      SWITCHES[word]!(flags);
    } else if (Object.hasOwn(VALUE_OPTIONS, name)) {
      if (equals < 0 || equals === word.length - 1)
        throw usageError(`The mount option "${name}" needs a value: -o ${name}=...`);
      VALUE_OPTIONS[name]!(flags, word.slice(equals + 1), `The mount option ${name}`);
    } else if (!IGNORED.test(word)) {
      throw usageError(`Unknown mount option "${name}".`);
    }
  }
  return { flags, fuseOptions: [...kernel] };
}

/** Splits at commas; a backslash makes the next character part of a value (libfuse's own rule). */
export function splitOptions(text: string): string[] {
  const words: string[] = [];
  let word = "";
  for (let i = 0; i < text.length; i++) {
    if (text[i] === "\\" && i + 1 < text.length) word += text[++i];
    else if (text[i] === ",") {
      words.push(word);
      word = "";
    } else word += text[i];
  }
  words.push(word);
  return words.filter((w) => w !== "");
}
