/** Seafile's permission words and what they allow. Called by Account (which share is best) and Library (write bits). */

/** Best first. Community edition knows rw and r; the others are Pro's (seahub/constants.py). */
const ORDER = ["rw", "admin", "custom", "cloud-edit", "r", "preview"];

/** May files be changed through the API? A custom permission may allow it: then the server decides each time. */
export function isWritable(permission: string): boolean {
  return permission === "rw" || permission === "admin" || permission.startsWith("custom-");
}

/** Smaller is better. */
export function rankOf(permission: string): number {
  const rank = ORDER.indexOf(permission.startsWith("custom-") ? "custom" : permission);
  return rank < 0 ? ORDER.length : rank;
}
