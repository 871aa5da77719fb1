import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import type { CliStream } from '../../../../src/cli/io';
import { runCli } from '../../../../src/cli/program';
import { systemClock } from '../../../../src/lib/clock';
import { close, useForEach } from '../../../support/hooks';
import { type FakeApi, startFakeApi } from './fake-api';

export interface CliResult {
  code: number;
  stdout: string;
  stderr: string;
}

export interface CallOptions {
  stdin?: string;
  env?: Record<string, string>;
  /** Makes both outputs terminals, 100 columns wide unless told. */
  tty?: boolean;
  columns?: number;
  /** Told all that is on stderr so far, at each piece. */
  onStderr?: (text: string) => void;
}

/** A user's home and configuration of their own, and a fake API; commands run within this process. */
export interface Bench {
  api: FakeApi;
  home: string;
  configDir: string;
  call(args: string[], options?: CallOptions): Promise<CliResult>;
  /** Stores a login for the fake API. */
  logIn(): void;
  close(): Promise<void>;
}

/** Waits are shortened: what is asserted is what is done after them. */
const hastyClock = { ...systemClock, sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(Math.min(ms, 5), signal) };

export async function createBench(): Promise<Bench> {
  const api = await startFakeApi();
  const home = mkdtempSync(join(tmpdir(), 'orion-cli-'));
  const configDir = join(home, 'config');
  return {
    api,
    home,
    configDir,
    call: async (args, { stdin = '', env = {}, tty = false, columns = 100, onStderr } = {}) => {
      const [stdout, stderr] = [createCapture(tty, columns), createCapture(tty, columns, onStderr)];
      const io = {
        env: { HOME: home, PATH: process.env.PATH, ORION_CONFIG_DIR: configDir, ...env },
        stdin: Readable.from([stdin]),
        isTty: false,
        clock: hastyClock,
      };
      const code = await runCli(args, { ...io, stdout: stdout.stream, stderr: stderr.stream });
      return { code, stdout: stdout.text(), stderr: stderr.text() };
    },
    logIn: () => {
      mkdirSync(configDir, { recursive: true, mode: 0o700 });
      writeFileSync(join(configDir, 'config.json'), JSON.stringify({ server: api.url, username: 'ada', token: 'stored-token' }), {
        mode: 0o600,
      });
    },
    close: async () => {
      await api.close();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

function createCapture(
  tty: boolean,
  columns: number,
  onText: (text: string) => void = () => undefined,
): { stream: CliStream; text(): string } {
  let text = '';
  const stream = new Writable({
    write: (chunk, _encoding, done) => {
      text += String(chunk);
      onText(text);
      done();
    },
  });
  // What a terminal has and ora calls.
  const terminal = { isTTY: true, columns, cursorTo: () => true, clearLine: () => true, moveCursor: () => true, getColorDepth: () => 4 };
  return { stream: tty ? Object.assign(stream, terminal) : stream, text: () => text };
}

/** A bench for each test. */
export const useBench = (): Bench => useForEach(createBench, close);
