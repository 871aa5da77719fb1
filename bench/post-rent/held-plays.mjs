// Loaded before the program (node --import): every ansible-playbook begins and never ends, so that a rent comes as far as the lease and no further.
import childProcess from 'node:child_process';
import { EventEmitter } from 'node:events';
import { syncBuiltinESMExports } from 'node:module';
import { PassThrough } from 'node:stream';

const reallySpawn = childProcess.spawn;

childProcess.spawn = (command, args, options) =>
  command === 'ansible-playbook' ? Object.assign(new EventEmitter(), { stdout: new PassThrough(), stderr: new PassThrough() }) : reallySpawn(command, args, options);
syncBuiltinESMExports();
