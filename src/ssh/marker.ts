import { randomBytes } from 'node:crypto';
import { Transform, type TransformCallback } from 'node:stream';

/**
 * A command with a marker before its answer. A machine may print any text before a command (sshrc, startup files of the shell). So the
 * answer begins after a line that nobody can predict.
 */
export interface Marked {
  command: string;
  /** The line before the answer, with its line feed. */
  marker: string;
}

/** Limit of the output before the marker. Greetings of honest machines are shorter. */
const MAX_NOISE_BYTES = 64 * 1024;

/** Adds a marker to a command, in a syntax that every login shell understands. */
export function mark(command: string): Marked {
  const word = `orion-${randomBytes(9).toString('hex')}`;
  return { command: `echo ${word}; ${command}`, marker: `${word}\n` };
}

/** The machine did not run the command: it ran another (a forced command, a shell that admits nobody), or none. */
export class NotAnsweredError extends Error {
  override name = 'NotAnsweredError';
  constructor(said: string) {
    super(`it answers, but not what it was asked${said === '' ? '' : `: ${JSON.stringify(said.slice(0, 200))}`}`);
  }
}

/** Returns the answer in the output of a marked command. Throws NotAnsweredError. */
export function answerIn(printed: string, { marker }: Marked): string {
  const at = printed.indexOf(marker);
  if (at < 0) {
    throw new NotAnsweredError(printed.trim());
  }
  return printed.slice(at + marker.length);
}

/**
 * Creates a filter that passes on only what follows the marker. Fails with NotAnsweredError when the output ends before the marker or is
 * too long before it.
 */
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
