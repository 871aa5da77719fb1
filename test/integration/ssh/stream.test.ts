import { readFileSync } from 'node:fs';
import { PassThrough, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from '@jest/globals';
import { dialDirectly, type SshTarget, streamOnNode, type StreamOnNode } from '../../../src/ssh';
import { openTrap } from '../../chaos/rogue/traps';
import { nodeOf, useBench } from '../provisioning/support';

const LIMIT_MS = 120_000;

describe('streams to and from a node', () => {
  const { bench } = useBench();

  function onNode<T>(work: (run: StreamOnNode) => Promise<T>, to?: SshTarget): Promise<T> {
    const target = to ?? bench.workers.map((worker) => nodeOf(worker))[0];
    if (!target) {
      throw new Error('no worker');
    }
    const session = { dial: dialDirectly, username: 'orion-mgmt', privateKey: readFileSync(bench.managementKey.keyFile, 'utf8') };
    return streamOnNode(session, { target, signal: AbortSignal.timeout(LIMIT_MS) }, work);
  }

  it(
    'tell the end of a command that is over at once, however many there are',
    async () => {
      const codes = await onNode(async (run) => {
        const seen: (number | null)[] = [];
        for (let n = 0; n < 60; n += 1) {
          seen.push((await run({ command: `exit ${n}` })).code);
        }
        return seen;
      });
      expect(codes).toEqual(codes.map((_, n) => n));
    },
    LIMIT_MS,
  );

  it(
    'tell what a command says that does not want its input, or is killed',
    async () => {
      const ends = await onNode(async (run) => [
        await run({ command: 'echo no >&2; exit 3', input: Readable.from([Buffer.alloc(5_000_000)]) }),
        await run({ command: 'kill -9 $$' }),
      ]);
      expect(ends).toEqual([
        { code: 3, complaint: 'no\n' },
        { code: null, complaint: '' },
      ]);
    },
    LIMIT_MS,
  );

  it(
    'are not taken for whole when a node tells the exit code and dies before the end of the output',
    async () => {
      const trap = await openTrap(bench.lab, 'exit-before-the-end-of-the-output');
      const got = new PassThrough();
      const ended = onNode((run) => run({ command: 'tar', output: got }), { nodeId: 1, ...trap });
      await expect(ended).rejects.toThrow('the connection ended before the command');
      expect(await text(got)).toBe('orion');
    },
    LIMIT_MS,
  );
});
