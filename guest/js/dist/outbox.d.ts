/**
 * Puts a message into the outbox: bytes and text as they are, and everything else as JSON. Queues that have no properties
 * drop them.
 */
export declare function send(outbox: string, body: unknown, properties?: Readonly<Record<string, string>>): void;
