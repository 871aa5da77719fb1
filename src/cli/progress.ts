import type { Options, Ora } from 'ora';
import type { CliIo } from './io';
import type { Output } from './output';

/** Shows what the command waits for, and the time since it started. */
export interface Progress {
  /** Shows the current step. Repeating the same text changes nothing. */
  step(text: string): void;
  /** Clears the line. Safe to call twice. */
  stop(): void;
}

/**
 * Shows a spinner with elapsed seconds on a terminal, otherwise one line for each change. Shows nothing with `--json` or `--quiet`. The
 * first step is on the screen when this returns.
 */
function startProgress(io: CliIo, out: Output, text: string): Progress {
  if (out.json || out.quiet) {
    return { step: () => undefined, stop: () => undefined };
  }
  const startedAt = io.clock.monotonicMs();
  const elapsedSeconds = (): number => (io.clock.monotonicMs() - startedAt) / 1000;
  // On a terminal that reports a width of 0 columns (a serial line, some containers), ora would clear lines for ever.
  const canRedraw = io.stderr.isTTY === true && (io.stderr.columns ?? 0) > 0 && io.env.TERM !== 'dumb';
  const progress = canRedraw ? createSpinner(io, elapsedSeconds) : createLines(io, elapsedSeconds);
  progress.step(text);
  return progress;
}

/** Runs `work` under a progress line, and removes the line when the work ends or fails. */
export async function withProgress<T>(
  { io, out }: { io: CliIo; out: Output },
  text: string,
  work: (progress: Progress) => Promise<T>,
): Promise<T> {
  const progress = startProgress(io, out, text);
  try {
    return await work(progress);
  } finally {
    progress.stop();
  }
}

const CLEAR_LINE = '\r\x1b[K';

/** Shows plain text until ora is loaded, because loading takes too long to show nothing. */
function createSpinner(io: CliIo, elapsedSeconds: () => number): Progress {
  // discardStdin: ora would otherwise take over stdin, and Ctrl-C with it. isEnabled: `canRedraw` decides whether to show a spinner.
  // Otherwise ora also reads the environment of this process, and shows no elapsed time on a terminal where CI is set.
  const options = { stream: io.stderr, isEnabled: true, discardStdin: false, suffixText: () => `${elapsedSeconds().toFixed(0)} s` };
  let spinner: Ora | undefined;
  let current = '';
  let stopped = false;
  const replacePlainText = ({ default: ora }: { default: (options: Options) => Ora }): void => {
    if (!stopped) {
      io.stderr.write(CLEAR_LINE);
      spinner = ora({ ...options, text: current }).start();
    }
  };
  import('ora').then(replacePlainText, () => undefined);
  return {
    step: (text) => {
      current = text;
      if (spinner) {
        spinner.text = text;
      } else {
        io.stderr.write(`${CLEAR_LINE}${text} …`);
      }
    },
    stop: () => {
      if (spinner) {
        spinner.stop();
      } else if (!stopped) {
        io.stderr.write(CLEAR_LINE);
      }
      stopped = true;
    },
  };
}

function createLines(io: CliIo, elapsedSeconds: () => number): Progress {
  let last = '';
  return {
    step: (text) => {
      if (text !== last) {
        last = text;
        io.stderr.write(`${elapsedSeconds().toFixed(1).padStart(5)} s  ${text}\n`);
      }
    },
    stop: () => undefined,
  };
}
