import { writeFile } from 'node:fs/promises';
import type { ReplicaReport } from '../../contract';
import { messageOf } from '../../lib/errors';
import { ApiError, usageError } from '../errors';
import { type CommandContext, type Session, withSession } from '../session';
import { version } from '../../lib/version';
import { runChecks } from './doctor';

/** A proxy gives requests to its replicas in turn, so several requests reach several replicas. */
const REQUESTS = 4;

/** What the server answered. Errors are a part of the bundle: a server that does not answer is a reason to ask for help. */
interface Collected {
  replicas: ReplicaReport[];
  errors: string[];
}

/**
 * Writes what somebody else needs to find a fault: the reports of the replicas that answer, and the checks of `orion doctor`. The file is
 * readable by its owner alone.
 */
export async function supportBundle(context: CommandContext, { output }: { output?: string }): Promise<void> {
  await withSession(context, async (session) => {
    const { replicas, errors } = await collect(session);
    const madeAt = session.io.clock.now().toISOString();
    const bundle = {
      made_at: madeAt,
      server: session.api.server,
      client_version: version,
      checks: await runChecks(context),
      errors,
      replicas,
    };
    const file = output ?? `orion-support-${madeAt.slice(0, 19).replaceAll(':', '-')}Z.json`;
    await write(file, JSON.stringify(bundle, null, 2));
    report(session, file, bundle);
  });
}

async function collect({ api }: Session): Promise<Collected> {
  const found = new Map<string, ReplicaReport>();
  for (let n = 0; n < REQUESTS; n += 1) {
    try {
      const { data } = await api.call((orion) => orion['/api/support'].GET());
      found.set(data.replica, data);
    } catch (error) {
      if (error instanceof ApiError && error.status < 500) {
        throw error;
      }
      return { replicas: [...found.values()], errors: [messageOf(error)] };
    }
  }
  return { replicas: [...found.values()], errors: [] };
}

async function write(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, `${text}\n`, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    throw usageError(`The bundle cannot be written: ${messageOf(error)}.`, 'Name another file with: orion support-bundle --output FILE');
  }
}

function report({ out }: Session, file: string, { replicas, errors }: Collected): void {
  if (out.json) {
    out.document(JSON.stringify({ file, replicas: replicas.map(({ replica }) => replica), errors }));
    return;
  }
  out.line(file);
  out.note(
    `It has the state of ${replicas.length} ${replicas.length === 1 ? 'replica' : 'replicas'}. Passwords, keys and tokens are not in it; names and addresses are.`,
  );
  errors.forEach((error) => out.warn(`The server did not answer: ${error}`));
}
