// A message, as it came from its queue.
export function fromRaw(raw) {
    return {
        id: raw.id,
        queue: raw.queue,
        body: raw.body,
        dequeueCount: raw.dequeueCount,
        inserted: new Date(Number(raw.inserted)),
        deadlineMs: Number(raw.deadline),
        properties: new Map(raw.properties),
    };
}
