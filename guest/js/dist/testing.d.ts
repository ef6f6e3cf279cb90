import type { Handler } from './handler.ts';
import type { Message } from './message.ts';
import { type Line } from './native/stage.ts';
/** A message for another queue. */
export interface Sent {
    readonly outbox: string;
    readonly body: Uint8Array;
    readonly properties: Readonly<Record<string, string>>;
    /** The body as text. */
    text(): string;
    /** The body as JSON. */
    json(): unknown;
}
/** What became of an attempt. */
export interface Outcome {
    /** What the host makes of it. */
    readonly name: 'completed' | 'retry' | 'rejected';
    /** Why a message was not handled: what goes into the log and, in the end, into the poison queue. */
    readonly reason: string;
    /** Of a retry: the delay that was asked for. */
    readonly delayMs: number | undefined;
    /** What the host would send now. A handler that fails sends nothing. */
    readonly sent: readonly Sent[];
    /** What was logged with `log`. `console` is not among it. */
    readonly log: readonly Line[];
    /** The error that ended the attempt. */
    readonly error: unknown;
}
/** What an attempt is given: settings that are granted, and fields of the message that replace the defaults. */
export interface Given extends Partial<Message> {
    readonly config?: Readonly<Record<string, string>>;
}
/** A message with this body, received for the first time. Bytes and text are the body as they are; everything else is written as JSON. */
export declare function message(body: unknown, fields?: Partial<Message>): Message;
/** Hands one message to a handler, as the host would. */
export declare function invoke(handler: Handler<never> | Handler, body: unknown, given?: Given): Promise<Outcome>;
