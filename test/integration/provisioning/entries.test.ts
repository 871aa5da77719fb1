import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { projectDir, run, runOrThrow } from '../../lab';

const FILES = ['passwd', 'shadow', 'group', 'gshadow'] as const;
type Texts = Record<(typeof FILES)[number], string>;

const TODAY = 20_000;
const ACCOUNT = ['orn-new', 30_001, '/home/orn-new', '/bin/bash'] as const;
const PLAIN: Texts = {
  passwd: 'root:x:0:0:root:/root:/bin/bash\nann:x:1000:1000:Änn,,,:/home/ann:/bin/sh\n',
  shadow: 'root:*:19000:0:99999:7:::\nann:$6$salt$hash:19000:0:90:7:30:25000:\n',
  group: 'root:x:0:\nann:x:1000:\nstaff:x:50:ann,root\n',
  gshadow: 'root:*::\nann:!::\nstaff:!:root:ann,root\n',
};
const top = mkdtempSync(join(tmpdir(), 'orion-entries-'));
let folders = 0;

/** A folder with these account files. */
function etcWith(texts: Texts, loginDefs = 'PASS_MAX_DAYS 99999\nPASS_MIN_DAYS 0\nPASS_WARN_AGE 7\n'): string {
  const etc = join(top, String((folders += 1)), 'etc');
  mkdirSync(join(etc, 'default'), { recursive: true });
  FILES.forEach((file) => writeFileSync(join(etc, file), texts[file], { mode: file.endsWith('shadow') ? 0o640 : 0o644 }));
  writeFileSync(join(etc, 'login.defs'), loginDefs);
  return etc;
}

const textsOf = (etc: string): Texts => Object.fromEntries(FILES.map((file) => [file, readFileSync(join(etc, file), 'latin1')])) as Texts;

async function drive(etc: string, more: Record<string, unknown> = {}): Promise<{ code: number | null; said: unknown }> {
  const asked = { node: join(projectDir, 'playbooks/node'), etc, account: ACCOUNT, shadow: ['!', ''], today: TODAY, ...more };
  const { code, stdout, stderr } = await run('/usr/bin/python3', [join(projectDir, 'test/integration/provisioning/drive-entries.py')], {
    input: JSON.stringify(asked),
  });
  return { code, said: stdout === '' ? stderr : JSON.parse(stdout) };
}

/** What the tools make of the same files. */
async function byTools(etc: string): Promise<void> {
  const [name, uid, home, shell] = ACCOUNT;
  const prefix = join(etc, '..');
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', SOURCE_DATE_EPOCH: String(TODAY * 86_400) };
  await runOrThrow('groupadd', ['-P', prefix, '-g', String(uid), name], { env });
  await runOrThrow('groupadd', ['-P', prefix, '-f', '-r', '-g', '999', 'orion-keys'], { env });
  await runOrThrow(
    'useradd',
    [
      '-P',
      prefix,
      '-l',
      '-M',
      '-N',
      '-K',
      'SUB_UID_COUNT=0',
      '-K',
      'SUB_GID_COUNT=0',
      '-u',
      String(uid),
      '-g',
      String(uid),
      '-d',
      home,
      '-s',
      shell,
      name,
    ],
    { env },
  );
  await runOrThrow('usermod', ['-P', prefix, '-a', '-G', 'orion-keys', name], { env });
}

const aName = fc.stringMatching(/^[a-z][a-z0-9_-]{0,12}$/);
const aField = fc.stringMatching(/^[A-Za-z0-9 ,./$äß€-]{0,12}$/);
const someone = fc.record({ name: aName, gecos: aField, hash: aField, members: fc.array(aName, { maxLength: 3 }) });
const anyTexts = fc.uniqueArray(someone, { selector: ({ name }) => name, maxLength: 6 }).map((people): Texts => ({
  passwd:
    PLAIN.passwd + people.map(({ name, gecos }, at) => `${name}:x:${2000 + at}:${2000 + at}:${gecos}:/home/${name}:/bin/sh\n`).join(''),
  shadow: PLAIN.shadow + people.map(({ name, hash }) => `${name}:${hash}:19000:0:99999:7:::\n`).join(''),
  group: PLAIN.group + people.map(({ name, members }, at) => `${name}:x:${2000 + at}:${members.join(',')}\n`).join(''),
  gshadow: PLAIN.gshadow + people.map(({ name, members }) => `${name}:!::${members.join(',')}\n`).join(''),
}));
const anyAges = fc.record({
  max: fc.option(fc.nat(99_999)),
  min: fc.option(fc.nat(30)),
  warn: fc.option(fc.nat(30)),
  inactive: fc.option(fc.nat(60)),
});

describe('entries of an account', () => {
  afterAll(() => rmSync(top, { recursive: true, force: true }));

  it('are byte for byte what groupadd and useradd write, whatever else is in the files', async () => {
    await fc.assert(
      fc.asyncProperty(anyTexts, anyAges, async (texts, { max, min, warn, inactive }) => {
        const line = (name: string, value: number | null): string => (value === null ? '' : `${name}\t${value}\n`);
        const loginDefs = line('PASS_MAX_DAYS', max) + line('PASS_MIN_DAYS', min) + line('PASS_WARN_AGE', warn);
        const [ours, theirs] = [etcWith(texts, loginDefs), etcWith(texts, loginDefs)];
        if (inactive !== null) {
          [ours, theirs].forEach((etc) => writeFileSync(join(etc, 'default/useradd'), `INACTIVE=${inactive}\n`));
        }
        expect(await drive(ours)).toEqual({ code: 0, said: { added: ['group', 'gshadow', 'shadow', 'passwd'] } });
        await byTools(theirs);
        expect(textsOf(ours)).toEqual(textsOf(theirs));
        expect(FILES.map((file) => statSync(join(ours, file)).mode)).toEqual(FILES.map((file) => statSync(join(theirs, file)).mode));
      }),
      { numRuns: 30 },
    );
  }, 120_000);

  it("join the group whose keys are root's when the account is there already, beside the others in it", async () => {
    const etc = etcWith({ ...PLAIN, group: `${PLAIN.group}orion-keys:x:998:orn-old\norn-new:x:30001:\n` });
    await drive(etc);
    expect(textsOf(etc).group).toBe(`${PLAIN.group}orion-keys:x:998:orn-old,orn-new\norn-new:x:30001:\n`);
  });

  it('keep every byte of the other lines, in whatever encoding they are', async () => {
    const etc = etcWith(PLAIN);
    const odd = Buffer.from('odd:x:1400:1400:\xc4nn \xff\x85\x1c\r:/:/bin/sh\r\n', 'latin1');
    writeFileSync(join(etc, 'passwd'), Buffer.concat([odd, Buffer.from(PLAIN.passwd)]));
    expect(await drive(etc)).toMatchObject({ code: 0, said: { added: expect.arrayContaining(['passwd']) } });
    expect(readFileSync(join(etc, 'passwd')).subarray(0, odd.length)).toEqual(odd);
  });

  it.each([
    ['a line with a field too few', { passwd: `${PLAIN.passwd}odd:x:5:5:/:/bin/sh\n` }],
    ['a line with a field too many', { group: `${PLAIN.group}odd:x:5::\n` }],
    ['an empty line', { shadow: `${PLAIN.shadow}\n` }],
    ['entries of NIS', { passwd: `${PLAIN.passwd}+::::::\n` }],
    ['a last line without its end', { gshadow: PLAIN.gshadow.trimEnd() }],
    ['nothing in it', { passwd: '' }],
  ])('are left to the tools where a file has %s', async (_, change) => {
    const etc = etcWith({ ...PLAIN, ...change });
    const before = textsOf(etc);
    expect(await drive(etc)).toEqual({ code: 0, said: { added: null } });
    expect(textsOf(etc)).toEqual(before);
  });

  it('are left to the tools where a file is a link', async () => {
    const etc = etcWith(PLAIN);
    renameSync(join(etc, 'group'), join(etc, 'elsewhere'));
    symlinkSync('elsewhere', join(etc, 'group'));
    expect(await drive(etc)).toEqual({ code: 0, said: { added: null } });
  });

  it.each([
    ['the uid', 'other:x:30001:30001::/:/bin/sh\n'],
    ['the name', 'orn-new:x:1234:1234::/:/bin/sh\n'],
  ])('are refused when somebody else has taken %s meanwhile', async (_, line) => {
    const etc = etcWith({ ...PLAIN, passwd: PLAIN.passwd + line });
    const before = textsOf(etc);
    expect(await drive(etc)).toMatchObject({ said: { trouble: expect.stringContaining('has the id') } });
    expect(textsOf(etc)).toEqual(before);
  });

  it.each([0, 1, 2, 3])(
    'a power cut after %d files leaves each whole, old or new, and the next attempt ends what was begun',
    async (count) => {
      const [whole, etc] = [etcWith(PLAIN), etcWith(PLAIN)];
      await drive(whole);
      const wanted = textsOf(whole);
      expect(await drive(etc, { die_at: count })).toMatchObject({ code: 9 });
      const left = textsOf(etc);
      expect(['group', 'gshadow', 'shadow', 'passwd'].map((file) => left[file as 'passwd'] === wanted[file as 'passwd'])).toEqual(
        [0, 1, 2, 3].map((at) => at < count),
      );
      FILES.filter((file) => left[file] !== wanted[file]).forEach((file) =>
        expect(left[file]).toBe(Buffer.from(PLAIN[file]).toString('latin1')),
      );
      expect(await drive(etc)).toMatchObject({ code: 0 });
      expect(textsOf(etc)).toEqual(wanted);
      expect(await drive(etc)).toEqual({ code: 0, said: { added: [] } });
    },
  );

  it('wait for an operator who has the lock, and keep what was written meanwhile', async () => {
    const etc = etcWith(PLAIN);
    expect(await drive(etc, { hold: 'operator:x:1500:1500::/home/operator:/bin/sh' })).toMatchObject({ code: 0 });
    expect(textsOf(etc).passwd.split('\n').slice(-3)).toEqual([
      'operator:x:1500:1500::/home/operator:/bin/sh',
      'orn-new:x:30001:30001::/home/orn-new:/bin/bash',
      '',
    ]);
    expect(readdirSync(etc).filter((name) => name.includes('.orion-'))).toEqual([]);
  });
});
