/** Formats one event of a text/event-stream (WHATWG HTML, "Server-sent events"). */
export const sentEvent = (event: string, data: unknown): string => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;

export const PING = Buffer.from(': ping\n\n');
