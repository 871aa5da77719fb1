/**
 * The least that takes a heartbeat by itself: Express, one UPSERT by mysql2, an answer. Its configuration is one JSON argument; it says its
 * port.
 */
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
  const { load1, memory_free_mb: memory, disk_free_mb: disk } = req.body as Record<string, number>;
  pool.query(
    `INSERT INTO heartbeats (node_id, last_heartbeat_at, load1, memory_free_mb, disk_free_mb) SELECT id, UTC_TIMESTAMP(3), ?, ?, ? FROM nodes WHERE credential_hash = ?
       ON DUPLICATE KEY UPDATE last_heartbeat_at = VALUES(last_heartbeat_at), load1 = VALUES(load1), memory_free_mb = VALUES(memory_free_mb), disk_free_mb = VALUES(disk_free_mb)`,
    [load1, memory, disk, createHash('sha256').update(credential).digest('hex')],
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
