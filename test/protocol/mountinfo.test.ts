/** /proc/self/mountinfo as proc(5) describes it: optional fields, escapes, options of the mount and of the filesystem. */
import { describe, expect, it } from "vitest";
import { mountAt, parseMounts } from "../../src/fuse/system/mountinfo.ts";

describe("mountinfo", () => {
  it("reads mounts with and without optional fields", () => {
    const text = `22 1 8:1 / / rw,relatime shared:1 master:2 - ext4 /dev/sda1 rw
90 22 0:53 / /mnt/a rw,nosuid,nodev - fuse.seamount server rw,user_id=1000,group_id=1000,allow_other
`;
    expect(parseMounts(text)).toEqual([
      { mountpoint: "/", type: "ext4", source: "/dev/sda1", device: "8:1", options: ["rw", "relatime", "rw"] },
      {
        mountpoint: "/mnt/a",
        type: "fuse.seamount",
        source: "server",
        device: "0:53",
        options: ["rw", "nosuid", "nodev", "rw", "user_id=1000", "group_id=1000", "allow_other"],
      },
    ]);
  });

  it("undoes the escapes of spaces, tabs, newlines and backslashes, and keeps UTF-8", () => {
    const [mount] = parseMounts("90 22 0:53 / /a\\040b\\011\\012\\134040\\043 rw - fuse.seamount gr\u00fcn\\040x rw\n");
    expect(mount).toMatchObject({ mountpoint: "/a b\t\n\\040#", source: "gr\u00fcn x" });
  });

  it("leaves out lines it does not understand", () => {
    expect(parseMounts("nonsense\n90 22 0:53 / /a rw\n\n")).toEqual([]);
  });

  it("finds the mounts of this machine", async () => {
    expect((await mountAt("/proc"))?.type).toBe("proc");
    expect(await mountAt("/proc/self")).toBeUndefined();
  });
});
