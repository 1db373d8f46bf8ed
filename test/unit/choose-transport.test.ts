/** Which transport `--transport auto` takes, and the reason that it gives for the log. */
import { describe, expect, it } from "vitest";
import { chooseTransport } from "../../src/choose-transport.ts";

/** A machine where this is missing for the kernel transport, and fuse-native can be loaded or not. */
function machine(lack: string | undefined, canLoadLibfuse: boolean) {
  const asked: string[] = [];
  const means = {
    whatKernelTransportLacks: async () => {
      asked.push("kernel");
      return lack;
    },
    canLoadLibfuse: async () => {
      asked.push("fuse-native");
      return canLoadLibfuse;
    },
  };
  return { asked, means };
}

const NO_KOFFI = "the package koffi is not installed";

describe("auto", () => {
  it("takes the kernel transport where nothing is missing for it, and does not look for fuse-native", async () => {
    const { asked, means } = machine(undefined, true);
    const { name, reason } = await chooseTransport("auto", means);
    expect({ name, reason }).toEqual({ name: "kernel", reason: "this user can mount with it" });
    expect(asked).toEqual(["kernel"]);
  });

  it("takes fuse-native where something is missing that fuse-native does without", async () => {
    const { name, reason } = await chooseTransport("auto", machine(NO_KOFFI, true).means);
    expect({ name, reason }).toEqual({ name: "fuse-native", reason: `the kernel transport cannot mount: ${NO_KOFFI}` });
  });

  it("takes the kernel transport where neither can mount, whose error says what to install", async () => {
    const { name, reason } = await chooseTransport("auto", machine(NO_KOFFI, false).means);
    const why = `neither can mount here: ${NO_KOFFI}, and fuse-native cannot be loaded`;
    expect({ name, reason }).toEqual({ name: "kernel", reason: why });
  });
});

describe.each(["kernel", "fuse-native"] as const)("%s", (wanted) => {
  it("is taken without a look at what is there, when it is asked for", async () => {
    const { asked, means } = machine(NO_KOFFI, false);
    expect(await chooseTransport(wanted, means)).toMatchObject({ name: wanted, reason: "it was asked for" });
    expect(asked).toEqual([]);
  });
});
