import { describe, expect, it } from '@jest/globals';
import { projectFiles, readProjectFile } from './files';
import { programTexts } from './sql';

/** The owner of each table, as docs/architecture.md lists it. */
function readOwners(): Map<string, string> {
  const [, section = ''] = /\n## Who owns which table\n([\s\S]*?)\n## /.exec(readProjectFile('docs/architecture.md')) ?? [];
  const rows = section.matchAll(/^\| ([^|]+) \| `([^`]+)` \|$/gm);
  const tablesIn = (cell: string): string[] => [...cell.replace(/\(.*\)/, '').matchAll(/`(\w+)`/g)].map(([, table = '']) => table);
  return new Map([...rows].flatMap(([, cell = '', owner = '']) => tablesIn(cell).map((table) => [table, owner])));
}

const owners = readOwners();

const WRITE = /\b(?:INSERT(?:\s+IGNORE)?\s+INTO|REPLACE\s+INTO|UPDATE|DELETE\s+FROM)\s+`?(\w+)/g;
/** The table of a queue, of a state or of a library, or a constant that a text inserts. */
const NAMED = /\b(?:table: |tableName: |\w*TABLE = )'(\w+)'/g;

const writtenBy = (text: string): string[] => [...text.matchAll(WRITE)].map(([, table = '']) => table).filter((table) => owners.has(table));

const writes: { file: string; table: string }[] = [
  ...programTexts.flatMap(({ file, text }) => writtenBy(text).map((table) => ({ file, table }))),
  ...projectFiles
    .filter((file) => /^src\/.*(?<!\.test)\.ts$/.test(file))
    .flatMap((file) => [...readProjectFile(file).matchAll(NAMED)].map(([, table = '']) => ({ file, table }))),
];

describe('the tables', () => {
  it('each have an owner', () => {
    const migrations = projectFiles.filter((file) => /^migrations\/.*\.mjs$/.test(file)).map(readProjectFile);
    const created = migrations.flatMap((text) => [...text.matchAll(/CREATE TABLE IF NOT EXISTS (\w+)/g)].map(([, table = '']) => table));
    expect(created).not.toEqual([]);
    expect(created.filter((table) => !owners.has(table))).toEqual([]);
  });

  it('are written by their owner, and by nobody else', () => {
    expect(writes.filter(({ file, table }) => !file.startsWith(`${owners.get(table) ?? ''}/`))).toEqual([]);
    expect([...owners.keys()].filter((table) => !writes.some((write) => write.table === table))).toEqual([]);
  });

  it.each([
    ['UPDATE nodes JOIN leases ON leases.occupied_node_id = nodes.id SET nodes.lease_id = leases.id', ['nodes']],
    ['INSERT IGNORE INTO revoked_tokens (jti) VALUES (?)', ['revoked_tokens']],
    ['DELETE FROM tunnels WHERE node_id = ?', ['tunnels']],
    ['SELECT id FROM nodes WHERE id = ? FOR UPDATE SKIP LOCKED', []],
  ])('%j writes %j', (text, tables) => {
    expect(writtenBy(text)).toEqual(tables);
  });
});

describe('SQL', () => {
  it('is written in modules and in db alone', () => {
    const sql = programTexts.filter(({ text }) => /^\s*(?:SELECT|INSERT|UPDATE|DELETE|WITH)\s+\S+[\s\S]*\b(?:FROM|INTO|SET)\b/.test(text));
    expect(sql.length).toBeGreaterThan(100);
    expect(sql.filter(({ file }) => !/^src\/(?:modules|db)\//.test(file)).map(({ file, text }) => `${file}: ${text}`)).toEqual([]);
  });
});

/** What stands in parentheses is a condition or a value, not the target of an assignment. */
function withoutParentheses(text: string): string {
  const shorter = text.replace(/\([^()]*\)/g, '');
  return shorter === text ? text : withoutParentheses(shorter);
}

/** An assignment to the state of a lease, a placement or a node that is written out; what `stateSql` makes is inserted into the text. */
function assignsState(text: string): boolean {
  const [, set = ''] = /\b(?:UPDATE\s+(?:leases|placements|nodes)\b[\s\S]*?\bSET|ON DUPLICATE KEY UPDATE)\b([\s\S]*)/i.exec(text) ?? [];
  const [assignments = ''] = withoutParentheses(set).split(/\bWHERE\b/i);
  return /(?:^|,)\s*(?:\w+\.)?(?:state|status)\s*=/i.test(assignments);
}

describe('the state of a lease, a placement or a node', () => {
  it('is changed by no statement but those that are made from the moves', () => {
    expect(programTexts.filter(({ text }) => assignsState(text)).map(({ file, text }) => `${file}: ${text}`)).toEqual([]);
  });

  it.each([
    ["UPDATE leases SET state = 'active' WHERE id = ?", true],
    ['UPDATE placements p JOIN leases l ON l.id = p.lease_id SET p.due_at = IF(l.id = ?, NULL, ?), p.state = ? WHERE p.id = ?', true],
    ['INSERT INTO nodes (status) VALUES (?) ON DUPLICATE KEY UPDATE dirty = 1, status = VALUES(status)', true],
    ["UPDATE nodes SET status_since = IF(status = 'alive', ?, status_since) WHERE status = 'alive'", false],
    ['UPDATE checkpoints SET claim_token = NULL WHERE lease_id = ?', false],
  ])('is found in %j: %s', (text, found) => {
    expect(assignsState(text)).toBe(found);
  });
});
