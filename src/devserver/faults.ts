/**
 * Faults on demand: the next N requests of a kind fail, hang, are late or are cut. Rules are tried in the order they were
 * made, and a rule is used up only by a request it was applied to. Called by tests (and the control endpoint) to plan,
 * and by exchange.ts once per request to learn what to do with it.
 */

export interface FaultOptions {
  /** How many requests; default 1, Infinity for all. */
  readonly times?: number;
  /** So many requests of the kind pass before; default 0. */
  readonly after?: number;
}

export interface CutOptions extends FaultOptions {
  /** Of "upload" and "update" too, cuts the answer: after 0 bytes it is lost altogether, and the upload is done all the same. */
  readonly answer?: boolean;
}

export interface FailOptions extends FaultOptions {
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Failure {
  readonly status: number;
  readonly body: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

/** What shall happen to one request. */
export interface FaultPlan {
  readonly failure: Failure | undefined;
  readonly hang: boolean;
  readonly delayMs: number;
  readonly cut: { readonly afterBytes: number; readonly answer: boolean } | undefined;
}

type Effect =
  | { readonly type: "fail"; readonly failure: Failure }
  | { readonly type: "hang" }
  | { readonly type: "delay"; readonly ms: number }
  | { readonly type: "cut"; readonly afterBytes: number; readonly answer: boolean };

interface Rule {
  readonly kind: string;
  left: number;
  /** Requests of the kind still to be let through. */
  before: number;
  readonly effect: Effect;
}

export interface FaultHooks {
  readonly expireLinks: () => void;
  readonly lockLibraries: () => void;
  readonly setDown: (down: boolean) => void;
}

export class Faults {
  readonly #hooks: FaultHooks;
  #rules: Rule[] = [];

  constructor(hooks: FaultHooks) {
    this.#hooks = hooks;
  }

  /** The next requests of `kind` ("*": any) are answered with `status`, without reaching the handler. */
  fail(kind: string, status: number, options: FailOptions = {}): void {
    const failure = { status, body: options.body, headers: options.headers ?? {} };
    this.#add(kind, { type: "fail", failure }, options);
  }

  /** Cuts the connection after that many body bytes: of the request for "upload" and "update", of the response otherwise. */
  cut(kind: string, afterBytes: number, options: CutOptions = {}): void {
    this.#add(kind, { type: "cut", afterBytes, answer: options.answer ?? false }, options);
  }

  /** Accepts the request and never answers. */
  hang(kind: string, options: FaultOptions = {}): void {
    this.#add(kind, { type: "hang" }, options);
  }

  /** Handles the request `ms` milliseconds later. */
  delay(kind: string, ms: number, options: FaultOptions = {}): void {
    this.#add(kind, { type: "delay", ms }, options);
  }

  /** Forgets all access tokens, as a restart of seaf-server does. */
  expireLinks(): void {
    this.#hooks.expireLinks();
  }

  /** Forgets the keys of all encrypted libraries, as a restart of seaf-server does. */
  lockLibraries(): void {
    this.#hooks.lockLibraries();
  }

  /** Destroys all connections, and new ones as they come, at both origins. */
  down(): void {
    this.#hooks.setDown(true);
  }

  up(): void {
    this.#hooks.setDown(false);
  }

  /** Forgets all rules and comes up. */
  clear(): void {
    this.#rules = [];
    this.up();
  }

  take(kind: string): FaultPlan {
    const waiting = this.#rules.filter((rule) => rule.before > 0 && matches(rule, kind));
    const first = this.#use(kind, (effect) => effect.type === "fail" || effect.type === "hang");
    const delay = this.#use(kind, (effect) => effect.type === "delay");
    const cut = first === undefined ? this.#use(kind, (effect) => effect.type === "cut") : undefined;
    for (const rule of waiting) rule.before -= 1;
    return {
      failure: first?.type === "fail" ? first.failure : undefined,
      hang: first?.type === "hang",
      delayMs: delay?.type === "delay" ? delay.ms : 0,
      cut: cut?.type === "cut" ? cut : undefined,
    };
  }

  #add(kind: string, effect: Effect, options: FaultOptions): void {
    this.#rules.push({ kind, left: options.times ?? 1, before: options.after ?? 0, effect });
  }

  #use(kind: string, wanted: (effect: Effect) => boolean): Effect | undefined {
    const rule = this.#rules.find((candidate) => {
      return candidate.left > 0 && candidate.before === 0 && matches(candidate, kind) && wanted(candidate.effect);
    });
    if (rule !== undefined) rule.left -= 1;
    return rule?.effect;
  }
}

function matches(rule: Rule, kind: string): boolean {
  return rule.kind === "*" || rule.kind === kind;
}
