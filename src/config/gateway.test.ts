import { describe, expect, it } from '@jest/globals';
import { createEnvReader } from './env';
import { type GatewayConfig, readGateway } from './gateway';

function read(settings: Record<string, string>, roles = ['api']): { config: GatewayConfig; faults: string } {
  const env = createEnvReader(settings);
  const config = readGateway(env, roles);
  try {
    env.finish();
    return { config, faults: '' };
  } catch (error) {
    return { config, faults: String(error) };
  }
}

const block = (text: string): string => `-----BEGIN OPENSSH PRIVATE KEY-----\n${text}\n-----END OPENSSH PRIVATE KEY-----\n`;
const HOST = { ORION_GATEWAY_HOST_PUBLIC_KEY: 'ssh-ed25519 AAAA host\n\nssh-rsa BBBB host\n' };

describe('the settings of a gateway', () => {
  it('without any of them there is none, and what it would do is moderate', () => {
    expect(read({})).toEqual({
      faults: '',
      config: {
        host: '0.0.0.0',
        port: 2222,
        hostKeys: [],
        privateKey: undefined,
        publicKey: undefined,
        address: undefined,
        forwarding: 'local',
        only: false,
      },
    });
  });

  it.each([
    ['gate.example:22', 'gate.example', 22],
    ['127.0.0.1:2222', '127.0.0.1', 2222],
    ['[::1]:2222', '::1', 2222],
    [' gate:1 ', 'gate', 1],
  ])('%s is an address', (text, host, port) => {
    expect(read({ ...HOST, ORION_GATEWAY_ADDRESS: text })).toMatchObject({
      faults: '',
      config: { address: { host, port, hostKeys: ['ssh-ed25519 AAAA', 'ssh-rsa BBBB'] } },
    });
  });

  it.each(['gate', 'gate:', ':22', 'gate:0', 'gate:65536', '::1:22', 'a b:22', '-oProxyCommand=id:22x', 'gate:22 x', 'g;id:22'])(
    '%s is none',
    (text) => {
      expect(read({ ...HOST, ORION_GATEWAY_ADDRESS: text }).faults).toContain('ORION_GATEWAY_ADDRESS: must be host:port');
    },
  );

  it('an address without a host key would be of no use', () => {
    expect(read({ ORION_GATEWAY_ADDRESS: 'gate:22' }).faults).toContain('ORION_GATEWAY_HOST_PUBLIC_KEY: is required');
  });

  it('accounts that admit the gateway alone need a gateway, and an API needs its address', () => {
    const only = { ORION_GATEWAY_ONLY: 'true', ORION_GATEWAY_PUBLIC_KEY: 'ssh-ed25519 CCCC gateway' };
    expect(read({ ...only, ...HOST, ORION_GATEWAY_ADDRESS: 'gate:22' })).toMatchObject({ faults: '', config: { only: true } });
    expect(read(only).faults).toContain('ORION_GATEWAY_ONLY: needs ORION_GATEWAY_ADDRESS');
    expect(read(only, ['scheduler'])).toMatchObject({ faults: '', config: { only: true } });
    expect(read({ ORION_GATEWAY_ONLY: 'true' }, ['scheduler']).faults).toContain('ORION_GATEWAY_ONLY: needs ORION_GATEWAY_PUBLIC_KEY');
  });

  it('several host keys, one key of its own, and nothing that stands around them', () => {
    const { config } = read({
      ORION_GATEWAY_HOST_KEY: `# ours\n${block('one')}\n${block('two')}`,
      ORION_GATEWAY_KEY: `${block('own')}${block('another')}`,
      ORION_GATEWAY_PUBLIC_KEY: 'ssh-ed25519 CCCC gateway',
    });
    expect(config).toMatchObject({ hostKeys: [block('one'), block('two')], privateKey: block('own'), publicKey: 'ssh-ed25519 CCCC' });
  });
});
