import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { eventually } from './eventually';
import type { Lab } from './lab';
import type { OrionProcess } from './orion';
import { programDir } from './paths';
import { freePort } from './ports';
import { startProcess, type LabProcess } from './process';

export interface CaddyOptions {
  /** `host:port` of each upstream server. */
  upstreams?: string[];
  /**
   * A complete Caddyfile instead. It must use the ports {$HTTP_PORT} and {$HTTPS_PORT}. Its global options must contain `admin off` and
   * `skip_install_trust`, because otherwise Caddy would change this machine.
   */
  config?: string;
  /** Values of further {$NAME} in the Caddyfile. */
  env?: Record<string, string>;
}

export interface Caddy extends LabProcess {
  httpPort: number;
  httpsPort: number;
  httpUrl: string;
  /** `https://localhost:port`: the certificate is for that name. */
  httpsUrl: string;
  /** The root certificate to trust. */
  caFile: string;
}

/** An API replica: URLs of its port, and of its port for agents. */
export type Upstream = Pick<OrionProcess, 'url' | 'agentsUrl'>;

/** Starts Caddy with the Caddyfile of the program under test, on 127.0.0.1, with a fixed list of API replicas. */
export function startProjectCaddy(lab: Lab, replicas: Upstream[], env: Record<string, string> = {}): Promise<Caddy> {
  const listed = (urls: string[]): string => urls.map((url) => new URL(url).host).join(' ');
  return startCaddy(lab, {
    config: readFileSync(join(programDir, 'Caddyfile'), 'utf8'),
    env: {
      ORION_CADDY_OPTIONS: 'default_bind 127.0.0.1',
      ORION_API_BY: 'list',
      ORION_API_UPSTREAMS: listed(replicas.map(({ url }) => url)),
      ORION_AGENTS_UPSTREAMS: listed(replicas.map(({ agentsUrl }) => agentsUrl)),
      ...env,
    },
  });
}

/** Starts a private Caddy on free ports of 127.0.0.1, with its own certificate authority. */
export async function startCaddy(lab: Lab, options: CaddyOptions): Promise<Caddy> {
  const config = options.config ?? defaultConfig(options.upstreams ?? []);
  if (!config.includes('skip_install_trust') || !config.includes('admin off')) {
    throw new Error('the Caddyfile lacks "admin off" or "skip_install_trust" in its global options');
  }
  const dir = mkdtempSync(join(lab.dir, 'caddy-'));
  const [httpPort, httpsPort] = [await freePort(), await freePort()];
  const file = join(dir, 'Caddyfile');
  mkdirSync(join(dir, 'data'));
  writeFileSync(file, config);
  const child = startProcess(lab, {
    name: 'caddy',
    command: 'caddy',
    args: ['run', '--config', file, '--adapter', 'caddyfile'],
    env: {
      HTTP_PORT: String(httpPort),
      HTTPS_PORT: String(httpsPort),
      HOME: dir,
      XDG_DATA_HOME: join(dir, 'data'),
      XDG_CONFIG_HOME: join(dir, 'config'),
      ...options.env,
    },
    cwd: dir,
  });
  const caFile = join(dir, 'data', 'caddy', 'pki', 'authorities', 'local', 'root.crt');
  const isUp = async (): Promise<boolean> =>
    !child.running() || (existsSync(caFile) && (await listens(httpPort)) && (await listens(httpsPort)));
  await eventually(isUp, { what: 'Caddy listens', timeoutMs: 20_000 });
  if (!child.running()) {
    throw new Error(`caddy ended at once: ${child.log().slice(-3000)}`);
  }
  return { ...child, httpPort, httpsPort, caFile, httpUrl: `http://127.0.0.1:${httpPort}`, httpsUrl: `https://localhost:${httpsPort}` };
}

function defaultConfig(upstreams: string[]): string {
  const proxy = `bind 127.0.0.1\n\treverse_proxy ${upstreams.join(' ')} {\n\t\tlb_try_duration 2s\n\t\tfail_duration 2s\n\t}`;
  return [
    '{\n\tadmin off\n\tskip_install_trust\n\tauto_https disable_redirects\n\thttp_port {$HTTP_PORT}\n\thttps_port {$HTTPS_PORT}\n}',
    `http://:{$HTTP_PORT} {\n\t${proxy}\n}`,
    `https://localhost:{$HTTPS_PORT} {\n\ttls internal\n\t${proxy}\n}\n`,
  ].join('\n');
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
