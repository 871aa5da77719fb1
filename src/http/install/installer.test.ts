import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../lib/package-root';
import { readInstaller } from './installer';

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'orion-installer-'));
  mkdirSync(join(root, 'dist'));
  cpSync(join(packageRoot(), 'installer'), join(root, 'installer'), { recursive: true });
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe('the installer', () => {
  it('is not served without the agent', async () => {
    await expect(readInstaller(root)).rejects.toThrow('orion-agent.js');
  });

  it('names the control plane and the checksum of the very agent that is served with it', async () => {
    writeFileSync(join(root, 'dist', 'orion-agent.js'), 'the agent');
    const { downloads, render } = await readInstaller(root);
    const sha256 = createHash('sha256').update('the agent').digest('hex');
    const script = render('https://orion.example', 'F'.repeat(43));
    expect([...downloads]).toEqual([['orion-agent.js', { path: join(root, 'dist', 'orion-agent.js'), sha256 }]]);
    expect(script).toContain(
      `\nURL='https://orion.example'\nSCRIPT_SHA256='${sha256}'\nX64_SHA256=''\nARM64_SHA256=''\nCONTROL='${'F'.repeat(43)}'\n`,
    );
    expect(script).toContain('curl -fsSL https://orion.example/install.sh | sudo');
    expect(script).not.toMatch(/@[A-Z_0-9]+@/);
  });

  it('names the self-contained agents that were built', async () => {
    writeFileSync(join(root, 'dist', 'orion-agent-linux-arm64.gz.sha256'), `${'a'.repeat(64)}  orion-agent-linux-arm64.gz\n`);
    const { downloads, render } = await readInstaller(root);
    expect(downloads.get('orion-agent-linux-arm64.gz')).toEqual({
      path: join(root, 'dist', 'orion-agent-linux-arm64.gz'),
      sha256: 'a'.repeat(64),
    });
    expect(render('https://orion.example', 'F'.repeat(43))).toContain(`\nX64_SHA256=''\nARM64_SHA256='${'a'.repeat(64)}'\n`);
  });

  it('does all it does in its last line', async () => {
    const { render } = await readInstaller(root);
    expect(render('https://orion.example', 'F'.repeat(43))).toMatch(/\n}\n\n{ main "\$@" <\/dev\/null; exit; }\n$/);
  });
});
