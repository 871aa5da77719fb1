/** The least that keeps WebSockets: `ws` alone. It says its port. */
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
server.once('listening', () => process.stdout.write(`port ${(server.address() as AddressInfo).port}\n`));
