import { describe, expect, it } from '@jest/globals';
import { parseFindings } from './findings';

describe('parseFindings', () => {
  it('reads the findings, over a terminal too', () => {
    expect(parseFindings('FOUND process 12\r\nFOUND file /tmp/a b\r\nVERIFIED 2\r\n')).toEqual({
      findings: ['process 12', 'file /tmp/a b'],
      notExamined: [],
    });
    expect(parseFindings('UNEXAMINED nfs4 /scratch dir\nVERIFIED 0\n')).toEqual({ findings: [], notExamined: ['nfs4 /scratch dir'] });
  });

  it('takes an answer without its last line for no answer', () => {
    expect(parseFindings('')).toBeUndefined();
    expect(parseFindings('FOUND process 12\n')).toBeUndefined();
    expect(parseFindings('VERIFIED 0\nkilled')).toBeUndefined();
  });

  it('takes an answer that lost lines on the way for no answer', () => {
    expect(parseFindings('VERIFIED 1\n')).toBeUndefined();
  });

  it('accepts that only the first 200 of many are listed', () => {
    const listed = Array.from({ length: 200 }, (_, index) => `FOUND file /tmp/${String(index)}\n`).join('');
    expect(parseFindings(`${listed}VERIFIED 5000\n`)?.findings).toHaveLength(200);
  });
});
