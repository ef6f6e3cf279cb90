import { stage } from './stage.js';
export function log(level, context, text) {
    stage.getStore()?.log.push({ level, text });
}
