/** The command line as a process of its own, for what needs one: ssh's inherited input and output, signals. */
import { processIo } from '../../../src/cli/io';
import { runCli } from '../../../src/cli/program';

process.exit(await runCli(process.argv.slice(2), processIo(process.env)));
