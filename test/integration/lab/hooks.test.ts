import { describe, expect, it } from '@jest/globals';
import { close, useForAll, useForEach } from '../../support/hooks';

const log: string[] = [];
const opening = (name: string) => (): { name: string; close: () => void } => {
  log.push(`open ${name}`);
  return { name, close: () => void log.push(`close ${name}`) };
};

describe('a block with resources', () => {
  const first = useForAll(opening('first'), close);
  const second = useForAll(() => opening(`${first.name} of two`)(), close);

  describe('and a block inside', () => {
    const inner = useForAll(opening('inner'), close);
    const each = useForEach(opening('each'), close);

    it('opens them in the order of their declaration', () => {
      expect(log).toEqual(['open first', 'open first of two', 'open inner', 'open each']);
      expect([second, { ...inner }, each]).toMatchObject([{ name: 'first of two' }, { name: 'inner' }, { name: 'each' }]);
    });

    it('opens another one for each test', () => {
      expect(log.slice(4)).toEqual(['close each', 'open each']);
    });
  });
});

describe('after the block', () => {
  it('all are closed, the last one first', () => {
    expect(log.slice(6)).toEqual(['close each', 'close inner', 'close first of two', 'close first']);
  });
});
