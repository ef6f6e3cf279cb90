// What a body has to be, and what to say of one that is not. Reasons are logged: they are made of paths and kinds, never of values.
//
//     const Order = object({ order_id: string(), items: array(object({ qty: integer({ min: 1 }) })), note: optional(string()) });
//     type Order = Infer<typeof Order>;

import { Reject } from './failure.ts';

/** Reads a value of one type. */
export interface Schema<T> {
  /** The value, or a `Mismatch`. */
  read(value: unknown): T;
  /** Whether a field may be left out. */
  readonly isOptional?: boolean;
}

/** The type that a schema reads. */
export type Infer<S> = S extends Schema<infer T> ? T : never;

/** A value that does not fit: where, from the inside out, and why. */
export class Mismatch extends Error {
  readonly path: string[] = [];
}

/** Field names come from the body where a type has maps, hence a limit, in characters. */
const MAX_PATH = 200;

/** Reads a value, and rejects what does not fit. */
export function read<T>(schema: Schema<T>, value: unknown): T {
  try {
    return schema.read(value);
  } catch (error) {
    if (!(error instanceof Mismatch)) throw error;
    throw new Reject(at(error.path.reverse().join(''), error.message));
  }
}

/** `items[0].qty: expected integer, got string`. */
export function at(path: string, cause: string): string {
  const whole = path.replace(/^\./, '') || 'body';
  return `${whole.length > MAX_PATH ? `${whole.slice(0, MAX_PATH)}…` : whole}: ${cause}`;
}

function kind(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

function mismatch(expected: string, value: unknown): Mismatch {
  return new Mismatch(`expected ${expected}, got ${kind(value)}`);
}

function within<T>(segment: string, readPart: () => T): T {
  try {
    return readPart();
  } catch (error) {
    if (error instanceof Mismatch) error.path.push(segment);
    throw error;
  }
}

/** A text, of a form if one is given. */
export function string(options: { readonly pattern?: RegExp; readonly minLength?: number } = {}): Schema<string> {
  const { pattern, minLength = 0 } = options;
  return {
    read(value) {
      if (typeof value !== 'string') throw mismatch('string', value);
      if (value.length < minLength) throw new Mismatch(minLength === 1 ? 'must not be empty' : `must have ${minLength} characters or more`);
      // `test` would go on where a pattern with the flag `g` ended before.
      if (pattern !== undefined && value.search(pattern) < 0) throw new Mismatch(`must match ${pattern}`);
      return value;
    },
  };
}

interface Range {
  readonly min?: number;
  readonly max?: number;
}

function inRange(value: number, { min = -Infinity, max = Infinity }: Range): number {
  if (value < min) throw new Mismatch(`must be ${min} or more`);
  if (value > max) throw new Mismatch(`must be ${max} or less`);
  return value;
}

/** A number. */
export function number(range: Range = {}): Schema<number> {
  return {
    read(value) {
      if (typeof value !== 'number') throw mismatch('number', value);
      return inRange(value, range);
    },
  };
}

/** A whole number that a `number` holds exactly. */
export function integer(range: Range = {}): Schema<number> {
  return {
    read(value) {
      if (typeof value !== 'number') throw mismatch('integer', value);
      if (!Number.isSafeInteger(value)) throw new Mismatch('expected integer, got another number');
      return inRange(value, range);
    },
  };
}

/** `true` or `false`. */
export function boolean(): Schema<boolean> {
  return {
    read(value) {
      if (typeof value !== 'boolean') throw mismatch('boolean', value);
      return value;
    },
  };
}

/** Whatever JSON can hold. */
export function unknown(): Schema<unknown> {
  return { read: (value) => value, isOptional: true };
}

/** One of these values. */
export function oneOf<const T extends readonly (string | number | boolean | null)[]>(...values: T): Schema<T[number]> {
  return {
    read(value) {
      if (!values.includes(value as T[number])) {
        throw new Mismatch(`expected one of ${values.join(', ')}, got ${typeof value === 'string' ? 'another ' : ''}${kind(value)}`);
      }
      return value as T[number];
    },
  };
}

/** A list of values of one type. */
export function array<T>(element: Schema<T>): Schema<T[]> {
  return {
    read(value) {
      if (!Array.isArray(value)) throw mismatch('array', value);
      return value.map((it, place) => within(`[${place}]`, () => element.read(it)));
    },
  };
}

/** An object of any keys, whose values are of one type. */
export function record<T>(element: Schema<T>): Schema<Record<string, T>> {
  return {
    read(value) {
      if (kind(value) !== 'object') throw mismatch('object', value);
      const entries = Object.entries(value as object);
      return Object.fromEntries(entries.map(([key, it]) => [key, within(`.${key}`, () => element.read(it))]));
    },
  };
}

/** A value that may be `null`. */
export function nullable<T>(schema: Schema<T>): Schema<T | null> {
  return { read: (value) => (value === null ? null : schema.read(value)) };
}

/** A field that may be left out, or be `null`. Without a default it is `undefined` then. */
export function optional<T>(schema: Schema<T>): Schema<T | undefined> & { readonly isOptional: true };
export function optional<T>(schema: Schema<T>, otherwise: T): Schema<T>;
export function optional<T>(schema: Schema<T>, otherwise?: T): Schema<T | undefined> {
  return { read: (value) => (value === undefined || value === null ? otherwise : schema.read(value)), isOptional: true };
}

type Fields = Readonly<Record<string, Schema<unknown>>>;
type OptionalKeys<F extends Fields> = { [K in keyof F]: F[K] extends { readonly isOptional: true } ? K : never }[keyof F];
type Read<F extends Fields> = { [K in Exclude<keyof F, OptionalKeys<F>>]: Infer<F[K]> } & { [K in OptionalKeys<F>]?: Infer<F[K]> };

/** An object with these fields. Others are ignored. */
export function object<F extends Fields>(fields: F): Schema<{ [K in keyof Read<F>]: Read<F>[K] }> {
  const entries = Object.entries(fields);
  return {
    read(value) {
      if (kind(value) !== 'object') throw mismatch('object', value);
      const given = value as Record<string, unknown>;
      const result: Record<string, unknown> = {};
      for (const [name, schema] of entries) {
        const isThere = Object.hasOwn(given, name);
        if (!isThere && schema.isOptional !== true) throw within(`.${name}`, () => { throw new Mismatch('missing field'); });
        const read = within(`.${name}`, () => schema.read(isThere ? given[name] : undefined));
        if (read !== undefined) result[name] = read;
      }
      return result as { [K in keyof Read<F>]: Read<F>[K] };
    },
  };
}
