/**
 * What became of one change. A failure is a value here, not an exception, because the changes after it go on.
 * Made by the library-*.ts files, handed out by Library.apply.
 */
import type { SeafileError } from "./errors.ts";
import type { RemoteEntry } from "./types.ts";

export type ChangeResult =
  | { readonly ok: true; readonly entry?: RemoteEntry }
  | { readonly ok: false; readonly error: SeafileError };
