import { describe, expect, it } from '@jest/globals';
import { fingerprintOf } from './host-key';
import { randomName, randomSecret, sha256 } from './ids';

describe('names and secrets', () => {
  it('I7: names are of letters and digits that cannot be misread, and do not repeat', () => {
    const names = Array.from({ length: 2000 }, () => randomName(10));
    expect(new Set(names).size).toBe(2000);
    expect(names.every((name) => /^[a-km-z2-9]{10}$/.test(name) && !/[01lo]/.test(name))).toBe(true);
  });

  it('R44: secrets carry 256 bits behind their prefix', () => {
    expect(randomSecret('orion_join_')).toMatch(/^orion_join_[\w-]{43}$/);
    expect(sha256('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  });

  it('R1: fingerprints are those that OpenSSH prints, whatever the comment', () => {
    const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl';
    expect(fingerprintOf(key)).toBe('SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU');
    expect(fingerprintOf(`${key} somebody@somewhere`)).toBe(fingerprintOf(key));
  });
});
