// Loaded before the program (node --import): answers in the place of ansible-playbook, at once and within the process. Each node is a folder
// with one file an account and the node's fence, so that whoever looks sees what real plays would have left. For counting cycles, not accounts.
import childProcess from 'node:child_process';
import { EventEmitter } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';

const root = process.env.ORION_LAB_INSTANT_PLAYS;
const reallySpawn = childProcess.spawn;

const readFence = (node) => {
  try {
    return Number(readFileSync(join(node, 'fence'), 'utf8'));
  } catch {
    return 0;
  }
};
const accountsOf = (node) => readdirSync(node).filter((name) => name.startsWith('orn-'));

const PLAYS = {
  'create_user.yml': (node, { username, uid }) => {
    const fence = readFence(node);
    if (uid <= fence) {
      return { event: 'failed', result: { msg: `uid ${uid} is stale: accounts up to ${fence} were wiped here`, stale: true, fence } };
    }
    writeFileSync(join(node, username), String(uid));
    return { event: 'ok', result: { changed: true, username, uid } };
  },
  'delete_user.yml': (node, { accounts }) => {
    const there = accountsOf(node).map((name) => [name, Number(readFileSync(join(node, name), 'utf8'))]);
    const fence = Math.max(readFence(node), ...there.map(([, uid]) => uid), ...accounts.map(({ uid }) => uid));
    writeFileSync(join(node, 'fence'), String(fence));
    there.forEach(([name]) => rmSync(join(node, name), { force: true }));
    return { event: 'ok', result: { changed: there.length > 0, fence } };
  },
  'verify_clean.yml': (node) => {
    const left = accountsOf(node);
    return { event: 'ok', result: { changed: false, stdout: [...left.map((name) => `FOUND account ${name}`), `VERIFIED ${left.length}`].join('\n') } };
  },
};

function play(args) {
  const [, inventory, , vars, playbook] = args;
  const host = /\{hosts: \{(node-\d+):/.exec(readFileSync(inventory, 'utf8'))[1];
  const node = join(root, host);
  mkdirSync(node, { recursive: true });
  const line = PLAYS[basename(playbook)](node, JSON.parse(readFileSync(vars.slice(1), 'utf8').replaceAll(/!unsafe (?=")/g, '')));
  return { text: `ORION_RESULT ${JSON.stringify({ host, task: basename(playbook), ...line })}\n`, code: line.event === 'ok' ? 0 : 2 };
}

childProcess.spawn = (command, args, options) => {
  if (command !== 'ansible-playbook') {
    return reallySpawn(command, args, options);
  }
  const { text, code } = play(args);
  const child = Object.assign(new EventEmitter(), { stdout: Readable.from([Buffer.from(text)], { objectMode: false }), stderr: Readable.from([], { objectMode: false }) });
  child.stdout.once('end', () => child.emit('close', code));
  return child;
};
syncBuiltinESMExports();
