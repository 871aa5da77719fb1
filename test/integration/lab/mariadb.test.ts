import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import mysql from 'mysql2/promise';
import { createLab, sharedMariaDb, startMariaDb, type DatabaseAccess, type Lab, type MariaDb } from '../../lab';

describe('a private MariaDB', () => {
  let lab: Lab;
  let server: MariaDb;
  let access: DatabaseAccess;
  const query = async (sql: string): Promise<unknown> => {
    const connection = await mysql.createConnection({ ...access });
    try {
      return (await connection.query(sql))[0];
    } finally {
      await connection.end();
    }
  };

  beforeAll(async () => {
    lab = createLab();
    server = await startMariaDb(lab);
    access = await server.createDatabase();
  }, 60_000);
  afterAll(() => lab.close(), 60_000);

  it('keeps what was committed through kill -9', async () => {
    await query('CREATE TABLE kept (id INT PRIMARY KEY)');
    await query('INSERT INTO kept VALUES (1), (2)');
    await server.kill9();
    await expect(query('SELECT 1')).rejects.toThrow(/ECONNREFUSED/);
    await server.restart();
    expect(await query('SELECT id FROM kept ORDER BY id')).toEqual([{ id: 1 }, { id: 2 }]);
  }, 60_000);

  it('gives each test a database that the others cannot see', async () => {
    const other = await server.createDatabase();
    expect(await query('SHOW DATABASES')).not.toContainEqual({ Database: other.database });
  });

  it('is shared by all files of a run when asked for', async () => {
    const [first, second] = await Promise.all([sharedMariaDb(), sharedMariaDb()]);
    expect(first.port).toBe(second.port);
    expect((await first.createDatabase()).port).toBe(first.port);
  }, 60_000);
});
