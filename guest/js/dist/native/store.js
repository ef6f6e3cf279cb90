import { stage } from './stage.js';
export function get(key) {
    const config = stage.getStore()?.config ?? {};
    return Object.hasOwn(config, key) ? config[key] : undefined;
}
