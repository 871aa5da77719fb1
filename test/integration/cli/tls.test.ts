import { beforeAll, describe, expect, it } from '@jest/globals';
import { startCaddy } from '../../lab';
import { close, useForAll, useLab } from '../../support/hooks';
import { createBench } from './support/cli';
import { user } from './support/fake-api';

/** A real Caddy with a certificate authority that this machine does not trust, before a fake API. */
const lab = useLab();
const bench = useForAll(createBench, close);
const caddy = useForAll(() => startCaddy(lab, { upstreams: [bench.api.url.replace('http://', '')] }));
beforeAll(() => bench.api.on('GET /api/me', { body: { user } }));

const env = (extra: Record<string, string> = {}): Record<string, string> => ({
  ORION_SERVER: caddy.httpsUrl,
  ORION_TOKEN: 'a-token',
  ...extra,
});

describe('a server whose certificate is not trusted', () => {
  it('gets nothing, the token least of all, and doctor says what to do', async () => {
    const refused = await bench.call(['whoami'], { env: env() });
    expect({ code: refused.code, stdout: refused.stdout, seen: bench.api.seen.length }).toEqual({ code: 7, stdout: '', seen: 0 });
    const { code, stdout } = await bench.call(['doctor'], { env: env() });
    expect(code).toBe(1);
    expect(stdout).toMatch(/✗ TLS: the certificate of https:.* is not trusted .*\n.*ORION_CA_FILE/);
  });

  it('is trusted with ORION_CA_FILE', async () => {
    const trusted = env({ ORION_CA_FILE: caddy.caFile });
    expect((await bench.call(['whoami'], { env: trusted })).stdout).toContain('ada (user)');
    expect((await bench.call(['doctor'], { env: trusted })).stdout).toContain('✓ TLS: the certificate is trusted');
  });

  it('is a matter of usage when the file is not there', async () => {
    const { code, stderr } = await bench.call(['whoami'], { env: env({ ORION_CA_FILE: '/nowhere/ca.pem' }) });
    expect(code).toBe(2);
    expect(stderr).toContain('ORION_CA_FILE cannot be read');
  });
});
