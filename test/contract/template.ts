/**
 * Templates of recorded texts: literal text with {{name}} and {{name=shape}} for what differs from run to run. A name that
 * is known must be met exactly; an unknown one is matched by its shape and remembered, so that an id which the recording
 * repeats has to repeat here too. Nothing else is masked. Used by replay.ts for statuses, headers and bodies.
 */

/** Names to values: ids of libraries, tokens of links, object ids met so far. */
export type Variables = Map<string, string>;

const TIME_OF_DAY = "\\d{2}:\\d{2}:\\d{2}";
const WEEKDAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)";
const MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)";
const SHAPES: Readonly<Record<string, string>> = {
  sha1: "[0-9a-f]{40}",
  uuid: "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
  user: "[0-9a-f]{32}@auth\\.local",
  link: "[0-9a-f]{20}",
  alnum32: "[A-Za-z0-9]{32}",
  alnum64: "[A-Za-z0-9]{64}",
  version: "\\d+\\.\\d+\\.\\d+",
  int: "\\d+",
  unix: "\\d{10}",
  iso: `\\d{4}-\\d{2}-\\d{2}T${TIME_OF_DAY}\\+00:00`,
  "iso-local": `\\d{4}-\\d{2}-\\d{2}T${TIME_OF_DAY}`,
  "rfc-date": `${WEEKDAY}, \\d{2} ${MONTH} \\d{4} ${TIME_OF_DAY} \\+0000`,
  "http-date": `${WEEKDAY}, \\d{1,2} ${MONTH} \\d{4} ${TIME_OF_DAY} GMT`,
  "digits-date": "\\d{4}(?:-\\d{2}){5}",
  "month-date": `\\d{4}-${MONTH}(?:-\\d{2}){4}`,
  ago: "[^<]*",
};

const PLACEHOLDER = /\{\{([\w-]+)(?:=([\w-]+))?\}\}/g;

/** A template with every name replaced by its value; throws for a name that is not known yet. */
export function fill(template: string, variables: Variables): string {
  return template.replace(PLACEHOLDER, (_all, name: string) => {
    const value = variables.get(name);
    if (value === undefined) throw new Error(`The recording uses {{${name}}} before anything gave it a value.`);
    return value;
  });
}

/**
 * `actual`, with placeholders written back in place of what they match: equal to the template exactly if the text matches;
 * else it is the template up to the first difference and the rest as it came, which makes a readable diff.
 * With `prefix` what follows the template is cut off.
 */
export function align(template: string, actual: string, variables: Variables, prefix = false): string {
  let at = 0;
  let literalFrom = 0;
  for (const placeholder of template.matchAll(PLACEHOLDER)) {
    const literal = template.slice(literalFrom, placeholder.index);
    if (!actual.startsWith(literal, at)) return template.slice(0, literalFrom) + actual.slice(at);
    at += literal.length;
    const matched = match(placeholder[1]!, placeholder[2], actual, at, variables);
    if (matched === undefined) return template.slice(0, placeholder.index) + actual.slice(at);
    at += matched.length;
    literalFrom = placeholder.index + placeholder[0].length;
  }
  const literal = template.slice(literalFrom);
  if (prefix && actual.startsWith(literal, at)) return template;
  return template.slice(0, literalFrom) + actual.slice(at);
}

/** `align` with the first place in `actual` where the literal beginning of the template stands; what follows is cut off. */
export function alignWithin(template: string, actual: string, variables: Variables): string {
  const beginning = template.split("{{")[0]!;
  const at = actual.indexOf(beginning);
  return at < 0 ? `(nowhere: ${beginning})` : align(template, actual.slice(at), variables, true);
}

function match(name: string, shape: string | undefined, actual: string, at: number, variables: Variables) {
  const known = variables.get(name);
  if (known !== undefined) return actual.startsWith(known, at) ? known : undefined;
  const pattern = SHAPES[shape ?? name];
  if (pattern === undefined) throw new Error(`The recording uses {{${name}}}, which is neither a value nor a shape.`);
  const sticky = new RegExp(pattern, "y");
  sticky.lastIndex = at;
  const found = sticky.exec(actual)?.[0];
  if (found !== undefined && shape !== undefined) variables.set(name, found);
  return found;
}
