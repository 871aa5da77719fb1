import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import ssh2 from 'ssh2';

/**
 * As many machines as one likes, in a process of their own: an SSH server that lets everybody in and answers `echo`. All of them have one
 * host key; in the fleet's table their fingerprints differ. Arguments: the host key's file, the address.
 */
const [, , keyFile = '', host = ''] = process.argv;

const server = new ssh2.Server({ hostKeys: [readFileSync(keyFile)] }, (client) => {
  client.on('error', () => undefined);
  client.on('authentication', (attempt) => attempt.accept());
  client.on('session', (accept) => {
    accept().on('exec', (acceptExec, _reject, { command }) => {
      const channel = acceptExec();
      channel.write(`${command.replace(/^echo /, '')}\n`);
      channel.exit(0);
      channel.end();
    });
  });
});
server.listen(0, host, () => process.stdout.write(`port ${(server.address() as AddressInfo).port}\n`));
