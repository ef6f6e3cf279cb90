/** Logs at level *trace*. */
export declare const trace: (text: string, context?: string) => void;
/** Logs at level *debug*. */
export declare const debug: (text: string, context?: string) => void;
/** Logs at level *info*. */
export declare const info: (text: string, context?: string) => void;
/** Logs at level *warn*. */
export declare const warn: (text: string, context?: string) => void;
/** Logs at level *error*. */
export declare const error: (text: string, context?: string) => void;
