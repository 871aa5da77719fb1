import { afterAll, afterEach, beforeAll, beforeEach } from '@jest/globals';
import type { User } from '../../src/modules/accounts';
import { createLab, type Lab, type LaunchOptions, launchWorkers, type Worker, type WorkerFleet } from '../lab';
import { type ApiOptions, startTestApi, type TestApi } from './api';
import { aUser, type UserOptions } from './builders';
import { openTestDatabase, type TestDatabase } from './database';
import { type RunningGateway, startSystem, type System, type SystemOptions } from './system';
import type { Tenant } from './tenant';

const LIMIT_MS = 240_000;

interface Hooks {
  before: typeof beforeAll;
  after: typeof afterAll;
  closings: (() => unknown)[];
}

const FOR_ALL: Hooks = { before: beforeAll, after: afterAll, closings: [] };
const FOR_EACH: Hooks = { before: beforeEach, after: afterEach, closings: [] };

type Open<T> = () => T | Promise<T>;
type Close<T> = (resource: T) => unknown;

/**
 * Opens a resource before the tests of the enclosing block, and closes it after them. Resources close in reverse order, because a later
 * one may use an earlier one. Tests and later hooks use the returned object.
 */
export const useForAll = <T extends object>(open: Open<T>, closeIt?: Close<T>): T => use(FOR_ALL, open, closeIt);

/** Does the same before and after each test of the enclosing block. */
export const useForEach = <T extends object>(open: Open<T>, closeIt?: Close<T>): T => use(FOR_EACH, open, closeIt);

/** For resources that have a method of this name. */
export const close = (resource: { close(): unknown }): unknown => resource.close();

function use<T extends object>({ before, after, closings }: Hooks, open: Open<T>, closeIt: Close<T> = () => undefined): T {
  let current: T | undefined;
  before(async () => {
    current = undefined;
    closings.push(() => current && closeIt(current));
    current = await open();
  }, LIMIT_MS);
  after(async () => {
    await closings.pop()?.();
  }, LIMIT_MS);
  return forwardTo(() => current);
}

function forwardTo<T extends object>(current: () => T | undefined): T {
  const made = (): T => {
    const found = current();
    if (!found) {
      throw new Error('no hook has made this object yet: use it in tests and in hooks');
    }
    return found;
  };
  return new Proxy({} as T, {
    get: (_, name): unknown => Reflect.get(made(), name),
    has: (_, name) => Reflect.has(made(), name),
    set: (_, name, value) => Reflect.set(made(), name, value),
    ownKeys: () => Reflect.ownKeys(made()),
    getOwnPropertyDescriptor: (_, name) => Reflect.getOwnPropertyDescriptor(made(), name),
  });
}

export const useLab = (): Lab => useForAll(createLab, close);

/** Launches one worker, and waits until its sshd listens. */
export const useWorker = (lab: Lab, options?: LaunchOptions): Worker => useFirstWorker(useForAll(() => launchWorkers(lab, 1, options)));

/** Opens a database. With `resetEach`, each test starts with empty tables. */
export function useTestDatabase({ resetEach = false } = {}): TestDatabase {
  const database = useForAll(openTestDatabase, close);
  if (resetEach) {
    beforeEach(() => database.reset());
  }
  return database;
}

/** Starts an API. With `ownPool`, the API opens its own pool of connections, as a second replica does. */
export function useTestApi(database: TestDatabase, { ownPool = false, ...options }: ApiOptions & { ownPool?: boolean } = {}): TestApi {
  return useForAll(() => startTestApi(ownPool ? database.secondPool() : database.db, options), close);
}

/** Inserts a new user before each test. */
export const useUser = (database: TestDatabase, options?: UserOptions): User => useForEach(() => aUser(database.db, options));

export const useSystem = (options: SystemOptions): System => useForAll(() => startSystem(options), close);

export const useTenant = (system: System, name?: string): Tenant => useForAll(() => system.tenant(name));

/** Launches workers with agents, and waits until this many nodes are free. */
export const useFleet = (system: System, n: number, options?: LaunchOptions): WorkerFleet =>
  useForAll(async () => {
    const fleet = await system.launchWorkers(n, options);
    await system.untilFree(n, LIMIT_MS / 2);
    return fleet;
  });

/** Starts a gateway. The first one listens at the address that leases contain. */
export const useGateway = (system: System): RunningGateway => useForAll(() => system.startGateway());

export const useFirstWorker = (fleet: { workers: Worker[] }): Worker => useForAll(() => fleet.workers[0] as Worker);
