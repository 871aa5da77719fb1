import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type ApiClient, isCertificateFault } from '../api';
import { messageOf } from '../../lib/errors';
import { ApiError, CliError } from '../errors';
import type { HttpAnswer } from '../http';
import { type CommandContext, createClient, findLogin, withApi } from '../session';
import { homeOf } from '../store';
import { printable } from '../text';

export interface Check {
  name: string;
  ok: boolean;
  detail: string;
  /** How to repair it if it is not ok. */
  fix: string | null;
}

const TIMEOUT_MS = 10_000;
const MAX_SKEW_SECONDS = 60;

/** Checks everything that a rent and a login need. Resolves with 0 if every check passes, else with 1. */
export async function doctor(context: CommandContext): Promise<number> {
  const { out } = context;
  const checks = await runChecks(context);
  if (out.json) {
    out.document(JSON.stringify({ checks }));
  }
  for (const { ok, name, detail, fix } of checks) {
    out.line(`${ok ? out.colors.green('✓') : out.colors.red('✗')} ${name}: ${detail}`);
    if (!ok && fix !== null) {
      out.line(`    ${fix}`);
    }
  }
  return checks.every(({ ok }) => ok) ? 0 : 1;
}

export const runChecks = async (context: CommandContext): Promise<Check[]> => [
  ...(await checkServer(context)),
  await checkSshClient(),
  await checkKey(context),
  await checkKnownHosts(context),
  await checkLoginFile(context),
];

const good = (name: string, detail: string): Check => ({ name, ok: true, detail, fix: null });
const bad = (name: string, detail: string, fix: string): Check => ({ name, ok: false, detail, fix });

async function checkServer(context: CommandContext): Promise<Check[]> {
  const login = await findLogin(context).catch((error: unknown) => messageOf(error));
  if (typeof login === 'string') {
    return [bad('server', login, 'Log in with: orion login --server URL')];
  }
  const http = createClient(context);
  try {
    const answer = await http.send({ method: 'GET', url: `${login.server}/api/me`, headers: {}, timeoutMs: TIMEOUT_MS });
    const secure = login.server.startsWith('https:');
    return [
      good('server', `${login.server} answers`),
      secure
        ? good('TLS', 'the certificate is trusted')
        : bad('TLS', 'the connection is not encrypted', 'Use the https address of the server, unless it is on this machine.'),
      checkClock(context, answer),
      ...(await checkLogin(context, login)),
    ].filter((check) => check.name !== 'TLS' || secure || !isLoopback(login.server));
  } catch (error) {
    return [explain(login.server, error)];
  } finally {
    http.close();
  }
}

const isLoopback = (server: string): boolean => /^(localhost|127\..*|\[::1\])$/.test(new URL(server).hostname);

function explain(server: string, error: unknown): Check {
  if (error instanceof CliError) {
    return bad('server', error.message, error.hint ?? 'Correct ORION_CA_FILE.');
  }
  if (isCertificateFault(error)) {
    return bad(
      'TLS',
      `the certificate of ${server} is not trusted (${messageOf(error)})`,
      'Get the CA certificate from your operator and set ORION_CA_FILE to its file.',
    );
  }
  return bad(
    'server',
    `no answer from ${server} (${messageOf(error)})`,
    'Check the address (orion login --server URL), the network, and that the service runs.',
  );
}

function checkClock({ io }: CommandContext, { headers }: HttpAnswer): Check {
  const serverMs = Date.parse(headers.date ?? '');
  const skewSeconds = Math.round((io.clock.now().getTime() - serverMs) / 1000);
  if (Number.isNaN(skewSeconds)) {
    return good('clock', 'the server does not tell its time');
  }
  return Math.abs(skewSeconds) <= MAX_SKEW_SECONDS
    ? good('clock', 'agrees with the server')
    : bad(
        'clock',
        `differs by ${Math.abs(skewSeconds)} s from the server's`,
        "Set the clock of this machine (or of the server); leases end by the server's.",
      );
}

/** Checks the login and, for admins, the jobs of the server. */
async function checkLogin(context: CommandContext, login: { server: string; token: string | undefined }): Promise<Check[]> {
  if (login.token === undefined) {
    return [bad('login', 'not logged in', 'Log in with: orion login')];
  }
  return withApi(context, login, async ({ api }) => {
    try {
      const {
        data: { user },
      } = await api.call((orion) => orion['/api/me'].GET());
      const ofAdmins = user.role === 'admin' ? [...(await checkJobs(api)), ...(await checkSeal(api, context.io.clock.now()))] : [];
      return [good('login', `logged in as ${user.username}`), ...ofAdmins];
    } catch (error) {
      const mustChange = error instanceof ApiError && error.problem.code === 'password_change_required';
      return [bad('login', messageOf(error), mustChange ? 'Change it with: orion passwd' : 'Log in with: orion login')];
    }
  });
}

const NOT_FOUND = 404;

/** Checks that every job runs. A server of an older release does not report its jobs; it gets no check. */
async function checkJobs(api: ApiClient): Promise<Check[]> {
  try {
    const {
      data: { items },
    } = await api.call((orion) => orion['/api/jobs'].GET());
    const idle = items.filter(({ state }) => state === 'not_running').map(({ name }) => printable(name));
    if (items.length > 0 && idle.length === 0) {
      return [good('jobs', `all ${items.length} run`)];
    }
    const what = idle.length > 0 ? `no replica runs ${idle.join(', ')}` : 'no replica has reported any';
    return [bad('jobs', what, 'Start a scheduler, update it to this release, or look at its log. When each job last ran: orion jobs')];
  } catch (error) {
    return error instanceof ApiError && error.status === NOT_FOUND ? [] : [bad('jobs', messageOf(error), 'Look at the log of the API.')];
  }
}

/** Newer events are sealed within seconds, and some event happens within this time in every fleet. */
const MAX_HEAD_AGE_HOURS = 24;

/** Checks that the audit log is sealed, and that no machine disputes it. */
async function checkSeal(api: ApiClient, now: Date): Promise<Check[]> {
  try {
    const {
      data: { at, size },
    } = await api.call((orion) => orion['/api/audit/head'].GET());
    const since = new Date(now.getTime() - MAX_HEAD_AGE_HOURS * 3_600_000).toISOString();
    const {
      data: { items },
    } = await api.call((orion) => orion['/api/audit'].GET({ params: { query: { type: 'audit.disputed', from: since } as never } }));
    const nodes = [...new Set(items.map(({ node_id: id }) => id))];
    if (nodes.length > 0) {
      const advice = 'Somebody may have changed it. Verify it with the head of that node: orion audit verify --help';
      return [bad('audit log', `disputed by node ${nodes.join(', ')}`, advice)];
    }
    return at > since
      ? [good('audit log', `sealed, ${size} entries`)]
      : [
          bad(
            'audit log',
            `nothing was sealed since ${printable(at)}`,
            'Look at the job `seal` (orion jobs) and at the logs of the schedulers.',
          ),
        ];
  } catch (error) {
    if (!(error instanceof ApiError && error.status === NOT_FOUND)) {
      return [bad('audit log', messageOf(error), 'Look at the log of the API.')];
    }
    // A server of an older release has no such path, and gets no check.
    const advice = 'Make a key with scripts/init-secrets.sh and set ORION_AUDIT_KEY_FILE on the schedulers.';
    return error.message.includes('never sealed') ? [bad('audit log', 'it is not sealed', advice)] : [];
  }
}

async function checkSshClient(): Promise<Check> {
  try {
    const { stderr, stdout } = await promisify(execFile)('ssh', ['-V'], { timeout: TIMEOUT_MS });
    return good('ssh client', (stderr || stdout).trim());
  } catch {
    return bad('ssh client', 'the OpenSSH client cannot be started', 'Install it (Debian: apt install openssh-client).');
  }
}

async function checkKey({ io, store }: CommandContext): Promise<Check> {
  const candidates = ['id_ed25519', 'id_ecdsa', 'id_rsa'].map((name) => join(homeOf(io.env), '.ssh', name));
  for (const file of [...candidates, store.ownKeyFile]) {
    const mode = await modeOf(file);
    if (mode !== undefined) {
      return (mode & 0o077) === 0
        ? good('key', `${file}, readable by you alone`)
        : bad('key', `${file} can be read by others`, `Run: chmod 600 ${file}`);
    }
  }
  return good('key', 'none yet: the first rent makes one');
}

async function checkKnownHosts({ store }: CommandContext): Promise<Check> {
  const dir = join(store.dir, 'known_hosts.d');
  const mode = await modeOf(dir);
  if (mode === undefined) {
    return good('known hosts', 'none pinned yet');
  }
  return (mode & 0o022) === 0
    ? good('known hosts', `pinned in ${dir}`)
    : bad('known hosts', `${dir} can be written by others`, `Run: chmod 700 ${dir}`);
}

async function checkLoginFile({ store }: CommandContext): Promise<Check> {
  const mode = await modeOf(store.loginFile);
  if (mode === undefined) {
    return good('config', 'nothing stored');
  }
  return (mode & 0o077) === 0
    ? good('config', `${store.loginFile}, readable by you alone`)
    : bad('config', `${store.loginFile} can be read by others`, `Run: chmod 600 ${store.loginFile}`);
}

async function modeOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    ({ mode }) => mode & 0o777,
    () => undefined,
  );
}
