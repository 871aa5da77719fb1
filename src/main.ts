import { processIo } from './cli/io';
import { runCli } from './cli/program';

/** The only place that ends the process. */
process.exit(await runCli(process.argv.slice(2), processIo(process.env)));
