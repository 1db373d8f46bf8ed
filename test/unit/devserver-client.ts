/** What the tests of the development server talk to it with: fetch with a token, links, multipart bodies. Holds no state. */
import { createDevServer, type DevServer, type DevServerOptions } from "../../src/devserver/index.ts";

export const USER = "test@example.com";
export const OTHER = "other@example.com";

export interface TestServer {
  readonly server: DevServer;
  /** An empty library of USER. */
  readonly library: string;
  /** Request to the web API as `user`. */
  api(path: string, init?: RequestInit & { user?: string }): Promise<Response>;
  form(path: string, fields: Record<string, string>, user?: string): Promise<Response>;
  /** A link endpoint's answer. */
  link(path: string, user?: string): Promise<string>;
  upload(name: string, data: string | Buffer, options?: UploadOptions): Promise<Response>;
}

export interface UploadOptions {
  readonly link?: string;
  readonly fields?: Readonly<Record<string, string>>;
  readonly query?: string;
}

export function multipart(fields: Readonly<Record<string, string>>, files: readonly [disposition: string, Buffer][]) {
  const boundary = "------------------------0123456789abcdef";
  const head = (disposition: string) =>
    Buffer.from(`--${boundary}\r\nContent-Disposition: form-data; ${disposition}\r\n\r\n`);
  const parts = [
    ...Object.entries(fields).flatMap(([name, value]) => [head(`name="${name}"`), Buffer.from(`${value}\r\n`)]),
    ...files.flatMap(([disposition, data]) => [head(disposition), data, Buffer.from("\r\n")]),
  ];
  return {
    body: Buffer.concat([...parts, Buffer.from(`--${boundary}--\r\n`)]),
    headers: { "Content-Type": `multipart/form-data; boundary=${boundary}` },
  };
}

export async function startServer(options: DevServerOptions = {}): Promise<TestServer> {
  const users = options.users ?? [
    { email: USER, password: "testpass123" },
    { email: OTHER, password: "otherpass" },
  ];
  const server = await createDevServer({ ...options, users });
  const library = server.store.createLibrary(USER, "Docs");
  const api: TestServer["api"] = (path, { user = USER, headers, ...init } = {}) => {
    const authorization = { Authorization: `Token ${server.token(user)}` };
    return fetch(server.url + path, { redirect: "manual", ...init, headers: { ...authorization, ...headers } });
  };
  const link = async (path: string, user = USER) => (await (await api(path, { user })).json()) as string;
  return {
    server,
    library,
    api,
    link,
    form: (path, fields, user = USER) => api(path, { user, method: "POST", body: new URLSearchParams(fields) }),
    upload: async (name, data, given = {}) => {
      const target = given.link ?? (await link(`/api2/repos/${library}/upload-link/`));
      const { body, headers } = multipart({ parent_dir: "/", ...given.fields }, [
        [`name="file"; filename="${name}"`, Buffer.from(data)],
      ]);
      return fetch(`${target}?${given.query ?? "ret-json=1"}`, { method: "POST", body, headers });
    },
  };
}
