// Loaded before the program (node --import): at each step of the flows the whole process stands still until the test says "go on".
import { subscribe } from 'node:diagnostics_channel';
import { openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const dir = process.env.ORION_LAB_STEPS;
const told = openSync(join(dir, 'reached'), 'w');
const answers = openSync(join(dir, 'go-on'), 'r');
const byte = Buffer.alloc(1);

subscribe('orion:step', ({ step }) => {
  writeSync(told, `${step}\n`);
  readSync(answers, byte, 0, 1, null);
});
