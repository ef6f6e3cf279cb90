/** Reads a value of one type. */
export interface Schema<T> {
    /** The value, or a `Mismatch`. */
    read(value: unknown): T;
    /** Whether a field may be left out. */
    readonly isOptional?: boolean;
}
/** The type that a schema reads. */
export type Infer<S> = S extends Schema<infer T> ? T : never;
/** A value that does not fit: where, from the inside out, and why. */
export declare class Mismatch extends Error {
    readonly path: string[];
}
/** Reads a value, and rejects what does not fit. */
export declare function read<T>(schema: Schema<T>, value: unknown): T;
/** `items[0].qty: expected integer, got string`. */
export declare function at(path: string, cause: string): string;
/** A text, of a form if one is given. */
export declare function string(options?: {
    readonly pattern?: RegExp;
    readonly minLength?: number;
}): Schema<string>;
interface Range {
    readonly min?: number;
    readonly max?: number;
}
/** A number. */
export declare function number(range?: Range): Schema<number>;
/** A whole number that a `number` holds exactly. */
export declare function integer(range?: Range): Schema<number>;
/** `true` or `false`. */
export declare function boolean(): Schema<boolean>;
/** Whatever JSON can hold. */
export declare function unknown(): Schema<unknown>;
/** One of these values. */
export declare function oneOf<const T extends readonly (string | number | boolean | null)[]>(...values: T): Schema<T[number]>;
/** A list of values of one type. */
export declare function array<T>(element: Schema<T>): Schema<T[]>;
/** An object of any keys, whose values are of one type. */
export declare function record<T>(element: Schema<T>): Schema<Record<string, T>>;
/** A value that may be `null`. */
export declare function nullable<T>(schema: Schema<T>): Schema<T | null>;
/** A field that may be left out, or be `null`. Without a default it is `undefined` then. */
export declare function optional<T>(schema: Schema<T>): Schema<T | undefined> & {
    readonly isOptional: true;
};
export declare function optional<T>(schema: Schema<T>, otherwise: T): Schema<T>;
type Fields = Readonly<Record<string, Schema<unknown>>>;
type OptionalKeys<F extends Fields> = {
    [K in keyof F]: F[K] extends {
        readonly isOptional: true;
    } ? K : never;
}[keyof F];
type Read<F extends Fields> = {
    [K in Exclude<keyof F, OptionalKeys<F>>]: Infer<F[K]>;
} & {
    [K in OptionalKeys<F>]?: Infer<F[K]>;
};
/** An object with these fields. Others are ignored. */
export declare function object<F extends Fields>(fields: F): Schema<{
    [K in keyof Read<F>]: Read<F>[K];
}>;
export {};
