import { type Message, type RawMessage } from './message.ts';
import { type Schema } from './schema.ts';
/** A schema of Zod, Valibot, ArkType and others ([Standard Schema](https://standardschema.dev)). */
export interface StandardSchema<T> {
    readonly '~standard': {
        readonly validate: (value: unknown) => StandardResult<T> | Promise<StandardResult<T>>;
        readonly types?: {
            readonly input: unknown;
            readonly output: T;
        } | undefined;
    };
}
type StandardResult<T> = {
    readonly value: T;
    readonly issues?: undefined;
} | {
    readonly issues: readonly {
        readonly message: string;
        readonly path?: readonly (PropertyKey | {
            readonly key: PropertyKey;
        })[] | undefined;
    }[];
};
/** What reads a body: a schema of `longshore-guest/schema`, one of another library, or a function that throws `Reject`. */
export type Parser<T> = Schema<T> | StandardSchema<T> | ((value: unknown) => T);
/** A body as bytes, for `handler(bytes, …)`: it is not read as JSON. */
export declare const bytes: unique symbol;
/** What a function of a handler is called with. It may be asynchronous. */
export type Handle<T> = (body: T, message: Message) => Promise<void> | void;
/** Why a message was not handled, as the contract has it. */
export type RawFailure = {
    readonly tag: 'retry';
    readonly val: {
        readonly reason: string;
        readonly afterMs: bigint | undefined;
    };
} | {
    readonly tag: 'reject';
    readonly val: string;
};
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
export declare function handler(parser: typeof bytes, handle: Handle<Uint8Array>): Handler<Uint8Array>;
export declare function handler<T>(parser: Parser<T>, handle: Handle<T>): Handler<T>;
export {};
