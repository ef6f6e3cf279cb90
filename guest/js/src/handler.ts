// A handler: a parser of the body, and a function.

import { asText, causes, Reject, Retry, trace, words } from './failure.ts';
import { say } from './log.ts';
import { fromRaw, type Message, type RawMessage } from './message.ts';
import { at, read, type Schema } from './schema.ts';

/** A schema of Zod, Valibot, ArkType and others ([Standard Schema](https://standardschema.dev)). */
export interface StandardSchema<T> {
  readonly '~standard': {
    readonly validate: (value: unknown) => StandardResult<T> | Promise<StandardResult<T>>;
    readonly types?: { readonly input: unknown; readonly output: T } | undefined;
  };
}

type StandardResult<T> =
  | { readonly value: T; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string; readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined }[] };

/** What reads a body: a schema of `longshore-guest/schema`, one of another library, or a function that throws `Reject`. */
export type Parser<T> = Schema<T> | StandardSchema<T> | ((value: unknown) => T);

/** A body as bytes, for `handler(bytes, …)`: it is not read as JSON. */
export const bytes: unique symbol = Symbol('bytes');

/** What a function of a handler is called with. It may be asynchronous. */
export type Handle<T> = (body: T, message: Message) => Promise<void> | void;

/** Why a message was not handled, as the contract has it. */
export type RawFailure =
  | { readonly tag: 'retry'; readonly val: { readonly reason: string; readonly afterMs: bigint | undefined } }
  | { readonly tag: 'reject'; readonly val: string };

/** What a module exports as its default. */
export interface Handler<T = unknown> {
  /** What the host calls, once for each message. */
  handle(message: RawMessage): Promise<void>;
  /** One attempt, for tests: `longshore-guest/testing` has more. */
  readonly attempt: (message: Message) => Promise<void>;
  /** The type of the body. */
  readonly body?: T;
}

/**
 * Makes a handler: export it as the module's default.
 *
 * A body that is no JSON, or does not fit, is rejected before the function is called, with a reason that names the field and the
 * cause: `items[0].qty: expected integer, got string`. The function returns (completed), or throws `Retry` or `Reject`. Any other
 * error is a retry. Its type, its words and its place are the reason, and its stack is in the log: throw none that quotes a body.
 */
export function handler(parser: typeof bytes, handle: Handle<Uint8Array>): Handler<Uint8Array>;
export function handler<T>(parser: Parser<T>, handle: Handle<T>): Handler<T>;
export function handler<T>(parser: Parser<T> | typeof bytes, handle: Handle<T>): Handler<T> {
  const attempt = async (message: Message): Promise<void> => {
    const body = parser === bytes ? (message.body as T) : await parse(parser, json(message.body));
    await handle(body, message);
  };
  return {
    attempt,
    async handle(raw) {
      try {
        await attempt(fromRaw(raw));
      } catch (error) {
        throw failure(error);
      }
    },
  };
}

/** What an error is to the host. */
function failure(error: unknown): RawFailure {
  if (error instanceof Reject || error instanceof Retry) for (const line of causes(error)) say('debug', '', line);
  if (error instanceof Reject) return { tag: 'reject', val: asText(error.message) };
  if (error instanceof Retry) return { tag: 'retry', val: { reason: asText(error.message), afterMs: milliseconds(error.delayMs) } };
  const reason = words(error);
  const why = error instanceof Error ? causes(error) : [];
  for (const line of [reason, ...trace(error), ...why]) say('error', '', line);
  return { tag: 'retry', val: { reason, afterMs: undefined } };
}

function milliseconds(delayMs: number | undefined): bigint | undefined {
  return delayMs === undefined || Number.isNaN(delayMs) ? undefined : BigInt(Math.round(Math.min(Math.max(delayMs, 0), Number.MAX_SAFE_INTEGER)));
}

function json(body: Uint8Array): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    throw new Reject('body: not UTF-8');
  }
  if (text.trim() === '') throw new Reject('body: empty');
  try {
    return JSON.parse(text);
  } catch {
    // Its error quotes the text.
    throw new Reject('body: not JSON');
  }
}

async function parse<T>(parser: Parser<T>, value: unknown): Promise<T> {
  if ('~standard' in parser) {
    const result = await parser['~standard'].validate(value);
    if (result.issues === undefined) return result.value;
    const [issue] = result.issues;
    const path = (issue?.path ?? []).map((it) => (typeof it === 'object' ? it.key : it));
    const joined = path.map((it) => (typeof it === 'number' ? `[${it}]` : `.${String(it)}`)).join('');
    throw new Reject(at(joined, issue?.message ?? 'does not fit'));
  }
  return typeof parser === 'function' ? parser(value) : read(parser, value);
}
