import { Reject, Retry } from './failure.ts';
/**
 * Options for any client of the SDKs: a request is sent three times at most, with pauses of seconds. The SDKs' own pauses
 * begin with 4 s, and a handler has 30 s. A message that is retried waits in its queue at no cost.
 */
export declare function clientOptions(): {
    retryOptions: {
        maxTries: number;
        maxRetries: number;
        retryDelayInMs: number;
        maxRetryDelayInMs: number;
    };
};
/**
 * Throw it: the retry that an error of the SDKs asks for. The reason says `what` failed, the status and the service's own
 * code. It holds nothing of a body. A failure that the handler itself has thrown stays what it is.
 */
export declare function failure(what: string, error: unknown): Retry | Reject;
