import type { EnvReader } from './env';
import { NODE_ROLES } from './setting';

export interface CheckpointConfig {
  directory: string;
  /** Undefined in a process that takes none: an API shows them and has no business with the key. */
  keyFile: string | undefined;
  intervalSeconds: number;
  maxBytes: number;
}

/** Null: checkpoints are off. */
export function readCheckpoints(env: EnvReader): CheckpointConfig | null {
  const directory = env.optionalText('ORION_CHECKPOINT_DIR', {
    roles: NODE_ROLES,
    doc:
      'Folder that all schedulers share, for the encrypted homes of leases. Without it homes do not survive their machine ' +
      '([how](adr/0015-checkpoints-of-homes.md)). APIs need the setting, not the folder.',
  });
  const settings = {
    keyFile: env.optionalText('ORION_CHECKPOINT_KEY_FILE', {
      roles: ['scheduler'],
      doc: 'Required with the folder: file with identities of `age`, one a line. The first encrypts.',
    }),
    intervalSeconds: env.seconds('ORION_CHECKPOINT_INTERVAL_SECONDS', {
      default: 300,
      min: 1,
      roles: NODE_ROLES,
      doc: 'Between two checkpoints of a lease.',
    }),
    maxBytes:
      env.integer('ORION_CHECKPOINT_MAX_MB', {
        default: 1024,
        min: 1,
        unit: 'MiB',
        roles: NODE_ROLES,
        doc: 'Most that is stored of one lease. A larger home is not saved, and `orion show` tells so.',
      }) *
      2 ** 20,
  };
  return directory === undefined ? null : { directory, ...settings };
}
