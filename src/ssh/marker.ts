import { randomBytes } from 'node:crypto';
import { Transform, type TransformCallback } from 'node:stream';

/** A machine prints before a command what it likes (sshrc, the shell's own files): an answer begins after a line that nobody can know before. */
export interface Marked {
  command: string;
  /** The line that the answer comes after, with its end. */
  marker: string;
}

/** What a machine may print before; its owner's greetings are shorter. */
const MAX_NOISE_BYTES = 64 * 1024;

/** In the words of every shell that a login may have. */
export function mark(command: string): Marked {
  const word = `orion-${randomBytes(9).toString('hex')}`;
  return { command: `echo ${word}; ${command}`, marker: `${word}\n` };
}

/** The machine ran something else than what it was told to (a forced command, a shell that lets nobody in), or nothing. */
export class NotAnsweredError extends Error {
  override name = 'NotAnsweredError';
  constructor(said: string) {
    super(`it answers, but not what it was asked${said === '' ? '' : `: ${JSON.stringify(said.slice(0, 200))}`}`);
  }
}

/** The answer in what was printed. Throws NotAnsweredError. */
export function answerIn(printed: string, { marker }: Marked): string {
  const at = printed.indexOf(marker);
  if (at < 0) {
    throw new NotAnsweredError(printed.trim());
  }
  return printed.slice(at + marker.length);
}

/** Lets through what comes after the marker. Fails with NotAnsweredError when the end comes before it, or too much noise. */
export function answerOnly({ marker }: Marked): Transform {
  let noise: Buffer | undefined = Buffer.alloc(0);
  return new Transform({
    transform(chunk: Buffer, _encoding, done: TransformCallback) {
      if (noise === undefined) {
        done(null, chunk);
        return;
      }
      noise = Buffer.concat([noise, chunk]);
      const at = noise.indexOf(marker);
      if (at >= 0) {
        const answer = noise.subarray(at + marker.length);
        noise = undefined;
        done(null, answer);
      } else {
        done(noise.length > MAX_NOISE_BYTES ? new NotAnsweredError(noise.toString()) : null);
      }
    },
    flush(done: TransformCallback) {
      done(noise === undefined ? null : new NotAnsweredError(noise.toString().trim()));
    },
  });
}
