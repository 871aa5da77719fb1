import { describe, expect, it } from '@jest/globals';
import { outcomeOf } from './outcome';

const line = (event: string, result: object): string => `noise\nORION_RESULT ${JSON.stringify({ event, host: 'n', task: 't', result })}\n`;

describe('outcomeOf', () => {
  it('is ok only when the node answered and ansible-playbook ended well', () => {
    expect(outcomeOf(0, line('ok', { changed: true }), '')).toMatchObject({ status: 'ok', changed: true, message: '' });
    expect(outcomeOf(2, line('ok', {}), '').status).toBe('failed');
  });

  it('has failed without a result, although the exit status is 0', () => {
    expect(outcomeOf(0, 'skipping: no hosts matched', '').status).toBe('failed');
    expect(outcomeOf(0, 'ORION_RESULT {"event": "ok", "resu', '').status).toBe('failed');
  });

  it.each([
    'Failed to connect to the host via ssh: @@@\r\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\r\nHost key verification failed.',
    'Failed to connect to the host via ssh: Host key verification failed.',
    'Unable to negotiate with 127.0.0.1 port 22: no matching host key type found. Their offer: ecdsa-sha2-nistp256',
  ])('tells a foreign host key from a node that is away: %s', (msg) => {
    expect(outcomeOf(4, line('unreachable', { msg }), '').status).toBe('host_key_changed');
  });

  it('calls a refused connection unreachable', () => {
    const msg = 'Failed to connect to the host via ssh: ssh: connect to host 127.0.0.1 port 22: Connection refused';
    expect(outcomeOf(4, line('unreachable', { msg }), '')).toMatchObject({ status: 'unreachable', message: msg });
  });

  it('keeps what a failed module reported', () => {
    expect(outcomeOf(2, line('failed', { msg: 'uid 5 is stale', stale: true }), '')).toMatchObject({
      status: 'failed',
      message: 'uid 5 is stale',
      result: { stale: true },
    });
  });
});
