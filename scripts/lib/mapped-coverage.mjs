/**
 * Which source lines V8 has run, through a source map. v8-to-istanbul answers the same question one report at a time, at tens of
 * milliseconds each; test runs leave hundreds of reports on the same few scripts, so here the map is decoded once a script.
 */
const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const VALUE = new Map([...BASE64].map((letter, value) => [letter, value]));

/**
 * @param {string} code the generated script
 * @param {{ sources: string[], mappings: string }} map its source map
 * @param {{ ranges: { startOffset: number, endOffset: number, count: number }[] }[][]} reports the `functions` of each report on it
 * @returns {Map<string, Set<number>>} source as the map names it, to its covered lines (from 1)
 */
export function coveredBySourceMap(code, map, reports) {
  const ran = new Uint8Array(code.length);
  for (const functions of reports) {
    const painted = paint(code.length, functions);
    painted.forEach((value, offset) => (ran[offset] |= value));
  }
  const covered = new Map();
  for (const { offset, source, line } of firstOfEachLine(code, map)) {
    if (ran[offset] === 1) {
      const name = map.sources[source];
      covered.set(name, (covered.get(name) ?? new Set()).add(line + 1));
    }
  }
  return covered;
}

/** V8 lists outer ranges before the ranges within them, so the last to paint an offset is right about it. */
function paint(length, functions) {
  const painted = new Uint8Array(length);
  for (const { ranges } of functions) {
    for (const { startOffset, endOffset, count } of ranges) {
      painted.fill(count > 0 ? 1 : 0, startOffset, endOffset);
    }
  }
  return painted;
}

/** Of all mapped places of a source line the leftmost one: where its statement starts. */
function firstOfEachLine(code, map) {
  const first = new Map();
  for (const place of decode(code, map.mappings)) {
    const key = `${place.source}:${place.line}`;
    const known = first.get(key);
    if (!known || place.column < known.column) {
      first.set(key, place);
    }
  }
  return first.values();
}

/** The segments of a version 3 source map (tc39.es/ecma426), with offsets into the script instead of lines and columns. */
function* decode(code, mappings) {
  let lineStart = 0;
  let [source, line, column] = [0, 0, 0];
  for (const generatedLine of mappings.split(';')) {
    let generatedColumn = 0;
    for (const segment of generatedLine.split(',')) {
      const numbers = decodeNumbers(segment);
      generatedColumn += numbers[0] ?? 0;
      if (numbers.length >= 4) {
        source += numbers[1];
        line += numbers[2];
        column += numbers[3];
        yield { offset: lineStart + generatedColumn, source, line, column };
      }
    }
    lineStart = code.indexOf('\n', lineStart) + 1;
  }
}

/** Base64 VLQ: five bits a letter, the sixth says that more follow; the lowest bit of the number is its sign. */
function decodeNumbers(segment) {
  const numbers = [];
  let [value, shift] = [0, 0];
  for (const letter of segment) {
    const digit = VALUE.get(letter);
    value |= (digit & 31) << shift;
    shift += 5;
    if ((digit & 32) === 0) {
      numbers.push(value & 1 ? -(value >>> 1) : value >>> 1);
      [value, shift] = [0, 0];
    }
  }
  return numbers;
}
