// Writes dist/seamount.1, which the package installs as seamount(1), from the built commands. Run by `npm run build` after the compiler.
import { readFileSync, writeFileSync } from "node:fs";
import { COMMANDS, DESCRIPTION, EPILOGUE, EXAMPLES } from "../dist/cli/all-commands.js";
import { manPage } from "../dist/cli/man-page.js";

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
const page = manPage({ version, description: DESCRIPTION, commands: COMMANDS, examples: EXAMPLES, epilogue: EPILOGUE });
writeFileSync(new URL("../dist/seamount.1", import.meta.url), page);
