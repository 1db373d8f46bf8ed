/**
 * What a mount can be told: one zod schema with every default. The command line, `-o` options and the public API all pass
 * through it, so that a value is checked once and means the same everywhere.
 * Invariant: a problem becomes one readable sentence that names the option; a token never appears in one.
 */
import { isAbsolute } from "node:path";
import envPaths from "env-paths";
import { z } from "zod";
import { DEFAULT_CACHE_SIZE, DEFAULT_REFRESH_MS, DEFAULT_WRITE_BACK_DELAY_MS } from "./cache/policy.ts";
import type { Logger } from "./observe/log.ts";
import { normalizeServerUrl } from "./util/server-url.ts";

const MIB = 1024 * 1024;
/** uid_t and gid_t are 32 bits; the last value means "unchanged" to chown(2). */
const MAX_ID = 2 ** 32 - 2;

/** The mount(8) options that are handed to the kernel as they are. */
export const FUSE_OPTIONS = ["noatime", "nodev", "nosuid", "noexec"] as const;

/** How the filesystem reaches the kernel; "auto" takes the first that works here. */
export const TRANSPORTS = ["auto", "kernel", "fuse-native"] as const;

const serverUrl = z.string().transform((text, context) => {
  try {
    return normalizeServerUrl(text);
  } catch (error) {
    context.addIssue({ code: "custom", message: (error as Error).message });
    return z.NEVER;
  }
});

const wholeNumber = (what: string, min: number, max: number) => {
  const message = `must be ${what} from ${min} to ${max}`;
  return z.int(message).min(min, message).max(max, message);
};

const absolutePath = z
  .string("must be a path")
  .refine((path) => isAbsolute(path) && !path.includes("\0"), "must be an absolute path");

const isLogger = (value: unknown) => typeof (value as { child?: unknown } | null)?.child === "function";

export const mountOptionsSchema = z.strictObject({
  /** Base URL of the server, as in the browser: `https://seafile.example.com`. Needed unless there is a `link`. */
  server: serverUrl.optional(),
  /** API token of the account (Seafile: POST /api2/auth-token/). Needed unless there is a `link`. */
  token: z
    .string("must be a string")
    .regex(/^[\x21-\x7e]+$/, "must be the API token: letters and digits without spaces")
    .optional(),
  /** Address of a public link (`https://seafile.example.com/d/TOKEN/`), which is mounted without an account. */
  link: z.string("must be a URL").optional(),
  linkPassword: z.string("must be a string").optional(),
  /** Absolute path of an existing folder. */
  mountpoint: absolutePath,
  /** What to show: "NAME", "NAME:/path" or a library id. Without it, every library is a folder. */
  library: z.string("must be a name").min(1, "must not be empty").optional(),
  /**
   * Passwords of encrypted libraries by name or id. "" stands for the library that is mounted, or for the only encrypted one of
   * the account. An id that the account does not have is passed over.
   */
  passwords: z.record(z.string(), z.string("must hold texts").min(1, "must not hold an empty one")).default({}),
  readOnly: z.boolean("must be true or false").default(false),
  /** Lets other users of this machine in (user_allow_other in /etc/fuse.conf is needed unless root mounts). */
  allowOther: z.boolean("must be true or false").default(false),
  uid: wholeNumber("a user id", 0, MAX_ID).default(() => process.getuid?.() ?? 0),
  gid: wholeNumber("a group id", 0, MAX_ID).default(() => process.getgid?.() ?? 0),
  /** Permission bits that no file and no folder shows. */
  umask: wholeNumber("an octal number", 0, 0o777).default(0o022),
  /** Bytes of memory for file content that was read. */
  cacheSize: z.int("must be a number of bytes").min(MIB, "must be at least 1M").default(DEFAULT_CACHE_SIZE),
  /** How old a folder listing may get before the server is asked again, in milliseconds. */
  refreshMs: wholeNumber("milliseconds", 0, 24 * 3600 * 1000).default(DEFAULT_REFRESH_MS),
  /** How long an operation keeps trying when the server does not answer, in milliseconds. */
  timeoutMs: wholeNumber("milliseconds", 1000, 3600 * 1000).default(20_000),
  /** How long after its last close a file is sent to the server, in milliseconds. */
  writeBackDelayMs: wholeNumber("milliseconds", 0, 3600 * 1000).default(DEFAULT_WRITE_BACK_DELAY_MS),
  /** "close": close(2) waits for the server and returns its errno. "background": it returns when the content is safe on the local disk. */
  commit: z.enum(["background", "close"], 'must be "background" or "close"').default("background"),
  /** What fsync(2) waits for: the local disk, or the server. */
  fsync: z.enum(["local", "server"], 'must be "local" or "server"').default("local"),
  /** When somebody else changed the file meanwhile: keep both versions, hold ours back until the user decides, or replace theirs. */
  onConflict: z.enum(["copy", "fail", "overwrite"], 'must be "copy", "fail" or "overwrite"').default("copy"),
  /** Replaces scheme, host and prefix of the links that the server gives out. */
  fileServer: serverUrl.optional(),
  /** Where spool files and recovered files are kept. */
  stateDir: absolutePath.default(() => envPaths("seamount", { suffix: "" }).data),
  transport: z.enum(TRANSPORTS, `must be one of ${TRANSPORTS.join(", ")}`).default("auto"),
  fuseOptions: z.array(z.enum(FUSE_OPTIONS, `must be one of ${FUSE_OPTIONS.join(", ")}`)).default([]),
  log: z.custom<Logger>(isLogger, "must be a pino logger").optional(),
});

export type MountOptions = z.input<typeof mountOptionsSchema>;
export type ResolvedMountOptions = z.output<typeof mountOptionsSchema>;

/** One or more options are wrong; `problems` has one sentence for each, `message` joins them. */
export class OptionsError extends Error {
  override readonly name = "OptionsError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join(" "));
    this.problems = problems;
  }
}

/** Fills in the defaults. Throws OptionsError. */
export function parseMountOptions(options: MountOptions): ResolvedMountOptions {
  const together = conflictsOf(options);
  const result = mountOptionsSchema.safeParse(options);
  if (result.success && together.length === 0) return result.data;
  const single = result.error?.issues.map((issue) => sentenceOf(issue, options)) ?? [];
  throw new OptionsError([...together, ...single]);
}

/** What is wrong with the options together: a mount has an account or a link. */
function conflictsOf({ link, server, token, library }: MountOptions): string[] {
  if (link !== undefined)
    return library === undefined ? [] : ['The option "library" does not go with a link, which shows one folder.'];
  const missing = [server === undefined ? "server" : undefined, token === undefined ? "token" : undefined];
  return missing.flatMap((name) => (name === undefined ? [] : [`The option "${name}" is missing.`]));
}

function sentenceOf(issue: z.core.$ZodIssue, options: Readonly<Record<string, unknown>>): string {
  if (issue.code === "unrecognized_keys")
    return `There is no option ${issue.keys.map((key) => `"${key}"`).join(", ")}.`;
  const name = String(issue.path[0] ?? "options");
  if (issue.code === "invalid_type" && options?.[name] === undefined) return `The option "${name}" is missing.`;
  return `The option "${name}" ${issue.message}.`;
}
