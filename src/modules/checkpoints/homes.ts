import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { DeadlineError, withDeadline } from '../../lib/clock';
import { messageOf } from '../../lib/errors';
import { type SessionSettings, type SshTarget, type StreamEnd, type StreamOnNode, streamOnNode } from '../../ssh';
import type { Cipher, Filter } from './age';
import type { AccountOnNode } from './as-tenant';
import { nameOf, planTidying } from './chain';
import {
  archiveCommand,
  beginRestoreCommand,
  CHANGED_MEANWHILE,
  extractCommand,
  finishRestoreCommand,
  STATE_MISSING,
} from './node-commands';
import type { CheckpointStore, Removed } from './store';
import { type Archive, RestoreError, StateMissingError, TooLargeError } from './types';

/** The home of an account, and the node that it is on. */
export interface Home extends AccountOnNode {
  target: SshTarget;
}

export interface SaveOrder {
  leaseId: number;
  generation: number;
  /** Number of the claim under which the archive is written. */
  number: number;
  /** The previous archive: only changes since then are stored. Null: a full archive. */
  base: Archive | null;
  roomBytes: number;
}

/** Transfers homes between nodes and the store, encrypted. This code does not use the database. */
export interface Homes {
  /** Stores one archive. Throws StateMissingError, TooLargeError or another error; then nothing is stored. */
  save(home: Home, order: SaveOrder, signal: AbortSignal): Promise<Archive>;
  /**
   * Replaces the home with the content of the archives. Throws RestoreError when that worked only in part or not at all; everything that
   * could be restored is then in place. Any other error means that the node could not do the work.
   */
  restore(home: Home, from: { leaseId: number; archives: Archive[] }, signal: AbortSignal): Promise<void>;
  /**
   * Whether all of these archives can be read to their end. If so, a restore that failed did so because of the node. Throws when the caller
   * aborted.
   */
  areReadable(from: { leaseId: number; archives: Archive[] }, signal: AbortSignal): Promise<boolean>;
  /** Whether all of these archives are in the store. */
  holds(leaseId: number, archives: Archive[]): Promise<boolean>;
  /** Removes what attempts up to `number` left in the store, except what `chain` needs. */
  tidy(leaseId: number, order: { number: number; chain: Archive[] }): Promise<void>;
  /** Removes everything that is stored of the lease. */
  remove(leaseId: number): Promise<Removed>;
  /** Lists the leases of which anything is stored. */
  listLeases(): Promise<number[]>;
}

export interface HomesDeps {
  session: SessionSettings;
  store: CheckpointStore;
  cipher: Cipher;
}

const SAVE_MS = 300_000;
const RESTORE_MS = 300_000;
const FINISH_MS = 120_000;

export function createHomes(deps: HomesDeps): Homes {
  const { session, store } = deps;
  return {
    save: (home, order, parent) =>
      withDeadline(
        SAVE_MS,
        (signal) => streamOnNode(session, { target: home.target, signal }, (run) => save(deps, { home, order, run, signal })),
        parent,
      ),
    restore: async (home, { leaseId, archives }, parent) => {
      let late = false;
      const faults = await withDeadline(
        RESTORE_MS,
        (signal) =>
          streamOnNode(session, { target: home.target, signal }, (run) => extractAll(deps, { home, leaseId, archives, run, signal })),
        parent,
      ).catch((error: unknown) => {
        if (!(error instanceof DeadlineError)) {
          throw error;
        }
        late = true;
        return [messageOf(error)];
      });
      const finished = await withDeadline(
        FINISH_MS,
        (signal) => streamOnNode(session, { target: home.target, signal }, (run) => run({ command: finishRestoreCommand(home) })),
        parent,
      );
      const [fault] = [...faults, ...faultsOf('the home could not be put together', finished)];
      if (fault !== undefined) {
        throw new RestoreError(fault, late);
      }
    },
    areReadable: ({ leaseId, archives }, parent) =>
      withDeadline(RESTORE_MS, (signal) => readAll(deps, { leaseId, archives, signal }), parent).catch((error: unknown) => {
        if (parent.aborted) {
          throw error;
        }
        return false;
      }),
    holds: async (leaseId, archives) => {
      const names = archives.length === 0 ? [] : await store.list(leaseId);
      return archives.every((archive) => names.includes(nameOf(archive)));
    },
    tidy: async (leaseId, order) => {
      const useless = planTidying(await store.list(leaseId), order);
      if (useless.length > 0) {
        await store.remove(leaseId, useless);
      }
    },
    remove: (leaseId) => store.removeLease(leaseId),
    listLeases: () => store.listLeases(),
  };
}

interface Saving {
  home: Home;
  order: SaveOrder;
  run: StreamOnNode;
  signal: AbortSignal;
}

async function save({ store, cipher }: HomesDeps, { home, order, run, signal }: Saving): Promise<Archive> {
  const { leaseId, number, generation, base, roomBytes } = order;
  const archive: Archive = { number, full: base === null, generation, bytes: 0 };
  const age = await cipher.encrypt(signal);
  const command = archiveCommand(home, { name: nameOf(archive), base: base && nameOf(base) });
  const taken = run({ command, output: age.input }).then(judgeArchiving);
  const complete = Promise.all([taken, age.done]);
  complete.catch(() => undefined);
  const counted = (async function* sealed(): AsyncGenerator<Buffer> {
    for await (const chunk of age.output as AsyncIterable<Buffer>) {
      archive.bytes += chunk.length;
      if (archive.bytes > roomBytes) {
        throw new TooLargeError(`the home is larger than what may be stored of it (${Math.floor(roomBytes / 2 ** 20)} MiB)`);
      }
      yield chunk;
    }
    // Only now is it known whether the archive is complete. If this throws, the store keeps nothing.
    await complete;
  })();
  await store.write(leaseId, nameOf(archive), counted);
  return archive;
}

function judgeArchiving(end: StreamEnd): void {
  if (end.code === STATE_MISSING) {
    throw new StateMissingError('the record of the last archive is gone');
  }
  if (end.code !== 0 && end.code !== CHANGED_MEANWHILE) {
    throw new Error(faultsOf('the home could not be read', end)[0]);
  }
}

async function readAll(
  { store, cipher }: HomesDeps,
  { leaseId, archives, signal }: { leaseId: number; archives: Archive[]; signal: AbortSignal },
): Promise<true> {
  for (const archive of archives) {
    const age = cipher.decrypt(signal);
    age.output.resume();
    await Promise.all([pipeline(store.read(leaseId, nameOf(archive)), age.input), age.done]);
  }
  return true;
}

interface Extracting {
  home: Home;
  leaseId: number;
  archives: Archive[];
  run: StreamOnNode;
  signal: AbortSignal;
}

/** Extracts every readable archive, in order: after a corrupt one, the later changes are still worth having. Returns what went wrong. */
async function extractAll({ store, cipher }: HomesDeps, { home, leaseId, archives, run, signal }: Extracting): Promise<string[]> {
  const begun = await run({ command: beginRestoreCommand(home) });
  const faults = faultsOf('the home could not be made ready', begun);
  for (const archive of archives) {
    const age = cipher.decrypt(signal);
    const read = pipeline(store.read(leaseId, nameOf(archive)), age.input);
    const feed = { cut: true };
    const extracted = run({ command: extractCommand(home), input: Readable.from(untilItFails(age, feed)) });
    // If the node does not even start, nothing reads age's output, and age would wait for its reader.
    extracted.catch(() => age.output.destroy());
    const [, decrypted] = await Promise.allSettled([read, age.done]);
    const end = await extracted;
    if (decrypted.status === 'rejected' && !feed.cut) {
      faults.push(`archive ${archive.number} is missing or corrupt`);
    } else if (decrypted.status === 'rejected' && end.code === 0) {
      faults.push(`archive ${archive.number} was not read to its end`);
    }
    faults.push(...faultsOf(`archive ${archive.number} could not be extracted`, end));
  }
  return faults;
}

/**
 * Passes on the decrypted bytes, and ends normally on a fault: the node must keep what came before it, and `done` reports the fault.
 * `feed.cut` stays true when the node stops reading before the end.
 */
async function* untilItFails({ output, done }: Filter, feed: { cut: boolean }): AsyncGenerator<Buffer> {
  try {
    yield* output as AsyncIterable<Buffer>;
    feed.cut = false;
  } catch {
    await done.catch(() => undefined);
  }
}

/** Describes a failed command. Removes control characters from the node's text, which can contain anything and is shown to people. */
function faultsOf(what: string, { code, complaint }: StreamEnd): string[] {
  const said = complaint
    .replace(/[^\x20-\x7e]+/g, ' ')
    .trim()
    .slice(0, 200);
  return code === 0 ? [] : [`${what} (${code ?? 'killed'}${said === '' ? '' : `: ${said}`})`];
}
