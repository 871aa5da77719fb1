import { randomBytes } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { REGISTRATION_MARK_FILE } from '../lib/registration-mark';

/** See lib/registration-mark. */
export interface RegistrationMark {
  /** Runs `work` while a new mark is on the machine, and removes the mark afterwards. `mark` is undefined when it could not be written. */
  around<T>(work: (mark: string | undefined) => Promise<T>): Promise<T>;
}

export function createRegistrationMark(file = REGISTRATION_MARK_FILE): RegistrationMark {
  const place = async (): Promise<string | undefined> => {
    const mark = randomBytes(24).toString('base64url');
    try {
      await rm(file, { force: true });
      await writeFile(file, mark, { mode: 0o600, flag: 'wx' });
      return mark;
    } catch {
      return undefined;
    }
  };
  return {
    around: async (work) => {
      const mark = await place();
      try {
        return await work(mark);
      } finally {
        await rm(file, { force: true }).catch(() => undefined);
      }
    },
  };
}
