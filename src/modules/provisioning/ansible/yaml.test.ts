import { describe, expect, it } from '@jest/globals';
import { toUnsafeYaml } from './yaml';

describe('toUnsafeYaml', () => {
  it('tags every text, however deep, so that Ansible never renders it as a template', () => {
    expect(toUnsafeYaml({ keys: ["ssh-ed25519 AAAA {{ lookup('pipe', 'id') }}"], name: 'a"b' })).toBe(
      `{"keys": [!unsafe "ssh-ed25519 AAAA {{ lookup('pipe', 'id') }}"], "name": !unsafe "a\\"b"}`,
    );
  });

  it('leaves numbers, booleans and null as they are', () => {
    expect(toUnsafeYaml([1, true, null, undefined])).toBe('[1, true, null, null]');
  });
});
