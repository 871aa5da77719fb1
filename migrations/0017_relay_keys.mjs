/**
 * What proves to a holder of tunnels that a caller belongs to the control plane: a key that the holder makes when it starts. An older release writes none, and
 * derives its tokens from the key of the access tokens, which schedulers and gateways therefore had to have.
 */
export async function up(statements) {
  await statements.raw('ALTER TABLE tunnel_holders ADD COLUMN IF NOT EXISTS relay_key CHAR(43) CHARACTER SET ascii COLLATE ascii_bin NULL');
}

export async function down(statements) {
  await statements.raw('ALTER TABLE tunnel_holders DROP COLUMN IF EXISTS relay_key');
}
