import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { projectDir, run } from '../../lab';

const DRIVE = `import json, sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
from orion_run import answer_of
print(json.dumps([answer_of({'rc': 0, 'stdout': 'noise\\n' + answer, 'stderr': ''}) for answer in json.load(sys.stdin)]))`;

/** What the action makes of these answers of a node. */
async function takeAll(answers: string[]): Promise<Record<string, unknown>[]> {
  const { code, stdout, stderr } = await run('/usr/bin/python3', ['-c', DRIVE, join(projectDir, 'playbooks/action_plugins')], {
    input: JSON.stringify(answers),
  });
  if (code !== 0) {
    throw new Error(stderr);
  }
  return JSON.parse(stdout) as Record<string, unknown>[];
}

describe('the answer of a program on a node', () => {
  it('reaches Ansible as it is when it is as agreed', async () => {
    const account = { changed: true, username: 'orn-a', uid: 70_000, ends_at: 1_800_000_000, actions: ['user', 'keys'] };
    const wipe = {
      killed: 2,
      files: ['/tmp/x'],
      accounts: ['orn-a'],
      fence: null,
      changed: false,
      failed: true,
      msg: 'files that stay',
      troubles: ['files that stay'],
    };
    expect(await takeAll([account, wipe].map((answer) => JSON.stringify(answer)))).toEqual([account, wipe]);
  });

  it.each([
    ['sets facts', { changed: true, ansible_facts: { ansible_python_interpreter: '/tmp/x' } }],
    ['sets what Ansible keeps for itself', { _ansible_no_log: true }],
    ['delegates', { add_host: { name: 'other' } }],
    ['says `changed` with a text', { changed: 'yes' }],
    ['says `failed` with a number', { failed: 0 }],
    ['is skipped', { skipped: true }],
    ['has a text without end', { msg: 'x'.repeat(10_000) }],
    ['has a list without end', { files: Array.from({ length: 2_000 }, () => 'x') }],
    ['has a list of something else', { actions: [{ a: 1 }] }],
    ['has a number that is none', { fence: true }],
    ['has a number that nobody can hold', { uid: 1e300 }],
    ['has the text of a template as a name', { '{{ lookup("pipe", "id") }}': 1 }],
  ])('fails when it %s, and nothing of it is taken over', async (_, answer) => {
    const [taken] = await takeAll([JSON.stringify(answer)]);
    expect(taken).toEqual({ failed: true, msg: expect.stringMatching(/^the answer of the program is not as agreed: /) });
  });

  it.each(['', '[]', 'null', '"text"', '{'])('fails when it is %j', async (answer) => {
    expect(await takeAll([answer])).toMatchObject([{ failed: true, msg: expect.stringContaining('without an answer') }]);
  });
});
