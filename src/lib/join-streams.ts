import { type Duplex, pipeline } from 'node:stream';

/**
 * Pipes two streams into each other, with backpressure. The end of one direction ends only that direction. An error of one stream destroys
 * both.
 */
export function joinStreams(one: Duplex, other: Duplex): void {
  const lost = (error: Error | null | undefined): void => {
    if (error) {
      one.destroy();
      other.destroy();
    }
  };
  pipeline(one, other, lost);
  pipeline(other, one, lost);
}
