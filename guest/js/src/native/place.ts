const { url } = import.meta;

/** The folder of this package's own sources, as stacks have it; `undefined` where a bundle has everything in one file. */
export const PACKAGE: string | undefined = url?.endsWith('/dist/native/place.js') ? new URL('..', url).pathname : undefined;
