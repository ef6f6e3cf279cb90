/** The setting of that name, if it was granted. */
export declare function get(key: string): string | undefined;
/** The setting of that name. Throws `Retry` if it was not granted, since no message is at fault. */
export declare function require(key: string): string;
