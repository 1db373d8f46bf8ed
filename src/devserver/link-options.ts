/**
 * What a request says about a public link: password, expiry, permissions; checked as seahub checks it. The limits are
 * seahub's settings. Called by the views that make and change share links and upload links.
 */
import { apiError } from "./api-reply.ts";
import type { ApiRequest } from "./api-request.ts";
import { type LinkPermissions, VIEW_AND_DOWNLOAD } from "./public-links.ts";
import type { Services } from "./services.ts";

export interface LinkPolicy {
  /** SHARE_LINK_FORCE_USE_PASSWORD. */
  readonly passwordRequired: boolean;
  /** SHARE_LINK_PASSWORD_MIN_LENGTH. */
  readonly passwordLength: number;
  /** SHARE_LINK_PASSWORD_STRENGTH_LEVEL: how many of digits, upper case, lower case and others there must be; 1 to 4. */
  readonly passwordStrength: number;
  /** SHARE_LINK_EXPIRE_DAYS_MIN and …_MAX; 0: no limit. */
  readonly minDays: number;
  readonly maxDays: number;
}

export const DEFAULT_POLICY: LinkPolicy = {
  passwordRequired: false,
  passwordLength: 8,
  passwordStrength: 1,
  minDays: 0,
  maxDays: 0,
};

const DAY = 86_400;
const ISO = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(Z|[+-]\d\d:?\d\d)?)?$/;

/** The password, "" for none. `stop` ends the messages: "." in v2.1, nothing in api2. */
export function passwordOf(request: ApiRequest, { linkPolicy }: Services, stop: "." | ""): string {
  const password = request.data("password") ?? "";
  if (password === "") {
    if (linkPolicy.passwordRequired) throw apiError(400, `Password is required${stop}`);
    return "";
  }
  if ([...password].length < linkPolicy.passwordLength) throw apiError(400, `Password is too short${stop}`);
  const kinds = [/[0-9]/, /[A-Z]/, /[a-z]/, /[^0-9A-Za-z]/].filter((kind) => kind.test(password)).length;
  if (kinds < linkPolicy.passwordStrength) throw apiError(400, `Password is too weak${stop}`);
  return password;
}

/** Unix seconds; undefined when the request says nothing of expiry. */
export function expiryOf(request: ApiRequest, services: Services): number | undefined {
  const days = given(request, "expire_days");
  const time = given(request, "expiration_time");
  if (days !== "" && time !== "") {
    throw apiError(400, "Can not pass expire_days and expiration_time at the same time.");
  }
  if (days !== "") return services.store.now() + daysOf(days, services, "expire_days invalid.") * DAY;
  return time === "" ? undefined : timeOf(time, services);
}

/** api2's `expire`, in days. */
export function daysToExpiry(text: string, services: Services): number {
  return services.store.now() + daysOf(text, services, "expire invalid.") * DAY;
}

/** Python's truth: 0 and false are nothing, "0" is something. */
function given(request: ApiRequest, name: string): string {
  const value = request.dataValue(name);
  if (value === undefined || value === null || value === 0 || value === false) return "";
  return String(value);
}

function daysOf(text: string, { linkPolicy }: Services, invalid: string): number {
  const days = /^\s*[+-]?\d+\s*$/.test(text) ? Number(text) : 0;
  if (days <= 0) throw apiError(400, invalid);
  const { minDays, maxDays } = linkPolicy;
  if (minDays > 0 && days < minDays) throw apiError(400, `Expire days should be greater or equal to ${minDays}`);
  if (maxDays > 0 && days > maxDays) throw apiError(400, `Expire days should be less than or equal to ${maxDays}`);
  return days;
}

function timeOf(text: string, { linkPolicy, store }: Services): number {
  const match = ISO.exec(text);
  // A time without a zone is the server's, which is UTC.
  const zoned = text.length > 10 && match?.[1] === undefined ? `${text}Z` : text;
  const time = match === null ? Number.NaN : Date.parse(zoned.replace(",", "."));
  if (Number.isNaN(time)) {
    throw apiError(400, "expiration_time invalid, should be iso format, for example: 2020-05-17T10:26:22+08:00");
  }
  const expires = Math.floor(time / 1000);
  const { minDays, maxDays } = linkPolicy;
  const midnight = (days: number) => Math.floor((store.now() + days * DAY) / DAY) * DAY;
  const readable = (seconds: number) => new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ");
  const [earliest, latest] = [midnight(minDays), midnight(maxDays) + DAY - 1];
  if (minDays > 0 && expires < earliest) {
    throw apiError(400, `Expiration time should be later than ${readable(earliest)}.`);
  }
  if (maxDays > 0 && expires > latest) {
    throw apiError(400, `Expiration time should be earlier than ${readable(latest)}.`);
  }
  return expires;
}

/** An object, or one as JSON text; what is not said is seahub's default. */
export function permissionsOf(request: ApiRequest): LinkPermissions {
  const value = request.dataValue("permissions");
  if (value === undefined || value === null || value === "") return VIEW_AND_DOWNLOAD;
  const wanted = typeof value === "string" ? parsed(value) : value;
  if (typeof wanted !== "object" || wanted === null || Array.isArray(wanted))
    throw apiError(400, "permissions invalid.");
  const { can_edit = false, can_download = true, can_upload = false } = wanted as Record<string, unknown>;
  const [edits, downloads] = [Boolean(can_edit), Boolean(can_download)];
  return { can_edit: edits, can_download: downloads, can_upload: !edits && downloads && Boolean(can_upload) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw apiError(400, "permissions invalid.");
  }
}
