// What a body has to be, and what to say of one that is not. Reasons are logged: they are made of paths and kinds, never of values.
//
//     const Order = object({ order_id: string(), items: array(object({ qty: integer({ min: 1 }) })), note: optional(string()) });
//     type Order = Infer<typeof Order>;
import { Reject } from './failure.js';
/** A value that does not fit: where, from the inside out, and why. */
export class Mismatch extends Error {
    path = [];
}
/** Field names come from the body where a type has maps, hence a limit, in characters. */
const MAX_PATH = 200;
/** Reads a value, and rejects what does not fit. */
export function read(schema, value) {
    try {
        return schema.read(value);
    }
    catch (error) {
        if (!(error instanceof Mismatch))
            throw error;
        throw new Reject(at(error.path.reverse().join(''), error.message));
    }
}
/** `items[0].qty: expected integer, got string`. */
export function at(path, cause) {
    const whole = path.replace(/^\./, '') || 'body';
    return `${whole.length > MAX_PATH ? `${whole.slice(0, MAX_PATH)}…` : whole}: ${cause}`;
}
function kind(value) {
    if (value === null)
        return 'null';
    return Array.isArray(value) ? 'array' : typeof value;
}
function mismatch(expected, value) {
    return new Mismatch(`expected ${expected}, got ${kind(value)}`);
}
function within(segment, readPart) {
    try {
        return readPart();
    }
    catch (error) {
        if (error instanceof Mismatch)
            error.path.push(segment);
        throw error;
    }
}
/** A text, of a form if one is given. */
export function string(options = {}) {
    const { pattern, minLength = 0 } = options;
    return {
        read(value) {
            if (typeof value !== 'string')
                throw mismatch('string', value);
            if (value.length < minLength)
                throw new Mismatch(minLength === 1 ? 'must not be empty' : `must have ${minLength} characters or more`);
            if (pattern !== undefined && !pattern.test(value))
                throw new Mismatch(`must match ${pattern}`);
            return value;
        },
    };
}
function inRange(value, { min = -Infinity, max = Infinity }) {
    if (value < min)
        throw new Mismatch(`must be ${min} or more`);
    if (value > max)
        throw new Mismatch(`must be ${max} or less`);
    return value;
}
/** A number. */
export function number(range = {}) {
    return {
        read(value) {
            if (typeof value !== 'number')
                throw mismatch('number', value);
            return inRange(value, range);
        },
    };
}
/** A whole number that a `number` holds exactly. */
export function integer(range = {}) {
    return {
        read(value) {
            if (typeof value !== 'number')
                throw mismatch('integer', value);
            if (!Number.isSafeInteger(value))
                throw new Mismatch('expected integer, got another number');
            return inRange(value, range);
        },
    };
}
/** `true` or `false`. */
export function boolean() {
    return {
        read(value) {
            if (typeof value !== 'boolean')
                throw mismatch('boolean', value);
            return value;
        },
    };
}
/** Whatever JSON can hold. */
export function unknown() {
    return { read: (value) => value, isOptional: true };
}
/** One of these values. */
export function oneOf(...values) {
    return {
        read(value) {
            if (!values.includes(value)) {
                throw new Mismatch(`expected one of ${values.join(', ')}, got ${typeof value === 'string' ? 'another ' : ''}${kind(value)}`);
            }
            return value;
        },
    };
}
/** A list of values of one type. */
export function array(element) {
    return {
        read(value) {
            if (!Array.isArray(value))
                throw mismatch('array', value);
            return value.map((it, place) => within(`[${place}]`, () => element.read(it)));
        },
    };
}
/** An object of any keys, whose values are of one type. */
export function record(element) {
    return {
        read(value) {
            if (kind(value) !== 'object')
                throw mismatch('object', value);
            const entries = Object.entries(value);
            return Object.fromEntries(entries.map(([key, it]) => [key, within(`.${key}`, () => element.read(it))]));
        },
    };
}
/** A value that may be `null`. */
export function nullable(schema) {
    return { read: (value) => (value === null ? null : schema.read(value)) };
}
export function optional(schema, otherwise) {
    return { read: (value) => (value === undefined || value === null ? otherwise : schema.read(value)), isOptional: true };
}
/** An object with these fields. Others are ignored. */
export function object(fields) {
    const entries = Object.entries(fields);
    return {
        read(value) {
            if (kind(value) !== 'object')
                throw mismatch('object', value);
            const given = value;
            const result = {};
            for (const [name, schema] of entries) {
                const isThere = Object.hasOwn(given, name);
                if (!isThere && schema.isOptional !== true)
                    throw within(`.${name}`, () => { throw new Mismatch('missing field'); });
                const read = within(`.${name}`, () => schema.read(isThere ? given[name] : undefined));
                if (read !== undefined)
                    result[name] = read;
            }
            return result;
        },
    };
}
