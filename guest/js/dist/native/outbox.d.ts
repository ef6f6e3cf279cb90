export declare function send(outbox: string, body: Uint8Array, properties: [string, string][]): void;
