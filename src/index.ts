/**
 * The public API of the package `seamount`: mount a Seafile account or library from a program. Nothing else is public
 * (the development server has its own entry, `seamount/devserver`).
 */
export { type Mount, mount } from "./mount.ts";
export type { MountOptions } from "./options.ts";
export { SeafileError } from "./seafile/errors.ts";
