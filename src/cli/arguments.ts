import { InvalidArgumentError } from 'commander';
import { usageError } from './errors';

/** Returns a parser for commander that accepts whole numbers of at least `min`. */
export function wholeNumber(min: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d{1,15}$/.test(text) || value < min) {
      throw new InvalidArgumentError(`It must be a whole number from ${min} on.`);
    }
    return value;
  };
}

export function positiveNumber(text: string): number {
  const value = Number(text);
  if (!/^\d{1,9}(\.\d{1,6})?$/.test(text) || value <= 0) {
    throw new InvalidArgumentError('It must be a number above 0.');
  }
  return value;
}

/** Accepts the text that the API accepts as an Idempotency-Key. */
export function parseKey(text: string): string {
  if (!/^[\x21-\x7e]{1,128}$/.test(text)) {
    throw new InvalidArgumentError('It must be 1 to 128 visible ASCII characters, such as a UUID.');
  }
  return text;
}

/** Parses an account: digits are its id, other text is its name. */
export function parseClient(text: string): number | string {
  return /^\d{1,15}$/.test(text) ? Number(text) : text;
}

/** Adds `name=value` to the labels of earlier options. Refuses a name that is given twice. */
export function addLabel(text: string, before: Record<string, string> = {}): Record<string, string> {
  const [, name = '', value = ''] = /^([^=]*)=(.*)$/s.exec(text) ?? [];
  if (name === '' || Object.hasOwn(before, name)) {
    throw new InvalidArgumentError(name === '' ? 'It must be name=value.' : `The label ${name} is given twice.`);
  }
  return { ...before, [name]: value };
}

/** A change of labels, parsed from text such as `room=lab-1 gpu-`: labels to set, and names of labels to remove. */
export interface LabelChange {
  set: Record<string, string>;
  remove: string[];
}

export function addLabelChange(text: string, { set, remove }: LabelChange = { set: {}, remove: [] }): LabelChange {
  const removed = text.includes('=') ? undefined : /^(.+)-$/.exec(text)?.[1];
  if (removed !== undefined) {
    return { set, remove: [...remove, removed] };
  }
  if (!text.includes('=')) {
    throw new InvalidArgumentError('It must be name=value to set a label, or name- to take it off.');
  }
  return { set: addLabel(text, set), remove };
}

export interface Duration {
  duration_hours?: number;
  duration_minutes?: number;
}

/** Turns `--hours` or `--minutes` into the fields of the API. Undefined when neither is given; throws a usage error when both are. */
export function parseDuration({ hours, minutes }: { hours?: number; minutes?: number }): Duration | undefined {
  if (hours !== undefined && minutes !== undefined) {
    throw usageError('Give either --hours or --minutes.');
  }
  if (minutes !== undefined) {
    return { duration_minutes: minutes };
  }
  return hours === undefined ? undefined : { duration_hours: hours };
}

/** Normalises the URL of a server: no trailing slash, and https when no scheme is given. Throws a usage error. */
export function parseServer(text: string): string {
  let url: URL;
  try {
    url = new URL(text.includes('://') ? text : `https://${text}`);
  } catch {
    throw usageError(`${JSON.stringify(text)} is not the URL of a server.`, 'It looks like https://orion.example.org');
  }
  const plain = (url.protocol === 'https:' || url.protocol === 'http:') && url.username === '' && url.password === '' && url.search === '';
  if (!plain) {
    throw usageError(`${JSON.stringify(text)} is not the URL of a server.`, 'It looks like https://orion.example.org');
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '');
}
