/** The least that takes a heartbeat: Express, one UPDATE by mysql2, an answer. Its configuration is one JSON argument; it says its port. */
import { createHash } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import express from 'express';
import type { DatabaseAccess } from '../../test/lab';
import { openBarePool } from '../claim/bare-claim';

const { poolSize, ...access } = JSON.parse(process.argv[2] ?? '') as DatabaseAccess & { poolSize: number };
const pool = openBarePool(access, poolSize);
const app = express();
app.use(express.json());
app.post('/heartbeat', (req, res) => {
  const credential = (req.get('authorization') ?? '').slice('Bearer '.length);
  pool.query(
    'UPDATE nodes SET last_heartbeat_at = UTC_TIMESTAMP(3), facts = JSON_MERGE_PATCH(facts, ?) WHERE credential_hash = ?',
    [JSON.stringify(req.body), createHash('sha256').update(credential).digest('hex')],
    (error) => {
      if (error) {
        res.status(500).json({ error: error.message });
      } else {
        res.json({ status: 'alive' });
      }
    },
  );
});
const server = app.listen(0, '127.0.0.1', () => process.stdout.write(`port ${(server.address() as AddressInfo).port}\n`));
