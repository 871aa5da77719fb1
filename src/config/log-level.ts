import type { LogLevel } from '../lib/logger';
import type { EnvReader } from './env';
import { ALL_ROLES } from './setting';

export const readLogLevel = (env: EnvReader): LogLevel =>
  env.choice('LOG_LEVEL', ['debug', 'info', 'warn', 'error', 'silent'], {
    default: 'info',
    roles: ALL_ROLES,
    doc: 'JSON lines on stderr, coloured on a terminal.',
  });
