/**
 * The HTML of public links' web pages, as far as something is read from them: what went wrong, the form that asks for a
 * password, and the data that the pages' scripts are given. Names are escaped: they come from whoever wrote the library.
 * Called by link-views.ts.
 */
import { type ApiReply, html } from "./api-reply.ts";
import type { Header } from "./exchange.ts";

const SITE = "Private Seafile";

/** Django's escape. */
function escapeHtml(text: string): string {
  const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;" };
  return text.replace(/[&<>"']/g, (char) => entities[char]!);
}

/** Django's escapejs, for texts between quotes in a script. */
function escapeScript(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it is about.
  return text.replace(/[\u0000-\u001f\\'"<>&=;`\u2028\u2029-]/g, (char) => {
    return `\\u${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
  });
}

function page(title: string, body: string): string {
  return `<!DOCTYPE html>
<html lang="en">
<head>
<title>${escapeHtml(title)}</title>
<meta http-equiv="Content-type" content="text/html; charset=utf-8" />
<meta name="keywords" content="File, Collaboration, Team, Organization" />


<meta name="viewport" content="width=device-width, initial-scale=1, user-scalable=no" />
</head>
<body>
${body}
</body>
</html>
`;
}

/** seahub's render_error: what goes wrong with a link is told with 200. */
export function errorPage(message: string, headers: readonly Header[] = []): ApiReply {
  const body = `<div class="text-panel">\n    <p class="error">${escapeHtml(message)}</p>\n</div>`;
  return html(200, `\n\n${page(SITE, body)}`, headers);
}

/** `action`: where the form goes; `problem`: "" or why it is shown again. */
export function passwordPage(
  form: { readonly action: string; readonly token: string; readonly csrf: string; readonly problem: string },
  headers: readonly Header[],
): ApiReply {
  const body = `<div class="new-narrow-panel">
    <h2 class="hd">Password</h2>
    <form action="${escapeHtml(form.action)}" method="post" id="share-passwd-form" class="con"><input type="hidden" name="csrfmiddlewaretoken" value="${form.csrf}">
        <p class="tip">Please input the password if you want to browse the shared file/directory.</p>
        <input type="hidden" name="token" value="${form.token}" />
        <input type="password" name="password" id="password" class="form-control" autofocus />
        <p class="error">${escapeHtml(form.problem)}</p>
        <input type="submit" value="Submit" class="submit" />
    </form>
</div>`;
  return html(200, `\n\n${page(SITE, body)}`, headers);
}

/** A page whose script shows the link: `data` is what the script is given, under `variable`. */
export function scriptPage(
  title: string,
  variable: "shared" | "uploadLink",
  data: Readonly<Record<string, string | boolean>>,
  headers: readonly Header[],
): ApiReply {
  const values = Object.entries(data).map(([key, value]) => {
    return `    ${key}: ${typeof value === "string" ? `"${escapeScript(value)}"` : value}`;
  });
  const object = `{\n${values.join(",\n")}\n  }`;
  const script = variable === "shared" ? `{ pageOptions: ${object} }` : object;
  const body = `<script type="text/javascript">\n  window.${variable} = ${script};\n</script>`;
  return html(200, `\n\n\n${page(title === "" ? SITE : `${title} - ${SITE}`, body)}`, headers);
}

/** Django's answer to a form that was not sent from its page. */
export const csrfPage: ApiReply = html(
  403,
  `
<!DOCTYPE html>
<html lang="en">
<head>
  <meta http-equiv="content-type" content="text/html; charset=utf-8">
  <meta name="robots" content="NONE,NOARCHIVE">
  <title>403 Forbidden</title>
</head>
<body>
<div id="summary">
  <h1>Forbidden <span>(403)</span></h1>
  <p>CSRF verification failed. Request aborted.</p>
</div>
</body>
</html>
`,
);
