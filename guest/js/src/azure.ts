// Microsoft's SDKs (`@azure/storage-blob`, `@azure/data-tables` and their like) in a handler, without a credential.
//
// The operator grants a service (`--http-identity acme.blob.core.windows.net/orders`). The host then adds the token of its
// managed identity, and the handler never sees one. The SDKs call `fetch`, which is `wasi:http`: nothing is replaced.

import { Reject, Retry } from './failure.ts';

/** What the SDKs' errors have. */
interface ServiceError {
  readonly name?: string;
  readonly code?: string;
  readonly statusCode?: number;
}

/**
 * Options for any client of the SDKs: a request is sent three times at most, with pauses of seconds. The SDKs' own pauses
 * begin with 4 s, and a handler has 30 s. A message that is retried waits in its queue at no cost.
 */
export function clientOptions() {
  return {
    retryOptions: {
      // As `@azure/storage-blob` counts, and as everything else does.
      maxTries: 3,
      maxRetries: 2,
      retryDelayInMs: 300,
      maxRetryDelayInMs: 3_000,
    },
  };
}

/**
 * Throw it: the retry that an error of the SDKs asks for. The reason says `what` failed, the status and the service's own
 * code. It holds nothing of a body. A failure that the handler itself has thrown stays what it is.
 */
export function failure(what: string, error: unknown): Retry | Reject {
  if (error instanceof Retry || error instanceof Reject) return error;
  const { name, code, statusCode } = error as ServiceError;
  return new Retry(`${what}: ${[statusCode, code ?? name ?? 'no response'].filter((it) => it !== undefined).join(' ')}`, { cause: error });
}
