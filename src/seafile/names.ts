/**
 * What Seafile can take as a name, and paths made of names. Decisions about bytes only: which errno a refused name gets
 * is decided elsewhere. Paths are absolute in their library, "/" separated, without a trailing slash.
 */

export type NameProblem = "too-long" | "invalid";

/** Seahub's limit: fewer than 256 bytes of UTF-8 (seahub/utils is_valid_dirent_name). */
const NAME_MAX = 255;
/** The C file server makes its temporary file from the name plus six characters (server/upload-file.c), so it fails above. */
const MULTIPART_NAME_MAX = 249;

/** What Seafile cannot store under this name; undefined when it can. The name counts in NFC, as the server stores it. */
export function checkName(name: string): NameProblem | undefined {
  // Recent servers refuse more (pictographs in mkdir and rename), and say so themselves.
  if (name === "" || name === "." || name === ".." || /[/\0]|\p{Surrogate}/u.test(name)) return "invalid";
  return Buffer.byteLength(toNfc(name)) > NAME_MAX ? "too-long" : undefined;
}

/** The form in which every writer of the server stores names. */
export function toNfc(name: string): string {
  return name.normalize("NFC");
}

/** Can the name stand in a multipart header as both file servers read it (raw between quotes, MIME rules)? */
export function fitsMultipart(name: string): boolean {
  return !/["\\\p{Cc}]/u.test(name) && Buffer.byteLength(name) <= MULTIPART_NAME_MAX;
}

/** Can the path stand in a form field? The C server takes one line, and only its last, and "\\" for "/". */
export function fitsFormField(path: string): boolean {
  return !/[\\\r\n]/.test(path);
}

/** Can the name stand among others in batch-delete-item? Up to 8.0 Seahub hands them on joined by tabs. */
export function fitsBatch(name: string): boolean {
  return !/\p{Cc}/u.test(name);
}

/** Is `candidate` what the file server's rule makes of a taken `name`: "a (1).txt" of "a.txt" (fileop.go getUniqueName)? */
export function isNumbered(candidate: string, name: string): boolean {
  const dot = name.lastIndexOf(".");
  const [stem, extension] = dot < 0 ? [name, ""] : [name.slice(0, dot), name.slice(dot)];
  if (!candidate.startsWith(`${stem} (`) || !candidate.endsWith(`)${extension}`)) return false;
  return /^\d+$/.test(candidate.slice(stem.length + 2, candidate.length - extension.length - 1));
}

export function parentOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash <= 0 ? "/" : path.slice(0, slash);
}

export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

export function join(parent: string, name: string): string {
  return parent === "/" ? `/${name}` : `${parent}/${name}`;
}
