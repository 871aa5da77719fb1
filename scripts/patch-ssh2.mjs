/**
 * Patches the SSH library in node_modules as docs/adr/0026-ssh2-patched-in-place.md explains. `scripts/build.mjs` and `scripts/install-deps.sh` call this;
 * a second call changes nothing. Fails when the library is not the very release that the edits were made for.
 *
 * Each edited file is replaced and not written to, because a package manager may have linked it into other projects too.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const VERSION = '1.17.0';

/** By file: the SHA-256 of the release's text, and its edits: `from` occurs `times` (default 1), and `to` takes its place. */
const PATCH = {
  'lib/protocol/crypto.js': {
    sha256: 'a729d2064e787e2a4589c25a284444fe54a58b7434a4e6e5e8e9c73c6d91e28e',
    edits: [
      { times: 6, from: 'this._onPayload = dec.onPayload;', to: 'this._onPayload = dec.onPayload;\n    this._maxPacketSize = dec.maxPacketSize || MAX_PACKET_SIZE;' },
      { from: 'this._onPayload = onPayload;', to: 'this._onPayload = onPayload;\n    this._maxPacketSize = MAX_PACKET_SIZE;' },
      { times: 2, from: '(this._len + 20) > MAX_PACKET_SIZE', to: 'this._len > this._maxPacketSize' },
      { times: 5, from: 'this._len > MAX_PACKET_SIZE', to: 'this._len > this._maxPacketSize' },
    ],
  },
  'lib/protocol/kex.js': {
    sha256: '054ba4b81801596350f0e2e939746d2966297cffd4303b342c25b2fd5d295755',
    edits: [{ from: 'seqno: this._protocol._decipher.inSeqno,', to: 'seqno: this._protocol._decipher.inSeqno,\n            maxPacketSize: this._protocol._maxPacketSize,' }],
  },
  'lib/protocol/Protocol.js': {
    sha256: 'c1104b49087de7a91cd3ffaac8807c05eebf49f61effd084d0b0caf29fde6af4',
    edits: [
      { from: '    this._decipher = undefined;\n', to: '    this._decipher = undefined;\n    this._maxPacketSize = undefined;\n' },
      {
        from: '  disconnect(reason) {\n    const pktLen = 1 + 4 + 4 + 4;\n',
        to: `  setMaxPacketSize(size) {
    this._maxPacketSize = size;
    this._decipher._maxPacketSize = size;
  }
  disconnect(reason, description) {
    const text = Buffer.from(description || '');
    const pktLen = 1 + 4 + 4 + text.length + 4;
`,
      },
      { from: '    packet.fill(0, p += 4, end);\n', to: '    packet.fill(0, p += 4, end);\n    writeUInt32BE(packet, text.length, p);\n    packet.set(text, p + 4);\n' },
      { from: "ecdsa-sha2-nistp521'\n      + 'rsa-sha2-512", to: "ecdsa-sha2-nistp521'\n      + ',rsa-sha2-512" },
    ],
  },
  'lib/protocol/zlib.js': {
    sha256: '8cd9f4c1825cbc394ddf9cf076a5ba9195ec255db9e904182ae9c25a1036e2d6',
    edits: [{ from: 'this._maxOutputLength = kMaxLength;', to: 'this._maxOutputLength = (mode === INFLATE ? 256 * 1024 : kMaxLength);' }],
  },
  'lib/protocol/handlers.misc.js': {
    sha256: '8927c504c3c338187f36f0304a3452d6396ec9fc907af3db2be46a5f175c36a1',
    edits: [
      { from: "string    command\n          */\n          data = bufferParser.readString(true);", to: "string    command\n          */\n          data = bufferParser.readString();" },
      { from: '            if (modes !== undefined)\n              data = { term, cols, rows, width, height, modes };', to: '            data = { term, cols, rows, width, height, modes: modesBinary };' },
    ],
  },
  'lib/protocol/utils.js': {
    sha256: '402b39e75ede9e3dc99af5e8af008602546f35aa1472bd4232c06f606987f053',
    edits: [{ from: 'protocol.disconnect(reason);', to: 'protocol.disconnect(reason, err.message);' }],
  },
  'lib/server.js': {
    sha256: '128b58ee54cf97a5ae17e18836ff4472de4a5e4e591f2862a5c9ec7f148befe5',
    edits: [
      { from: '          const reject = () => {\n            if (replied)\n              return;\n            replied = true;\n\n            if (reason === undefined) {', to: '          const reject = (code, description) => {\n            if (replied)\n              return;\n            replied = true;\n\n            if (typeof code === \'number\')\n              reason = code;\n            if (reason === undefined) {' },
      { from: "proto.channelOpenFail(info.sender, reason, '');", to: 'proto.channelOpenFail(info.sender, reason, description);' },
      {
        from: `          this.emit('error', ex);
          try {
            if (isWritable(socket))
              socket.end();
          } catch {}
        }
      });
      socket.resume();`,
        to: `          socket.removeAllListeners('data');
          this.emit('error', ex);
          try {
            if (isWritable(socket)) {
              proto.disconnect(DISCONNECT_REASON.PROTOCOL_ERROR, ex.message);
              socket.end();
            }
          } catch {}
        }
      });
      socket.resume();`,
      },
      { from: '  end() {\n    if (this._sock && isWritable(this._sock)) {\n      this._protocol.disconnect(DISCONNECT_REASON.BY_APPLICATION);', to: '  end(reason, description) {\n    if (this._sock && isWritable(this._sock)) {\n      this._protocol.disconnect(reason || DISCONNECT_REASON.BY_APPLICATION,\n                                description);' },
      { from: '              if (replied || session._ending || session._channel)\n                return;\n              replied = true;\n\n              proto.channelFailure', to: '              if (replied || isClosing(session))\n                return;\n              replied = true;\n\n              proto.channelFailure' },
      { from: '                if (replied || session._ending || session._channel)\n                  return;\n                replied = true;\n\n                proto.channelSuccess', to: '                if (replied || isClosing(session))\n                  return;\n                replied = true;\n\n                proto.channelSuccess' },
      { from: 'function compareNumbers(a, b) {', to: "function isClosing(session) {\n  const { state } = session._chanInfo.outgoing;\n  return (session._ending || (state !== 'open' && state !== 'eof'));\n}\n\nfunction compareNumbers(a, b) {" },
      { from: '            if (!channel._ending) {\n              channel._ending = true;\n', to: '            if (!channel._eof) {\n              channel._eof = true;\n' },
      {
        from: `            channel._waitWindow = false;

            if (channel._chunk) {
              channel._write(channel._chunk, null, channel._chunkcb);
            } else if (channel._chunkcb) {
              channel._chunkcb();
            } else if (channel._chunkErr) {
              channel.stderr._write(channel._chunkErr,
                                    null,
                                    channel._chunkcbErr);
            } else if (channel._chunkcbErr) {
              channel._chunkcbErr();
            }
`,
        to: `            channel._waitWindow = false;

            const { _chunk, _chunkcb, _chunkErr, _chunkcbErr } = channel;
            channel._chunk = channel._chunkErr = undefined;
            if (_chunkErr)
              channel.stderr._write(_chunkErr, null, _chunkcbErr);
            if (_chunk)
              channel._write(_chunk, null, _chunkcb);
`,
      },
      { from: "session.emit('exec', accept, reject, {\n                  command: data\n                });", to: "session.emit('exec', accept, reject, {\n                  command: data.utf8Slice(),\n                  commandBytes: data\n                });" },
    ],
  },
  'lib/Channel.js': {
    sha256: '53e92988a025009b192b72be110bd240b5653f88dbdec93e515e3e401e7f94aa',
    edits: [{ from: '  if (this.server || !this.allowHalfOpen)\n', to: "  if ((this.server && this.type === 'session') || !this.allowHalfOpen)\n" }],
  },
};

const sha256 = (text) => createHash('sha256').update(text).digest('hex');

function edit(text, { from, to, times = 1 }, file) {
  const parts = text.split(from);
  if (parts.length !== times + 1) {
    throw new Error(`${file}: ${JSON.stringify(from)} occurs ${parts.length - 1} times, not ${times}`);
  }
  return parts.join(to);
}

/** Puts the patch in, unless it is there. Changes nothing and throws when the library is another release, and when somebody else changed it. */
export function patchSsh2() {
  const manifest = createRequire(import.meta.url).resolve('ssh2/package.json');
  const { version } = JSON.parse(readFileSync(manifest, 'utf8'));
  if (version !== VERSION) {
    throw new Error(`ssh2 ${version} is installed, and scripts/patch-ssh2.mjs is for ${VERSION}: see docs/adr/0026-ssh2-patched-in-place.md`);
  }
  const changes = Object.entries(PATCH).flatMap(([name, { sha256: expected, edits }]) => {
    const file = join(dirname(manifest), name);
    const original = `${file}.orig`;
    const text = readFileSync(existsSync(original) ? original : file, 'utf8');
    if (sha256(text) !== expected) {
      throw new Error(`${file} is not the one of ssh2 ${VERSION}: install the dependencies anew (npm ci)`);
    }
    const patched = edits.reduce((current, each) => edit(current, each, file), text);
    return patched === readFileSync(file, 'utf8') ? [] : [[original, text], [file, patched]];
  });
  changes.forEach(([file, text]) => put(file, text));
}

/** Whole or not at all: other processes may load the library meanwhile. */
function put(file, text) {
  const draft = `${file}.${process.pid}.new`;
  writeFileSync(draft, text);
  renameSync(draft, file);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  patchSsh2();
}
