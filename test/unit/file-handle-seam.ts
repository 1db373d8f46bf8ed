/**
 * The calls that node:fs/promises makes on open files, as a place for tests to stand between a module and the disk: to make a call
 * fail, or to look at the disk after it. Invariant: undone by vi.restoreAllMocks(). Used by the journal's unit and crash tests.
 */
import { type FileHandle, open } from "node:fs/promises";
import { vi } from "vitest";

export type DiskCall = "write" | "datasync" | "truncate" | "sync";

/** `real` makes the call; for a write, of no more than `most` bytes. */
export type Intercept = (
  call: DiskCall,
  handle: FileHandle,
  real: (most?: number) => Promise<unknown>,
) => Promise<unknown>;

type Method = (this: FileHandle, ...args: unknown[]) => Promise<unknown>;

export async function interceptDisk(intercept: Intercept): Promise<void> {
  const probe = await open("/dev/null");
  const prototype = Object.getPrototypeOf(probe) as Record<DiskCall, Method>;
  await probe.close();
  for (const call of ["write", "datasync", "truncate", "sync"] as const) {
    const real = prototype[call];
    vi.spyOn(prototype, call).mockImplementation(function (this: FileHandle, ...args: unknown[]) {
      return intercept(call, this, (most) => {
        // write(buffer, offset, length, position)
        if (call === "write" && most !== undefined)
          args[2] = Math.min((args[2] as number | undefined) ?? (args[0] as Uint8Array).length, most);
        return real.apply(this, args);
      });
    });
  }
}

export function diskError(code: string): Error {
  return Object.assign(new Error(`${code}: injected`), { code });
}
