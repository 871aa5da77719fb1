import { createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';

/**
 * Issues and reads the challenges that agents answer. A challenge makes a recorded request useless later. Every replica reads the
 * challenges of all replicas, and none stores them: a challenge contains its time of issue, in microseconds of the database's clock.
 */
export interface Challenges {
  issue(nowMicros: number): string;
  /** Returns the time of issue in microseconds. Undefined: this control plane did not issue the challenge. */
  read(challenge: string): number | undefined;
}

const CHALLENGE = /^(\d{1,16})\.([\w-]{12})\.([\w-]{43})$/;

/**
 * @param secrets secrets that all replicas share. The first one authenticates new challenges; all of them are accepted, so that secrets can
 * be rotated.
 */
export function createChallenges(secrets: [string, ...string[]]): Challenges {
  const keys = secrets.map((secret) => Buffer.from(hkdfSync('sha256', secret, '', 'orion challenge', 32)));
  const macOf = (key: Buffer, text: string): string => createHmac('sha256', key).update(text).digest('base64url');
  return {
    issue: (nowMicros) => {
      const text = `${nowMicros}.${randomBytes(9).toString('base64url')}`;
      return `${text}.${macOf(keys[0] as Buffer, text)}`;
    },
    read: (challenge) => {
      const [, micros = '', random = '', mac = ''] = CHALLENGE.exec(challenge) ?? [];
      const isOurs = keys.some((key) => {
        const right = macOf(key, `${micros}.${random}`);
        return right.length === mac.length && timingSafeEqual(Buffer.from(right), Buffer.from(mac));
      });
      return isOurs ? Number(micros) : undefined;
    },
  };
}
