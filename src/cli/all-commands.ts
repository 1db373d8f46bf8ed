/**
 * All commands of `seamount` and what is said about the program as a whole: the one source of the parser, --help and the man page.
 */
import { asCommand, type Command } from "./command.ts";
import { accountCommand } from "./commands/account.ts";
import { completionCommand } from "./commands/completion.ts";
import { devServerCommand } from "./commands/dev-server.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { librariesCommand } from "./commands/libraries.ts";
import { loginCommand } from "./commands/login.ts";
import { logoutCommand } from "./commands/logout.ts";
import { mountCommand } from "./commands/mount.ts";
import { queueCommand } from "./commands/queue.ts";
import { shareLinksCommand } from "./commands/share-links.ts";
import { sharedCommand } from "./commands/shared.ts";
import { starCommand } from "./commands/star.ts";
import { statusCommand } from "./commands/status.ts";
import { syncCommand } from "./commands/sync.ts";
import { unlockCommand } from "./commands/unlock.ts";
import { unmountCommand } from "./commands/unmount.ts";
import { uploadLinksCommand } from "./commands/upload-links.ts";

/** In the order of --help. */
export const COMMANDS: readonly Command[] = [
  asCommand(loginCommand),
  asCommand(mountCommand),
  asCommand(unmountCommand),
  asCommand(statusCommand),
  asCommand(queueCommand),
  asCommand(syncCommand),
  asCommand(librariesCommand),
  asCommand(unlockCommand),
  asCommand(accountCommand),
  starCommand,
  shareLinksCommand,
  uploadLinksCommand,
  sharedCommand,
  asCommand(logoutCommand),
  asCommand(doctorCommand),
  asCommand(completionCommand(() => COMMANDS)),
  asCommand(devServerCommand),
];

export const DESCRIPTION = "Mounts Seafile libraries as a folder.";

export const EXAMPLES: readonly (readonly [command: string, what: string])[] = [
  ["$0 login https://seafile.example.com", "once"],
  ["$0 mount ~/Seafile", "all your libraries as folders in ~/Seafile"],
  ["$0 unmount ~/Seafile", ""],
];

export const EPILOGUE = `Exit codes: 0 done, 1 unexpected failure, 2 wrong usage, 3 not logged in, 4 server unreachable,
5 mounting or unmounting failed, 6 something is not stored, 7 not found.

SEAMOUNT_SERVER and SEAMOUNT_TOKEN in the environment replace a login.`;
