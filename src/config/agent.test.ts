import { describe, expect, it } from '@jest/globals';
import { hostname } from 'node:os';
import { loadAgentConfig } from './agent';
import { ConfigError } from './env';

const API_ENDPOINT = 'http://control:80';

describe('the configuration of the agent', () => {
  it('needs no more than the endpoint', () => {
    const config = loadAgentConfig({ API_ENDPOINT });
    expect(config).toMatchObject({
      endpoint: API_ENDPOINT,
      hostname: hostname(),
      sshPort: 22,
      stateDir: '/var/lib/orion',
      fenceGraceSeconds: 60,
      manageAccounts: true,
    });
    expect(config.address).toBeUndefined();
    expect(Object.isFrozen(config)).toBe(true);
  });

  it.each([
    ['2222', undefined, 2222],
    [':2222', undefined, 2222],
    ['worker-1:2222', 'worker-1', 2222],
    ['[fd00::1]:22', 'fd00::1', 22],
  ])('takes MY_HOST_PORT=%s apart', (text, address, sshPort) => {
    expect(loadAgentConfig({ API_ENDPOINT, MY_HOST_PORT: text })).toMatchObject({ address, sshPort });
  });

  it('prefers MY_ADDRESS over the host in MY_HOST_PORT', () => {
    expect(loadAgentConfig({ API_ENDPOINT, MY_HOST_PORT: 'a:22', MY_ADDRESS: 'b' }).address).toBe('b');
  });

  it('reads the range of uids that the machine must use, and says what is wrong with one', () => {
    expect(loadAgentConfig({ API_ENDPOINT, ORION_UID_RANGE: ' 70000-79999 ' }).uidRange).toBe('70000-79999');
    expect(loadAgentConfig({ API_ENDPOINT }).uidRange).toBeUndefined();
    for (const range of ['70000', '70000-70100', '500-5000', '70000-2000000001', '79999-70000']) {
      expect(() => loadAgentConfig({ API_ENDPOINT, ORION_UID_RANGE: range })).toThrow(
        /ORION_UID_RANGE: must be first-last with at least 128 numbers from 1000 to 2000000000/,
      );
    }
  });

  it('reads labels', () => {
    expect(loadAgentConfig({ API_ENDPOINT, ORION_LABELS: 'zone=eu-1, gpu=,team/x=a=b' }).labels).toEqual({
      zone: 'eu-1',
      gpu: '',
      'team/x': 'a=b',
    });
  });

  it.each(['ok', 'node-1.example.org', 'A', '9', 'x'.repeat(253)])('takes the host name %s', (name) => {
    expect(loadAgentConfig({ API_ENDPOINT, MY_HOSTNAME: name }).hostname).toBe(name);
  });

  it.each(['my_host', '-a', 'a-', '.a', 'a.', 'b\u00fccher', 'a b', 'x'.repeat(254)])(
    'refuses the host name %j, and says what to do',
    (name) => {
      expect(() => loadAgentConfig({ API_ENDPOINT, MY_HOSTNAME: name })).toThrow(
        /^ +MY_HOSTNAME: must be a host name: 1 to 253 letters, digits, dots and hyphens/m,
      );
    },
  );

  it('refuses an address that the API would refuse', () => {
    for (const address of ['my_host', 'a b', '[::1]', '::g']) {
      expect(() => loadAgentConfig({ API_ENDPOINT, MY_ADDRESS: address })).toThrow(/MY_ADDRESS: must be a host name or an IP address/);
    }
    expect(loadAgentConfig({ API_ENDPOINT, MY_ADDRESS: 'fe80::1' }).address).toBe('fe80::1');
  });

  it('refuses the state directory of an earlier release, which moved a half of the state, unless it is the one in use', () => {
    expect(loadAgentConfig({ API_ENDPOINT, ORION_STATE_DIR: '/var/lib/orion/' }).stateDir).toBe('/var/lib/orion');
    expect(() => loadAgentConfig({ API_ENDPOINT, ORION_STATE_DIR: '/data/orion' })).toThrow(
      'ORION_STATE_DIR: has no effect any more: move the folder to /var/lib/orion',
    );
  });

  it('declares what it measures, unless a test gives other values', () => {
    expect(loadAgentConfig({ API_ENDPOINT })).toMatchObject({ cpus: undefined, memoryMb: undefined });
    expect(loadAgentConfig({ API_ENDPOINT, ORION_TEST_CONSTANTS: '{"cpus":7,"memoryMb":512}' })).toMatchObject({ cpus: 7, memoryMb: 512 });
  });

  it('names every faulty variable', () => {
    const load = (): unknown =>
      loadAgentConfig({
        MY_HOST_PORT: '0',
        MY_HOSTNAME: 'a b',
        ORION_LABELS: '=x',
        ORION_HOST_KEY_FILE: 'relative',
        LOG_LEVEL: 'loud',
        ORION_TUNNEL: 'perhaps',
      });
    expect(load).toThrow(ConfigError);
    for (const name of [
      'API_ENDPOINT',
      'MY_HOST_PORT',
      'MY_HOSTNAME',
      'ORION_LABELS',
      'ORION_HOST_KEY_FILE',
      'LOG_LEVEL',
      'ORION_TUNNEL',
    ]) {
      expect(load).toThrow(new RegExp(`^ +${name}: `, 'm'));
    }
  });
});
