export interface ServerEvent {
  event: string;
  data: string;
}

/**
 * Splits a text/event-stream into its events (WHATWG HTML, "Server-sent events"). Skips comments, ids and retry hints. Drops an event that
 * the end of the stream cuts off.
 */
export async function* readEvents(chunks: AsyncIterable<Buffer | string>): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder();
  const pending = createPendingEvent();
  let rest = '';
  for await (const chunk of chunks) {
    rest += typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true });
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const event = pending.add(line);
      if (event) {
        yield event;
      }
    }
  }
}

/** Collects the lines of one event. Returns the event at the empty line that ends it. */
function createPendingEvent(): { add(line: string): ServerEvent | undefined } {
  let event = 'message';
  let data: string[] = [];
  return {
    add: (line) => {
      const [, field, value = ''] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
      if (line === '') {
        const whole = data.length > 0 ? { event, data: data.join('\n') } : undefined;
        event = 'message';
        data = [];
        return whole;
      }
      event = field === 'event' ? value : event;
      data = field === 'data' ? [...data, value] : data;
      return undefined;
    },
  };
}
