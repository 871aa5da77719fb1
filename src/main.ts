import { runCli } from './cli/program';
import { systemClock } from './lib/clock';

/** The only place that ends the process. */
const code = await runCli(process.argv.slice(2), {
  env: process.env,
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  isTty: process.stdout.isTTY,
  clock: systemClock,
});
process.exit(code);
