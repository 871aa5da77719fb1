import { describe, expect, it } from '@jest/globals';
import { readEvents, type ServerEvent } from './sse';

async function collect(...chunks: (string | Buffer)[]): Promise<ServerEvent[]> {
  async function* source(): AsyncGenerator<string | Buffer> {
    yield* await Promise.resolve(chunks);
  }
  const events: ServerEvent[] = [];
  for await (const event of readEvents(source())) {
    events.push(event);
  }
  return events;
}

describe('reading an event stream', () => {
  it('gives each event with its name', async () => {
    expect(await collect('event: node\ndata: {"id":1}\n\ndata: x\n\n')).toEqual([
      { event: 'node', data: '{"id":1}' },
      { event: 'message', data: 'x' },
    ]);
  });

  it('does not care where the chunks are cut, not even inside a character or a line end', async () => {
    const bytes = Buffer.from('event: node\r\ndata: é\r\n\r\n');
    expect(await collect(...[...bytes].map((byte) => Buffer.from([byte])))).toEqual([{ event: 'node', data: 'é' }]);
  });

  it('joins the lines of one event and skips comments', async () => {
    expect(await collect(': ping\n\ndata: a\ndata: b\n: more\n\n')).toEqual([{ event: 'message', data: 'a\nb' }]);
  });

  it('drops an event that was cut off', async () => {
    expect(await collect('data: whole\n\ndata: half\n')).toEqual([{ event: 'message', data: 'whole' }]);
  });
});
