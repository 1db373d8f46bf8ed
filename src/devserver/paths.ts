/**
 * Paths and names as seahub (Python's posixpath, urllib.quote) and the file server treat them, the name checks and the two
 * ways of finding a free name. Pure functions; called by the web API, the file server and the tree.
 */

/** Components without empty ones: "//a//b/" is a, b. */
export function splitPath(path: string): string[] {
  return path.split("/").filter((part) => part !== "");
}

/** posixpath.dirname. */
export function dirname(path: string): string {
  const head = path.slice(0, path.lastIndexOf("/") + 1);
  return /^\/*$/.test(head) ? head : head.replace(/\/+$/, "");
}

/** posixpath.basename: "" for a path with a final slash. */
export function basename(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** posixpath.join of a directory and a name. */
export function joinPath(directory: string, name: string): string {
  return directory.endsWith("/") ? directory + name : `${directory}/${name}`;
}

/** seahub's normalize_dir_path: "/" or "/a/b/"; inner slashes stay as they are. */
export function normalizeDirectory(path: string): string {
  const inner = path.replace(/^\/+|\/+$/g, "");
  return inner === "" ? "/" : `/${inner}/`;
}

/** seahub's normalize_file_path: "/a/b". */
export function normalizeFile(path: string): string {
  return `/${path.replace(/^\/+|\/+$/g, "")}`;
}

/** One spelling per directory: no doubled and no final slash; "/" for the root. */
export function canonicalDirectory(path: string): string {
  return `/${splitPath(path).join("/")}`;
}

/** Lone surrogates become U+FFFD. */
function wellFormed(text: string): string {
  return Buffer.from(text, "utf8").toString("utf8");
}

/** urllib.parse.quote: all but letters, digits, "_.-~/" percent-encoded. */
export function quote(text: string): string {
  return encodeURIComponent(wellFormed(text))
    .replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll("%2F", "/");
}

/** Seafile's is_valid_filename: not empty, no "/", not "..", at most 255 bytes, UTF-8. "." passes, as it does there. */
export function isValidName(name: string): boolean {
  return (
    name !== "" &&
    name !== ".." &&
    !name.includes("/") &&
    !name.includes("\0") &&
    name === wellFormed(name) &&
    Buffer.byteLength(name) < 256
  );
}

/** os.path.splitext: leading dots belong to the base. */
function splitExtension(name: string): [base: string, extension: string] {
  const dot = name.lastIndexOf(".");
  const leading = /^\.*/.exec(name)![0].length;
  return dot < leading ? [name, ""] : [name.slice(0, dot), name.slice(dot)];
}

/** Rule A, of seahub (mkdir, create, rename, move, copy): "a.tar (1).gz", ".bashrc (1)", "my (1).dir". */
export function freeNameA(name: string, taken: ReadonlySet<string>): string {
  if (!taken.has(name)) return name;
  const [base, extension] = splitExtension(name);
  for (let i = 1; ; i++) {
    const candidate = `${base} (${i})${extension}`;
    if (!taken.has(candidate)) return candidate;
  }
}

/** Rule B, of the file server (upload without replace, batch move): split at the last dot, even a leading one. Undefined after 1000. */
export function freeNameB(name: string, taken: ReadonlySet<string>): string | undefined {
  if (!taken.has(name)) return name;
  const dot = name.lastIndexOf(".");
  const [base, extension] = dot < 0 ? [name, ""] : [name.slice(0, dot), name.slice(dot)];
  for (let i = 1; i <= 1000; i++) {
    const candidate = `${base} (${i})${extension}`;
    if (!taken.has(candidate)) return candidate;
  }
  return undefined;
}
