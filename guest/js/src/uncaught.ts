// A handler that is written against the contract itself, without `handler(…)`.

import { trace, words } from './failure.ts';

/** What the contract asks of a handler. */
interface Contract {
  handle(message: unknown): unknown;
}

/**
 * The same handler. An error that it throws, and that is no failure of the contract, is said on standard error with its place,
 * before the component traps: the engine's own line has no place, and the host takes the cause from there.
 */
export function telling(handler: Contract): Contract {
  return {
    async handle(message) {
      try {
        return await handler.handle(message);
      } catch (error) {
        if (error instanceof Error) for (const line of [words(error), ...trace(error)]) console.error(line);
        throw error;
      }
    },
  };
}
