/** Absolute "/a/b" paths inside a library: joining and splitting. The root is "/"; there is never a trailing slash otherwise. */

export function joinPath(parent: string, name: string): string {
  return parent === "/" ? `/${name}` : `${parent}/${name}`;
}

/** "/a/b" -> { parent: "/a", name: "b" }. The root has no name and may not be split. */
export function splitPath(path: string): { parent: string; name: string } {
  const slash = path.lastIndexOf("/");
  return { parent: slash <= 0 ? "/" : path.slice(0, slash), name: path.slice(slash + 1) };
}

/** Adds the leading slash, removes doubled and trailing ones. */
export function normalizePath(path: string): string {
  const parts = path.split("/").filter((part) => part !== "");
  return `/${parts.join("/")}`;
}

/** "a.tar.gz" -> ["a.tar", ".gz"], ".bashrc" -> [".bashrc", ""]: as Python's splitext, which the server's own renaming uses. */
export function splitExtension(name: string): [stem: string, extension: string] {
  const dot = name.lastIndexOf(".");
  if (dot <= 0 || /^\.+$/.test(name.slice(0, dot))) return [name, ""];
  return [name.slice(0, dot), name.slice(dot)];
}
