// Why a message was not handled.

import { PACKAGE } from '#host/place';

/**
 * Throw it when another attempt may succeed. The host chooses the delay, unless it is named, in milliseconds.
 * The reason is logged: no secret, nothing of the body. Of a `cause` the log shows at level *debug* where it came from, without
 * its words.
 */
export class Retry extends Error {
  override readonly name = 'Retry';
  readonly delayMs: number | undefined;

  constructor(reason: string, options: { readonly delayMs?: number; readonly cause?: unknown } = {}) {
    super(reason, options);
    this.delayMs = options.delayMs;
  }
}

/**
 * Throw it when no attempt will ever succeed: the message goes to the poison queue, with the reason.
 * The reason is logged: no secret, nothing of the body.
 */
export class Reject extends Error {
  override readonly name = 'Reject';
}

/** What is said of an error is cut here, in characters. Its stack in the log is not. */
const MAX_REASON = 1_000;

/** An error that nobody caught: `TypeError: price is undefined at src/handler.ts:31 in price`. */
export function words(error: unknown): string {
  const text = said(error).replace(/\s+/g, ' ');
  const short = text.length > MAX_REASON ? `${text.slice(0, MAX_REASON)}…` : text;
  const place = frames(error).find((it) => it.own);
  return place === undefined ? short : `${short} at ${place.text}`;
}

function said(error: unknown): string {
  try {
    return error instanceof Error ? `${error.name}: ${error.message}` : `thrown: ${String(error)}`;
  } catch {
    return error instanceof Error ? 'Error: its words cannot be read' : 'thrown: what cannot be shown as text';
  }
}

/** What is said, as the text that the host takes: whoever writes no types may say anything. */
export function asText(value: unknown): string {
  try {
    return String(value);
  } catch {
    return 'what cannot be shown as text';
  }
}

/** How many lines are logged of the causes of a failure. An error can be its own cause. */
const MAX_CAUSES = 50;

/** What an error was thrown for, as lines: types and places. What an error says may quote a body. */
export function causes(error: Error): string[] {
  const lines: string[] = [];
  for (let { cause } = error; cause !== undefined && lines.length < MAX_CAUSES; cause = cause instanceof Error ? cause.cause : undefined) {
    lines.push(`caused by ${cause instanceof Error ? cause.name : typeof cause}`, ...trace(cause));
  }
  return lines.slice(0, MAX_CAUSES);
}

/** Where an error came from, innermost first, as lines of the sources. A function that calls itself without end is one line. */
export function trace(error: unknown): string[] {
  const lines: string[] = [];
  let times = 1;
  const texts = frames(error).map((it) => `    at ${it.text}`);
  for (const [number, text] of texts.entries()) {
    if (text === texts[number + 1]) {
      times += 1;
      continue;
    }
    lines.push(times === 1 ? text : `${text}, ${times} times`);
    times = 1;
  }
  return lines;
}

interface Frame {
  readonly text: string;
  /** Whether it is the handler's own source, and no package's. */
  readonly own: boolean;
}

/**
 * What `longshore-build` adds to the bundle, as JSON: its sources, and where the lines of the bundle come from. Each run of lines
 * begins with a line of the bundle, and has the place of a source and the line there, or 0 for a package.
 */
interface Lines {
  readonly sources: readonly string[];
  readonly runs: readonly (readonly [number, number, number])[];
}

/** The component's engine writes `name@file:line:column`, and Node.js `at name (file:line:column)`. */
const FRAME = /^(?:\s*at (?:async )?(?:([^(]+) \()?|([^@]*)@)(.*?):(\d+):\d+\)?$/;

function frames(error: unknown): Frame[] {
  const stack: unknown = error instanceof Error ? error.stack : undefined;
  if (typeof stack !== 'string') return [];
  return stack.split('\n').flatMap((it): Frame[] => {
    const found = FRAME.exec(it);
    if (found === null || found[3].startsWith('node:') || found[3].endsWith('initializer.js')) return [];
    const place = source(found[3], Number(found[4]));
    if (place === undefined) return [];
    // The engine writes `outer/inner<` for a function in a function.
    const name = (found[1] ?? found[2] ?? '').replace(/^async\*/, '').replace(/[/<]+$/, '');
    // `longshore-build` writes this package's own sources as one of `node_modules`.
    const own = !/(^|\/)node_modules\//.test(place) && (PACKAGE === undefined || !place.startsWith(PACKAGE));
    return [{ text: name === '' ? place : `${place} in ${name}`, own }];
  });
}

function source(file: string, line: number): string | undefined {
  const { longshoreLines } = globalThis as { longshoreLines?: string };
  if (longshoreLines === undefined) return `${file.replace(/^file:\/\//, '')}:${line}`;
  const { sources, runs } = JSON.parse(longshoreLines) as Lines;
  const [first, place, original] = runs.findLast((it) => it[0] <= line) ?? [0, 0, 0];
  const name = sources[place];
  if (name === undefined || name === '') return undefined;
  return original === 0 ? name : `${name}:${original + line - first}`;
}
