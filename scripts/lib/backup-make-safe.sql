-- Run by restore.sh, before the last table of a backup; for a database that came back in another way, run it by hand, with every role stopped:
-- mariadb … orion < scripts/lib/backup-make-safe.sql
-- The machines have lived on since the backup. Leases that ended since then are running again here, and leases that were made since then are unknown.

-- Nothing is known of any node (I6): each is verified before it is used. One without a lease is wiped then, of every account of Orion's, known here or not, and the
-- uids given to it go on behind the fence that it kept. One with a lease is asked for the lease's account: where it was wiped meanwhile the fence refuses it, the
-- lease moves elsewhere, and the node is wiped.
UPDATE nodes
   SET dirty = 1, status = 'unknown', status_reason = 'restored from a backup', status_since = UTC_TIMESTAMP(3),
       probe_due_at = UTC_TIMESTAMP(3), probe_token = NULL, probe_failures = 0, first_failed_at = NULL,
       wipe_due_at = NULL, wipe_token = NULL, wipe_failures = 0
 WHERE status IN ('unknown', 'alive', 'suspect', 'dead');
UPDATE nodes SET dirty = 1 WHERE status IN ('pending', 'quarantined');

-- Whoever claimed anything is gone.
UPDATE placements SET claim_token = NULL, due_at = UTC_TIMESTAMP(3) WHERE due_at IS NOT NULL;

-- The control plane was away: failures count from now on (I8).
UPDATE control_plane SET judged_since = UTC_TIMESTAMP(3), brake_since = NULL WHERE id = 1;

-- What was revoked or used up since then must not let anybody in.
UPDATE join_tokens SET revoked_at = UTC_TIMESTAMP(3) WHERE revoked_at IS NULL;

INSERT INTO events (type, actor, data) VALUES ('fleet.restored', 'operator', '{}');

-- No id that was given out since then is given to somebody else: access tokens name users by theirs, people their leases.
DELIMITER //
FOR known IN (SELECT table_name AS name, auto_increment AS next_id FROM information_schema.tables WHERE table_schema = DATABASE() AND auto_increment IS NOT NULL) DO
  EXECUTE IMMEDIATE CONCAT('ALTER TABLE `', known.name, '` AUTO_INCREMENT = ', known.next_id + 1000000);
END FOR//
-- Agents refuse a statement of the management keys that is older than the one they know: it is numbered anew, by the time. An older backup has no such table.
FOR known IN (SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'management_statement') DO
  EXECUTE IMMEDIATE 'DELETE FROM management_statement';
END FOR//
-- No uid that was given since then is given again: each sequence goes on far ahead (in a machine's own range, by a quarter of what is left at most), and each node
-- gets a new block with its next wipe. An older backup has no such table.
FOR known IN (SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'uid_blocks') DO
  EXECUTE IMMEDIATE 'INSERT IGNORE INTO uid_blocks (first, pool)
    SELECT MAX(b.first) + 64 * LEAST(GREATEST(1024, COUNT(*), 4 * (SELECT COUNT(*) FROM nodes)), COALESCE(GREATEST(1, (CAST(MAX(n.last) AS SIGNED) - MAX(b.first)) DIV 256), 1000000)), b.pool
      FROM uid_blocks b LEFT JOIN (SELECT uid_range_first AS pool, MAX(uid_range_last) AS last FROM nodes WHERE uid_range_first IS NOT NULL GROUP BY uid_range_first) n ON n.pool = b.pool
     WHERE b.pool IS NOT NULL GROUP BY b.pool';
  EXECUTE IMMEDIATE 'UPDATE nodes SET uid_end = NULL';
END FOR//
-- The store of checkpoints has lived on: no number of an archive is ever used twice. An older backup has no such table.
FOR known IN (SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'checkpoints') DO
  EXECUTE IMMEDIATE 'UPDATE checkpoints SET claims = claims + 1000000, claim_token = NULL, due_at = IF(due_at IS NULL, NULL, UTC_TIMESTAMP(3))';
END FOR//
DELIMITER ;
