import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { readTextIfPresent, writeFileAtomic } from './files';

/** What a machine believes of its control plane. On disk, readable by root alone. */
export interface Trusted {
  /** What the settings said when it was written: other settings begin anew. */
  configured: string | null;
  fingerprint: string;
  /** The newest statement, as it was signed. */
  statement?: string;
}

export interface TrustStore {
  load(): Promise<Trusted | undefined>;
  /**
   * Holds from now on. Never rejects: a disk that cannot take it keeps no machine out of service. It is held in memory then, and each `load` tries to write it
   * again; an agent that ends before believes what it believed before.
   */
  save(trusted: Trusted): Promise<void>;
}

/** In `stateDir`/agent. */
export function openTrustStore({ stateDir, configured, logger }: { stateDir: string; configured: string | undefined; logger: Logger }): TrustStore {
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
      logger[isWritten ? 'error' : 'debug']('trust in the control plane could not be written, will be tried again: make room for the state directory', { file, reason: messageOf(error) });
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

async function readTrusted(file: string, { configured, logger }: { configured: string | undefined; logger: Logger }): Promise<Trusted | undefined> {
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

/** Another program, or a file system that lost its last writes, may have left anything there. */
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
