/**
 * The checks of `seamount doctor`, one line each: what can keep a mount from working, from the login to the kernel. Invariants: a check
 * never throws; one that depends on a failed one is left out; nothing is changed anywhere. Called by commands/doctor.ts.
 */
import type { FuseHealth } from "../fuse-health.ts";
import type { Account } from "../seafile/account.ts";
import { type Credentials, findCredentials, parseServer } from "./credentials.ts";
import { EXIT, type ExitCode, exitCodeOf, sentenceOf } from "./exit-codes.ts";
import { openAccount } from "./session.ts";

export interface Check {
  readonly name: string;
  readonly state: "ok" | "warning" | "failed";
  readonly text: string;
  /** What the program ends with when it failed. */
  readonly exitCode?: ExitCode;
  /** Numbers and words for --json. */
  readonly facts?: Readonly<Record<string, unknown>>;
}

/** Latency is the median of so many answers; the first also makes the connection. */
const PINGS = 5;
/** A larger difference of the clocks is worth a word: times of files and expiries of links are the server's. */
const SKEW_MS = 60_000;

const ok = (name: string, text: string, facts?: Check["facts"]): Check => ({
  name,
  state: "ok",
  text,
  ...(facts === undefined ? {} : { facts }),
});

const failed = (name: string, error: unknown): Check => {
  const exitCode = exitCodeOf(error);
  return { name, state: "failed", text: sentenceOf(error), exitCode };
};

/** From the login to the file server. `server`: as --server says. */
export async function serverChecks(server: string | undefined): Promise<readonly Check[]> {
  const login = findLogin(server);
  if (login.credentials === undefined) return [login.check];
  const account = await openAccount(login.credentials);
  try {
    const reachable = await latency(account, login.credentials.server);
    if (reachable.state === "failed") return [reachable];
    const about = [await version(account), clock(account)];
    if (login.check !== undefined) return [reachable, ...about, login.check];
    const token = await whose(account);
    return [reachable, ...about, token, ...(token.state === "ok" ? [await fileServer(account)] : [])];
  } finally {
    await account.close();
  }
}

type Login =
  | { readonly credentials: Omit<Credentials, "username">; readonly check?: Check }
  | { readonly credentials?: undefined; readonly check: Check };

/** Without a login the named server can be looked at all the same. */
function findLogin(server: string | undefined): Login {
  try {
    return { credentials: findCredentials(server) };
  } catch (error) {
    const check = failed("login", error);
    const named = server ?? process.env["SEAMOUNT_SERVER"];
    return exitCodeOf(error) === EXIT.notLoggedIn && named
      ? { credentials: { server: parseServer(named), token: "" }, check }
      : { check };
  }
}

async function latency(account: Account, server: string): Promise<Check> {
  try {
    const times: number[] = [];
    for (let i = 0; i < PINGS; i++) times.push(await account.ping());
    const sorted = [...times].sort((a, b) => a - b);
    const [median, slowest] = [sorted[Math.floor(PINGS / 2)]!, sorted.at(-1)!];
    const ms = (time: number) => (time < 10 ? time.toFixed(1) : String(Math.round(time)));
    const facts = { server, latencyMs: Number(ms(median)), slowestMs: Number(ms(slowest)) };
    return ok("server", `${server} answers in ${ms(median)} ms (slowest of ${PINGS}: ${ms(slowest)} ms)`, facts);
  } catch (error) {
    return failed("server", error);
  }
}

async function version(account: Account): Promise<Check> {
  try {
    const { version, features } = await account.serverInfo();
    const edition = features.includes("seafile-pro") ? "professional" : "community";
    const others = features.filter((feature) => !/^seafile-(basic|pro)$/.test(feature));
    const extra = others.length === 0 ? "" : `; ${others.join(", ")}`;
    return ok("version", `Seafile ${version}, ${edition} edition${extra}`, { version, features });
  } catch (error) {
    return failed("version", error);
  }
}

function clock(account: Account): Check {
  const skewMs = account.clockSkewMs;
  const facts = { clockSkewSeconds: Math.round(skewMs / 1000) };
  if (skewMs === 0) return ok("clock", "within two seconds of the server's", facts);
  const text = `${durationOf(Math.abs(skewMs))} ${skewMs < 0 ? "ahead of" : "behind"} the server's`;
  return Math.abs(skewMs) < SKEW_MS ? ok("clock", text, facts) : { name: "clock", state: "warning", text, facts };
}

function durationOf(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 120) return `${seconds} seconds`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} minutes` : `${Math.round(minutes / 60)} hours`;
}

async function whose(account: Account): Promise<Check> {
  try {
    await account.checkToken();
    const { name, email } = await account.profile();
    return ok("login", `the token is accepted: ${name ? `${name} <${email}>` : email}`, { email, name });
  } catch (error) {
    return failed("login", error);
  }
}

/** Its address is asked for by a library that can be written; without one nobody says it. */
async function fileServer(account: Account): Promise<Check> {
  const name = "file server";
  try {
    const library = (await account.libraries()).find(({ writable }) => writable);
    if (library === undefined) return ok(name, "not checked: there is no library to write to");
    const origin = await account.pingFileServer(library.id);
    return ok(name, `${origin} answers`, { fileServer: origin });
  } catch (error) {
    const check = failed(name, error);
    return { ...check, text: `${check.text} If its address is wrong for your network, see --file-server of mount.` };
  }
}

/** From the device to the transport that a mount would take. */
export function fuseChecks({ device, isHelperNeeded, helper, transport, lack }: FuseHealth): readonly Check[] {
  const fail = (name: string, text: string): Check => ({ name, state: "failed", text, exitCode: EXIT.mount });
  const deviceCheck = {
    usable: ok("/dev/fuse", "can be opened"),
    missing: fail("/dev/fuse", "does not exist: `sudo modprobe fuse`; a container needs --device /dev/fuse"),
    denied: fail("/dev/fuse", "cannot be opened by you: `sudo chmod 0666 /dev/fuse`"),
  }[device];
  const facts = helper && { path: helper.path, version: helper.version ?? null, setuid: helper.isSetuidRoot };
  const found = helper && `${helper.path}${helper.version === undefined ? "" : ` ${helper.version}`}`;
  const helperCheck =
    helper === undefined
      ? isHelperNeeded
        ? fail("fusermount3", "is not installed: install the package fuse3")
        : ok("fusermount3", "is not installed; root mounts without it")
      : helper.isSetuidRoot || !isHelperNeeded
        ? ok("fusermount3", found!, facts)
        : fail("fusermount3", `${found} is not setuid root and cannot mount for you: install the package fuse3 again`);
  const transportCheck =
    transport === undefined
      ? fail("transport", `none can mount: ${lack}, and fuse-native is not usable`)
      : ok("transport", transport === "kernel" ? "kernel" : `fuse-native, because ${lack}`, { transport });
  return [deviceCheck, helperCheck, transportCheck];
}
