/** `name{label="value",…}` in an expression of Prometheus; the braces may be absent. */
export interface Selector {
  metric: string;
  matchers: { label: string; operator: string; value: string }[];
}

const STRING = '"(?:[^"\\\\]|\\\\.)*"';
const MATCHER = new RegExp(`(\\w+)\\s*(=~|!~|!=|=)\\s*(${STRING})`, 'g');
const SELECTOR = new RegExp(`(?<![\\w:."])([a-zA-Z_:][\\w:]*)(?![\\w:]*\\s*\\()\\s*(\\{(?:${STRING}|[^"}])*\\})?`, 'g');
const LABEL_LISTS = /\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g;
const RANGES = /\[[^\]]*\]/g;
const WORDS = new Set(['and', 'or', 'unless', 'offset', 'bool']);

/** What an expression reads: each identifier that is no function, no operator and no label. */
export function selectorsOf(expr: string): Selector[] {
  const found = [...expr.replace(LABEL_LISTS, ' ').replace(RANGES, ' ').matchAll(SELECTOR)].filter(([, metric = '']) => !WORDS.has(metric));
  return found.map(([, metric = '', braces = '']) => ({ metric, matchers: matchersOf(braces) }));
}

const matchersOf = (braces: string): Selector['matchers'] =>
  [...braces.matchAll(MATCHER)].map(([, label = '', operator = '', value = '']) => ({ label, operator, value: value.slice(1, -1) }));
