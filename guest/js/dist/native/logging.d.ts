import { type Line } from './stage.ts';
export declare function log(level: Line['level'], context: string, text: string): void;
