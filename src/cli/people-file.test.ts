import { describe, expect, it } from '@jest/globals';
import { CliError } from './errors';
import { parsePeople } from './people-file';

const faultsOf = (text: string): string => {
  try {
    parsePeople(text);
    return '';
  } catch (error) {
    expect(error).toBeInstanceOf(CliError);
    return (error as CliError).message;
  }
};

describe('a file of accounts', () => {
  it('R10: is read as spreadsheets write it: commas or semicolons, quotes, a byte order mark, empty lines', () => {
    const people = parsePeople('\uFEFF"username";max_leases;role\r\n"ada";3;\r\n\r\nbob;;admin\r\n');
    expect(people).toEqual([
      { line: 2, body: { username: 'ada', max_leases: 3 } },
      { line: 4, body: { username: 'bob', role: 'admin' } },
    ]);
  });

  it('R10: names each line with a fault', () => {
    const text = 'username,role,max_leases\nada\nAda\n1234\nada\nbob,root\neve,,many\nmia,,1,2\n';
    expect(
      faultsOf(text)
        .split('\n')
        .map((line) => line.slice(0, 40)),
    ).toEqual([
      'No account was created.',
      expect.stringContaining('line 3: username "Ada"'),
      expect.stringContaining('line 4: username "1234"'),
      expect.stringContaining('line 5: username ada is on line 2 too'),
      expect.stringContaining('line 6: role "root"'),
      expect.stringContaining('line 7: max_leases and'),
      expect.stringContaining('line 8: it has more fields'),
    ]);
  });

  it.each(['', 'ada\n', 'username,age\nada,3\n', 'username\n'])('R10: is refused as %j', (text) => {
    expect(faultsOf(text)).not.toBe('');
  });
});
