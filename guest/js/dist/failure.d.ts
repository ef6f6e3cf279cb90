/**
 * Throw it when another attempt may succeed. The host chooses the delay, unless it is named, in milliseconds.
 * The reason is logged: no secret, nothing of the body.
 */
export declare class Retry extends Error {
    readonly name = "Retry";
    readonly delayMs: number | undefined;
    constructor(reason: string, options?: {
        readonly delayMs?: number;
        readonly cause?: unknown;
    });
}
/**
 * Throw it when no attempt will ever succeed: the message goes to the poison queue, with the reason.
 * The reason is logged: no secret, nothing of the body.
 */
export declare class Reject extends Error {
    readonly name = "Reject";
}
/** An error that nobody caught: `TypeError: price is undefined at src/handler.ts:31 in price`. */
export declare function words(error: unknown): string;
/** Where an error came from, innermost first, as lines of the sources. */
export declare function trace(error: unknown): string[];
