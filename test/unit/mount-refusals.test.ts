/** What mount() refuses before it asks anybody. */
import { join } from "node:path";
import { expect, it } from "vitest";
import { mount } from "../../src/mount.ts";

it.each(["/nowhere/mnt", "/nowhere/mnt/data/seamount"])(
  "a mount point above its own local state is refused: the mount would wait for itself (%s)",
  async (stateDir) => {
    const mountpoint = stateDir.startsWith("/nowhere/mnt/") ? "/nowhere/mnt" : stateDir;
    const options = { server: "http://127.0.0.1:1", token: "t", mountpoint: join(mountpoint, "."), stateDir };
    await expect(mount(options)).rejects.toMatchObject({ code: "EINVAL", message: expect.stringContaining(stateDir) });
  },
);
