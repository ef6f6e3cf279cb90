// A body as bytes: what is sent, and what a test hands to a handler.

/**
 * Bytes and text as they are, and everything else as JSON. Throws a `TypeError` for what JSON would not hold: `JSON.stringify`
 * makes `null` of `NaN`, `{}` of a map, and an object of numbered fields of bytes.
 */
export function encode(what: string, body: unknown): Uint8Array {
  if (body instanceof ArrayBuffer) return new Uint8Array(body);
  if (ArrayBuffer.isView(body)) return new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
  const text = typeof body === 'string' ? body : json(what, body);
  return new TextEncoder().encode(text);
}

function json(what: string, body: unknown): string {
  const refuse = (kind: string): never => {
    throw new TypeError(`${what} cannot be written as JSON: ${kind} is in it`);
  };
  const text = JSON.stringify(body, function (this: Record<string, unknown>, key, written: unknown) {
    // Before a `toJSON` of its own.
    const value = this[key];
    if (typeof value === 'number' && !Number.isFinite(value)) refuse(String(value));
    if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) refuse('bytes');
    if (value instanceof Map || value instanceof Set) refuse(value instanceof Map ? 'a map' : 'a set');
    return written;
  });
  return text ?? refuse(typeof body);
}
