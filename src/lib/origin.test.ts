import { describe, expect, it } from '@jest/globals';
import { createBatcher, fulfilled } from './batcher';
import { currentOrigin, type Origin, withOrigin } from './origin';

const from = (requestId: string): Origin => ({ requestId, address: '10.0.0.1', tokenId: undefined });
const later = async (): Promise<Origin | null> => {
  await new Promise(setImmediate);
  return currentOrigin();
};

describe('the origin of a call', () => {
  it('R41: is that of each call, however their steps mix', async () => {
    const [first, second, outside] = await Promise.all([withOrigin(from('1'), later), withOrigin(from('2'), later), later()]);
    expect([first?.requestId, second?.requestId, outside]).toEqual(['1', '2', null]);
  });

  it('R41: is not that of the first call in a batch: a batch belongs to no call', async () => {
    const seen: (Origin | null)[] = [];
    const batcher = createBatcher<number, number>({
      max: 10,
      work: (items) => {
        seen.push(currentOrigin());
        return Promise.resolve(fulfilled(items));
      },
    });
    const add = async (item: number): Promise<Origin | null> => {
      await batcher.add(item);
      return currentOrigin();
    };
    const [first, second] = await Promise.all([withOrigin(from('1'), () => add(1)), withOrigin(from('2'), () => add(2))]);
    expect(seen).toEqual(seen.map(() => null));
    expect([first?.requestId, second?.requestId]).toEqual(['1', '2']);
  });
});
