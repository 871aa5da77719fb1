import { describe, expect, it } from '@jest/globals';
import mysql from 'mysql2/promise';
import { sharedMariaDb, startMariaDb } from '../../lab';
import { useForAll, useLab } from '../../support/hooks';

describe('a private MariaDB', () => {
  const lab = useLab();
  const server = useForAll(() => startMariaDb(lab));
  const access = useForAll(() => server.createDatabase());
  const query = async (sql: string): Promise<unknown> => {
    const connection = await mysql.createConnection({ ...access });
    try {
      return (await connection.query(sql))[0];
    } finally {
      await connection.end();
    }
  };

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
