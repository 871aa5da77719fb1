import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { readTextIfPresent, writeFileAtomic } from './files';

/** The control key that this machine trusts, and the newest statement of that key. Only root can read the file. */
export interface Trusted {
  /** The fingerprint that was configured when the file was written. If the setting changed since, the store ignores the old content. */
  configured: string | null;
  fingerprint: string;
  /** The newest statement, as the control plane signed it. */
  statement?: string;
}

export interface TrustStore {
  load(): Promise<Trusted | undefined>;
  /**
   * Replaces what is trusted. Never rejects, so a full disk keeps no machine out of service. If the write fails, the value stays in memory
   * and each `load` tries to write it again. An agent that ends before that trusts the old value after its restart.
   */
  save(trusted: Trusted): Promise<void>;
}

/** Opens the store in `stateDir`/agent. */
export function openTrustStore({
  stateDir,
  configured,
  logger,
}: {
  stateDir: string;
  configured: string | undefined;
  logger: Logger;
}): TrustStore {
  const folder = join(stateDir, 'agent');
  const file = join(folder, 'control-plane.json');
  let held: Trusted | undefined;
  let isWritten = true;
  const write = async (trusted: Trusted): Promise<void> => {
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await writeFileAtomic(file, JSON.stringify(trusted), { mode: 0o600 });
      isWritten = true;
    } catch (error) {
      logger[isWritten ? 'error' : 'debug'](
        'trust in the control plane could not be written, will be tried again: make room for the state directory',
        { file, reason: messageOf(error) },
      );
      isWritten = false;
    }
  };
  return {
    load: async () => {
      held ??= await readTrusted(file, { configured, logger });
      if (held && !isWritten) {
        await write(held);
      }
      return held;
    },
    save: async (trusted) => {
      held = trusted;
      await write(trusted);
    },
  };
}

async function readTrusted(
  file: string,
  { configured, logger }: { configured: string | undefined; logger: Logger },
): Promise<Trusted | undefined> {
  const kept = parse(await readTextIfPresent(file));
  if (kept === 'unreadable') {
    logger.error('what was believed of the control plane cannot be read, and is begun anew', { file });
  } else if (kept && (configured === undefined || kept.configured === configured)) {
    return kept;
  }
  if (configured === undefined) {
    return undefined;
  }
  return kept !== 'unreadable' && kept?.fingerprint === configured ? { ...kept, configured } : { configured, fingerprint: configured };
}

/** Parses the file. Its content can be anything: another program, or a file system that lost its last writes, may have damaged it. */
function parse(text: string | undefined): Trusted | 'unreadable' | undefined {
  if (text === undefined) {
    return undefined;
  }
  try {
    const kept = JSON.parse(text) as Partial<Trusted> | null;
    return typeof kept?.fingerprint === 'string' ? (kept as Trusted) : 'unreadable';
  } catch {
    return 'unreadable';
  }
}
