/**
 * Prints one file as the server holds it, asked through its web API and not through the mount: scripts/demo compares with it.
 * Usage: USERNAME=... PASSWORD=... node server-file.mjs SERVER LIBRARY /PATH
 */
import { text } from "node:stream/consumers";

const [server, library, path] = process.argv.slice(2);

async function request(url, options) {
  const response = await fetch(url, options);
  if (!response.ok)
    throw new Error(`${new URL(url).pathname} answered ${response.status}: ${await text(response.body)}`);
  return response;
}

const body = new URLSearchParams({ username: process.env.USERNAME, password: process.env.PASSWORD });
const { token } = await (await request(`${server}/api2/auth-token/`, { method: "POST", body })).json();
const headers = { Authorization: `Token ${token}` };
const libraries = await (await request(`${server}/api2/repos/`, { headers })).json();
const { id } = libraries.find((candidate) => candidate.name === library);
const link = await (
  await request(`${server}/api2/repos/${id}/file/?p=${encodeURIComponent(path)}`, { headers })
).json();
process.stdout.write(Buffer.from(await (await request(link)).arrayBuffer()));
