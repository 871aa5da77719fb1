import { createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';

/**
 * Challenges that agents answer, so that what was recorded of a call is of no use later. Any replica reads what any other issued, and none keeps anything: a
 * challenge says when it was issued, in microseconds by the database's clock.
 */
export interface Challenges {
  issue(nowMicros: number): string;
  /** When it was issued. Undefined: not by this control plane. */
  read(challenge: string): number | undefined;
}

const CHALLENGE = /^(\d{1,16})\.([\w-]{12})\.([\w-]{43})$/;

/** @param secrets what the whole control plane shares: the first makes challenges, all are accepted, so that they can be rotated */
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
