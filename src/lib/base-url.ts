const HOST = String.raw`(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?)`;
const BASE_URL = new RegExp(`^https?://${HOST}(?::[0-9]{1,5})?$`);

/**
 * Returns `http[s]://host[:port]` in its shortest form. Undefined for any other text, such as one with a path or a character that is
 * special in a shell.
 */
export function parseBaseUrl(text: string): string | undefined {
  return BASE_URL.test(text) && URL.canParse(text) ? new URL(text).origin : undefined;
}
