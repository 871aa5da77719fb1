import { createServer, type IncomingHttpHeaders, type IncomingMessage, request as plainRequest } from 'node:http';
import { request as secureRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { projectDir, runOrThrow, type RunResult, type Worker } from '../../lab';

/**
 * The self-contained agent of this machine's architecture, beside the rest of the build. Kept from run to run; the first one downloads
 * Node.js.
 */
export const buildAgent = (): Promise<string> =>
  runOrThrow('node', [join(projectDir, 'scripts', 'build-agent.mjs'), process.arch], { timeoutMs: 240_000 });

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** One GET; `ca` is a PEM to trust. Follows no redirect. */
export function get(url: string, { ca, headers }: { ca?: string; headers?: Record<string, string> } = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const onResponse = (response: IncomingMessage): void => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }));
    };
    const request = url.startsWith('https:')
      ? secureRequest(url, { ca, headers, agent: false }, onResponse)
      : plainRequest(url, { headers, agent: false }, onResponse);
    request.on('error', reject);
    request.end();
  });
}

/** Somebody between a machine and the API at `target`, who changes the agent on its way. */
export async function startTamperer(target: string): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer((req, res) => {
    void get(`${target}${req.url ?? ''}`, { headers: { host: req.headers.host ?? '' } }).then(({ status, body }) => {
      res.writeHead(status, { connection: 'close' });
      res.end(req.url?.startsWith('/orion-agent') ? Buffer.concat([body, Buffer.from('// and a little more')]) : body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => new Promise((resolve) => void server.close(() => resolve())),
  };
}

/** /opt and /usr are the host's in a worker, and read-only: this puts something writable over what an installation needs. */
export async function makeInstallable(worker: Worker): Promise<void> {
  const over = (dir: string, name: string): string =>
    `mkdir -p /run/over/${name}/upper /run/over/${name}/work && mount -t overlay -o lowerdir=${dir},upperdir=/run/over/${name}/upper,workdir=/run/over/${name}/work overlay ${dir}`;
  const { code, stderr } = await worker.exec(`${over('/opt', 'opt')} && ${over('/usr/local/bin', 'bin')}`);
  if (code !== 0) {
    throw new Error(`${worker.name}: ${stderr}`);
  }
}

/** Runs the script as `curl | sh` does: from standard input, with these settings in the environment. */
export function install(
  worker: Worker,
  script: string | Buffer,
  { env = {}, shell = 'sh' }: { env?: Record<string, string>; shell?: string } = {},
): Promise<RunResult> {
  const settings = Object.entries(env).map(([name, value]) => `${name}='${value}'`);
  return worker.exec(`env ${settings.join(' ')} ${shell}`, { input: script.toString(), timeoutMs: 180_000 });
}

/**
 * Every file of the machine, but for what is only mounted there, what the tests themselves brought (the fence of the sandbox among it), and
 * the copies that the tools for accounts keep of /etc/passwd and its like.
 */
export async function filesOf(worker: Worker): Promise<string[]> {
  const { stdout } = await worker.exec(
    "find / /opt /usr/local/bin /run -xdev \\( -path /run/orion -o -path /run/over -o -path /run/lab \\) -prune -o -print | grep -vE '^/etc/(passwd|shadow|group|gshadow|subuid|subgid)-$|^/etc/.pwd.lock$|^/var/lib/orion(/fence)?$'",
  );
  return stdout.trim().split('\n').toSorted();
}
