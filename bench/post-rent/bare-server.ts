/**
 * The least that leases a node: Express, the user of the token in one SELECT, one transaction by mysql2, an answer. Its configuration is
 * one JSON argument; it says its port.
 */
import { createSecretKey } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import express from 'express';
import jwt from 'jsonwebtoken';
import type { RowDataPacket } from 'mysql2';
import { TOKEN_ALGORITHM, TOKEN_AUDIENCE, TOKEN_ISSUER } from '../../src/modules/accounts';
import type { DatabaseAccess } from '../../test/lab';
import { claimBareWithPatience } from '../claim';
import { openBarePool } from '../claim/bare-claim';

const { poolSize, jwtKey, ...access } = JSON.parse(process.argv[2] ?? '') as DatabaseAccess & { poolSize: number; jwtKey: string };
const pool = openBarePool(access, poolSize);
const key = createSecretKey(jwtKey, 'utf8');
const FIND_USER = `SELECT id, username, role, max_leases, max_lease_hours, disabled_at, created_at FROM users
   WHERE id = ? AND disabled_at IS NULL AND ? > UNIX_TIMESTAMP() AND NOT EXISTS (SELECT 1 FROM revoked_tokens WHERE jti = ?)`;

function findUser(token: string): Promise<number | undefined> {
  const { sub, exp, jti } = jwt.verify(token, key, {
    algorithms: [TOKEN_ALGORITHM],
    issuer: TOKEN_ISSUER,
    audience: TOKEN_AUDIENCE,
    ignoreExpiration: true,
  }) as jwt.JwtPayload;
  return new Promise((resolve, reject) => {
    pool.query<RowDataPacket[]>(FIND_USER, [Number(sub), exp, jti], (error, rows) =>
      error ? reject(error) : resolve(rows[0]?.['id'] as number | undefined),
    );
  });
}

const app = express();
app.use(express.json());
app.post('/rent', async (req, res) => {
  const userId = await findUser((req.get('authorization') ?? '').slice('Bearer '.length));
  if (userId === undefined) {
    res.status(401).json({ error: 'log in' });
    return;
  }
  const { ssh_public_key: publicKey } = req.body as { ssh_public_key: string };
  await claimBareWithPatience(pool, userId, publicKey);
  res.status(202).json({ state: 'provisioning' });
});
const server = app.listen(0, '127.0.0.1', () => process.stdout.write(`port ${(server.address() as AddressInfo).port}\n`));
