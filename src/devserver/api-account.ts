/**
 * Seahub views without a library: ping, login, server-info, account/info. Listed in api-routes.ts.
 * Invariant: a login without device fields gives the same token every time.
 */
import { ApiError, detail, dumped, rest } from "./api-reply.ts";
import type { ApiRequest } from "./api-request.ts";
import { pythonFloat } from "./json-text.ts";
import type { Route } from "./router.ts";
import { route } from "./router.ts";
import type { Services } from "./services.ts";

const PONG = () => rest("pong");

function nonField(message: string, headers: [string, string][] = []): ApiError {
  return new ApiError(rest({ non_field_errors: [message] }, 400, headers));
}

function login(request: ApiRequest, services: Services) {
  const field = (name: string) => request.data(name) ?? "";
  const missing = ["username", "password"].filter((name) => field(name) === "");
  if (missing.length > 0) {
    const required = Object.fromEntries(missing.map((name) => [name, ["This field is required."]]));
    throw new ApiError(rest(required, 400));
  }
  const device = ["platform", "device_id", "device_name"].map((name) => request.data(name));
  const given = device.filter((value) => value !== undefined).length;
  if (given !== 0 && given !== 3) throw nonField("invalid params");
  const user = services.store.user(field("username"));
  const credentials = user && services.store.credentials(user);
  if (user === undefined || !credentials?.matches(field("password"))) {
    throw nonField("Unable to login with provided credentials.");
  }
  checkCode(credentials.otp, request.header("x-seafile-otp"));
  return rest({ token: given === 3 ? services.store.deviceToken(user, device[1]!) : user.token });
}

function checkCode(wanted: string | undefined, given: string | undefined): void {
  if (wanted === undefined || given === wanted) return;
  const problem = given === undefined ? "missing" : "invalid";
  throw nonField(`Two factor auth token is ${problem}.`, [["X-Seafile-OTP", "required"]]);
}

function serverInfo(_request: ApiRequest, services: Services) {
  const version = services.compat === 12 ? "12.0.1" : "11.0.13";
  return dumped({ version, encrypted_library_version: 2, features: ["seafile-basic"] });
}

function accountInfo(request: ApiRequest, services: Services) {
  const { user } = request;
  const usage = services.store.usage(user.id);
  const total = user.quota ?? -2;
  return rest({
    space_usage: total > 0 ? `${pythonFloat((usage / total) * 100)}%` : "0%",
    avatar_url: `${services.seahubUrl()}/media/avatars/default.png`,
    email: user.id,
    name: user.name,
    total,
    usage,
    login_id: "",
    department: "",
    contact_email: user.email,
    institution: "",
    is_staff: false,
    file_updates_email_interval: 0,
    collaborate_email_interval: 0,
  });
}

function readOnlyAccount(): never {
  throw detail(403, "The development server does not change accounts.");
}

export const accountRoutes: readonly Route[] = [
  { pattern: route("/api2/ping/"), kind: "ping", anonymous: "none", views: { GET: PONG } },
  { pattern: route("/api2/auth/ping/"), kind: "auth-ping", views: { GET: PONG } },
  { pattern: route("/api2/auth-token/"), kind: "auth-token", anonymous: "anon", views: { POST: login } },
  { pattern: route("/api2/server-info/"), kind: "server-info", anonymous: "none", views: { GET: serverInfo } },
  {
    pattern: route("/api2/account/info/"),
    kind: "account",
    views: { GET: accountInfo, PUT: readOnlyAccount },
  },
];
