export const PACKAGE: string | undefined = undefined;
