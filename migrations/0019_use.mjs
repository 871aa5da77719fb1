/**
 * How used a node is, in one number (modules/nodes/use): 0 idle, 1 busy, 2 very busy, 3 too short of disk or memory to be leased. Of nodes that fit equally, a claim takes the
 * least used one, so the index has the number between `fit` and `id`. `nodes_leasable` stays for the release before, which names it in its claims.
 */
export async function up(statements) {
  await statements.raw("ALTER TABLE nodes ADD COLUMN IF NOT EXISTS use_band TINYINT UNSIGNED NOT NULL DEFAULT 0 COMMENT '0 idle, 1 busy, 2 very busy, 3 not leasable: too little disk or memory', ALGORITHM=INSTANT, LOCK=NONE");
  await statements.raw('ALTER TABLE nodes ADD KEY IF NOT EXISTS nodes_claim (leasable, fit, use_band, id, cpus, memory_mb), ALGORITHM=INPLACE, LOCK=NONE');
}

export async function down(statements) {
  await statements.raw('ALTER TABLE nodes DROP KEY IF EXISTS nodes_claim, ALGORITHM=INPLACE, LOCK=NONE');
  await statements.raw('ALTER TABLE nodes DROP COLUMN IF EXISTS use_band, ALGORITHM=INSTANT, LOCK=NONE');
}
