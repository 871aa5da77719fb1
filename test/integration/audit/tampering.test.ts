import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { createAuditWitness, listKeptHeads } from '../../../src/agent/audit-witness';
import { createControlPlane } from '../../../src/agent/control-plane';
import { postJson } from '../../../src/agent/http';
import type { AuditEntry, AuditHead, Page } from '../../../src/contract';
import { systemClock } from '../../../src/lib/clock';
import { silentLogger } from '../../../src/lib/logger';
import { EXPORT_FORMAT } from '../../../src/lib/tree/export';
import { openHead, parseLogKey } from '../../../src/lib/tree/note';
import { isConsistent } from '../../../src/lib/tree/proofs';
import type { User } from '../../../src/modules/accounts';
import { findNewestHead } from '../../../src/modules/audit';
import { eventually } from '../../lab';
import { startTestApi, type TestApi } from '../../support/api';
import { aNode, aUser } from '../../support/builders';
import { openTestDatabase, rows, type TestDatabase } from '../../support/database';
import { verifyDocuments } from '../../support/exported-log';
import { aSealer, sealAll, type Sealing, someEvents } from '../../support/sealed-log';

jest.setTimeout(60_000);

let database: TestDatabase;
let api: TestApi;
let admin: User;
let sealer: Sealing;
beforeAll(async () => {
  database = await openTestDatabase();
  api = await startTestApi(database.db);
}, 60_000);
afterAll(async () => {
  await api.close();
  await database.close();
});
beforeEach(async () => {
  await database.reset();
  admin = await aUser(database.db, { role: 'admin' });
  sealer = aSealer(database.db);
});

const raw = (sql: string): Promise<unknown> => database.db.raw(sql);
const get = async <T>(path: string): Promise<T> => (await api.call<T>('get', path, { as: admin })).body;
const key = (): string => sealer.key.publicKey;
const currentNote = async (): Promise<string> => (await findNewestHead(database.db))?.note ?? '';

/** An export, as `orion audit export` writes it. */
async function exported(): Promise<object[]> {
  const proof = await get<{ head: AuditHead; from: number; to: number; before: string[]; consistency: string[] }>('/api/audit/proof');
  const entries: AuditEntry[] = [];
  for (let cursor: string | null = '0'; cursor !== null;) {
    const page: Page<AuditEntry> = await get(`/api/audit/entries?limit=7&cursor=${cursor}`);
    entries.push(...page.items);
    cursor = page.next_cursor;
  }
  return [{ ...proof, format: EXPORT_FORMAT, head: proof.head.note, key: proof.head.key }, ...entries.slice(0, proof.to)];
}

/** Seals the events anew, as somebody does who has the database and the audit key. */
async function sealAnew(): Promise<void> {
  await raw('DELETE FROM audit_entries');
  await raw('DELETE FROM audit_heads');
  await sealAll(sealer);
}

const CHANGES: Record<string, string[]> = {
  'a changed event': ['UPDATE events SET data = \'{"n": 99}\' ORDER BY id LIMIT 1'],
  'a changed actor': ["UPDATE events SET actor = 'admin:1' ORDER BY id DESC LIMIT 1"],
  'a changed time': ['UPDATE events SET at = at - INTERVAL 1 SECOND ORDER BY id LIMIT 1'],
  'a deleted event': ['DELETE FROM events ORDER BY id LIMIT 1'],
  'a cut tail': ['DELETE FROM events ORDER BY id DESC LIMIT 3'],
  'a moved event': ['UPDATE events SET id = 1000000000 ORDER BY id LIMIT 1'],
  'an inserted event': ["INSERT INTO events (id, type, actor, data) SELECT MIN(id) - 1, 'node.alive', 'scheduler', '{}' FROM events"],
};

describe('a change of the sealed audit log', () => {
  it('R41: is not found where there is none', async () => {
    await someEvents(database.db, 20);
    await sealAll(sealer);
    const witnessed = await currentNote();
    await someEvents(database.db, 5);
    await sealAll(sealer);
    expect(await verifyDocuments(await exported(), { key: key(), witnessed, complete: true })).toMatchObject({
      to: 25,
      witnessed: { size: 20 },
    });
  });

  it.each(Object.entries(CHANGES))(
    'R41: %s is found with the head of an agent, though all hashes were made anew and signed',
    async (_name, statements) => {
      await someEvents(database.db, 20);
      await sealAll(sealer);
      const witnessed = await currentNote();
      for (const statement of statements) {
        await raw(statement);
      }
      await sealAnew();
      await expect(verifyDocuments(await exported(), { key: key(), witnessed })).rejects.toMatchObject({ name: 'VerifyError' });
    },
  );

  it('R41: names the entry whose event was changed, and the one whose event was deleted', async () => {
    await someEvents(database.db, 20);
    await sealAll(sealer);
    await raw("UPDATE events e JOIN audit_entries a ON a.event_id = e.id SET e.actor = 'admin:1' WHERE a.seq = 13");
    await expect(verifyDocuments(await exported(), { key: key() })).rejects.toMatchObject({ seq: 13 });
    await raw('DELETE e FROM events e JOIN audit_entries a ON a.event_id = e.id WHERE a.seq = 13');
    expect(await verifyDocuments(await exported(), { key: key() })).toMatchObject({ withoutEvent: 1 });
    await expect(verifyDocuments(await exported(), { key: key(), complete: true })).rejects.toMatchObject({ seq: 13 });
  });

  it('R41: of a leaf is found with the head that was signed before', async () => {
    await someEvents(database.db, 20);
    await sealAll(sealer);
    await raw('UPDATE audit_entries SET leaf = UNHEX(REPEAT("ab", 32)) WHERE seq = 7');
    await raw('DELETE e FROM events e JOIN audit_entries a ON a.event_id = e.id WHERE a.seq = 7');
    await expect(verifyDocuments(await exported(), { key: key() })).rejects.toThrow('not those of the signed head');
  });
});

describe('the sealed log of the API', () => {
  it('R41: has no head before anything was sealed', async () => {
    expect((await api.call('get', '/api/audit/head', { as: admin })).status).toBe(404);
  });

  it('R41: shows the signed head and its key to admins alone', async () => {
    await someEvents(database.db, 3);
    await sealAll(sealer);
    const head = await get<AuditHead>('/api/audit/head');
    expect(parseLogKey(head.key)).toBe(key());
    expect(openHead(head.note, key())).toMatchObject({ size: head.size });
    expect((await api.call('get', '/api/audit/entries', { as: await aUser(database.db) })).status).toBe(403);
    expect((await api.call('get', '/api/audit/proof?from=2&to=99', { as: admin })).status).toBe(400);
  });

  it('R41: gives an agent the newest head when it asks and has another one, and the proof that it continues that one', async () => {
    const { credential } = await aNode(database.db);
    const call = async (body: object): Promise<{ audit_head?: { note: string; key: string } }> =>
      (await api.call<{ audit_head?: { note: string; key: string } }>('post', '/api/workers/heartbeat', { as: credential, body })).body;
    await someEvents(database.db, 6);
    await sealAll(sealer);
    expect(await call({})).not.toHaveProperty('audit_head');
    const first = openHead((await call({ audit_head: { size: 0, root: '' } })).audit_head?.note ?? '', key());
    expect(first?.size).toBeGreaterThanOrEqual(6);
    const named = { size: first?.size ?? 0, root: first?.root.toString('base64') ?? '' };
    expect(await call({ audit_head: named })).not.toHaveProperty('audit_head');
    expect(await call({ audit_head: { ...named, root: 'another' } })).toHaveProperty('audit_head');
    await someEvents(database.db, 5);
    await sealAll(sealer);
    const second = openHead(await currentNote(), key());
    const path = `/api/workers/audit/consistency?from=${named.size}&to=${second?.size ?? 0}`;
    const {
      body: { proof },
    } = await api.call<{ proof: string[] }>('get', path, { as: credential });
    expect(
      first &&
        second &&
        isConsistent(
          first,
          second,
          proof.map((hash) => Buffer.from(hash, 'base64')),
        ),
    ).toBe(true);
    expect((await api.call('get', '/api/workers/audit/consistency?from=1&to=9999', { as: credential })).status).toBe(400);
  });

  it('R41: records what an agent disputes, once a minute', async () => {
    const { id, credential } = await aNode(database.db);
    for (let n = 0; n < 3; n += 1) {
      await api.call('post', '/api/workers/heartbeat', { as: credential, body: { audit_dispute: 'another root' } });
    }
    const disputed = "SELECT actor, node_id, data FROM events WHERE type = 'audit.disputed'";
    const events = await rows(database.db, disputed);
    expect(events).toEqual([{ actor: `node:${id}`, node_id: id, data: { reason: 'another root' } }]);
  });
});

describe('an agent', () => {
  let stateDir: string;
  beforeEach(() => {
    stateDir = mkdtempSync(join(tmpdir(), 'orion-witness-'));
  });
  afterEach(() => rmSync(stateDir, { recursive: true }));

  /** An agent that asks in each heartbeat. */
  async function anAgent(): Promise<{ callHome: () => Promise<void> }> {
    const { credential } = await aNode(database.db);
    const controlPlane = createControlPlane({
      post: ({ path, ...call }: { path: string }) => postJson(`${api.agentsUrl}${path}`, { ...call, maxBytes: 100_000 } as never),
    } as never);
    const prove = (sizes: { from: number; to: number }): ReturnType<typeof controlPlane.proveAudit> =>
      controlPlane.proveAudit(sizes, credential);
    const witness = createAuditWitness({ stateDir, intervalSeconds: 0, clock: systemClock, logger: silentLogger, prove });
    return {
      callHome: async () => {
        const answer = await controlPlane.heartbeat({ accounts: [], ...(await witness.describe()) }, credential);
        expect(answer).toMatchObject({ kind: 'ok' });
        await witness.answered(answer.kind === 'ok' ? answer.value.audit : undefined);
      },
    };
  }

  const disputes = (): Promise<unknown[]> => rows(database.db, "SELECT id FROM events WHERE type = 'audit.disputed'");
  /** The API reads the head at most once a second. */
  const until = ({ callHome }: { callHome: () => Promise<void> }, what: string, isSo: () => Promise<boolean>): Promise<unknown> =>
    eventually(() => callHome().then(isSo), { what, timeoutMs: 10_000, everyMs: 100 });
  const keepsNewest = async (): Promise<boolean> => (await listKeptHeads(stateDir)).join() === (await currentNote());

  it('R41: keeps each head after its proof, and the last good one when somebody seals the log anew', async () => {
    const agent = await anAgent();
    await someEvents(database.db, 9);
    await sealAll(sealer);
    // An agent with a larger head makes the API read its head anew: it may still have that of another test.
    await api.call('post', '/api/workers/heartbeat', {
      as: (await aNode(database.db)).credential,
      body: { audit_head: { size: 1_000_000, root: '' } },
    });
    await until(agent, 'the agent keeps a head', keepsNewest);
    await someEvents(database.db, 14);
    await sealAll(sealer);
    await until(agent, 'the agent keeps the next head', keepsNewest);
    const kept = await currentNote();
    await raw("UPDATE events SET actor = 'admin:1' ORDER BY id LIMIT 1");
    await someEvents(database.db, 3);
    await sealAnew();
    await until(agent, 'the agent disputes the log', async () => (await disputes()).length === 1);
    expect(await listKeptHeads(stateDir)).toEqual([kept]);
    await expect(verifyDocuments(await exported(), { key: key(), witnessed: kept })).rejects.toThrow('not those of the given head');
  });
});
