/**
 * Faults, request log and clock over HTTP, for tests in other processes; served below /_dev/ at the web API's origin when the
 * option controlApi is set, and reachable while the server is down. Requests here are not logged. Called by index.ts.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Faults } from "./faults.ts";
import { readSmall } from "./multipart.ts";
import type { RequestLog } from "./request-log.ts";

export interface Controlled {
  readonly faults: Faults;
  readonly requests: RequestLog;
  readonly advanceClock: (ms: number) => void;
}

/** Body of POST /_dev/faults. */
export type FaultOrder =
  | {
      readonly type: "fail";
      readonly kind: string;
      readonly status: number;
      readonly times?: number;
      readonly after?: number;
      readonly body?: string;
    }
  | {
      readonly type: "cut";
      readonly kind: string;
      readonly afterBytes: number;
      readonly times?: number;
      readonly after?: number;
      readonly answer?: boolean;
    }
  | { readonly type: "hang"; readonly kind: string; readonly times?: number }
  | { readonly type: "delay"; readonly kind: string; readonly ms: number; readonly times?: number }
  | { readonly type: "expireLinks" | "lockLibraries" | "clear" };

export const CONTROL_PREFIX = "/_dev/";

function order(faults: Faults, fault: FaultOrder): void {
  if (fault.type === "fail") faults.fail(fault.kind, fault.status, fault);
  else if (fault.type === "cut") faults.cut(fault.kind, fault.afterBytes, fault);
  else if (fault.type === "hang") faults.hang(fault.kind, fault);
  else if (fault.type === "delay") faults.delay(fault.kind, fault.ms, fault);
  else if (fault.type === "expireLinks") faults.expireLinks();
  else if (fault.type === "lockLibraries") faults.lockLibraries();
  else if (fault.type === "clear") faults.clear();
  else throw new Error("A fault has the type fail, cut, hang, delay, expireLinks, lockLibraries or clear.");
}

/** Answers JSON: 200, 404 for what there is not, 400 for a body that makes no sense. */
export function controlApi(controlled: Controlled) {
  const { faults, requests } = controlled;
  const endpoints: Record<string, (body: () => unknown) => unknown> = {
    "POST faults": (body) => order(faults, body() as FaultOrder),
    "GET requests": () => requests.list(),
    "DELETE requests": () => requests.reset(),
    "POST clock": (body) => controlled.advanceClock(Number((body() as { advanceMs: number }).advanceMs)),
    // After the answer: going down destroys this connection too.
    "POST down": () => void setTimeout(() => faults.down(), 10),
    "POST up": () => faults.up(),
  };
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const text = (await readSmall(request as AsyncIterable<Buffer>)).toString("utf8");
    const name = request.url?.slice(CONTROL_PREFIX.length).replace(/\/?(\?.*)?$/, "");
    const endpoint = endpoints[`${request.method} ${name}`];
    const answer = (status: number, value: unknown) => {
      response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(value));
    };
    if (endpoint === undefined) return answer(404, { error: "There is no such control endpoint." });
    try {
      answer(200, endpoint(() => JSON.parse(text)) ?? {});
    } catch (error) {
      answer(400, { error: (error as Error).message });
    }
  };
}
