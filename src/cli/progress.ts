import type { Options, Ora } from 'ora';
import type { CliIo } from './io';
import type { Output } from './output';

/** Shows what is waited for, and for how long already. */
export interface Progress {
  /** Says what is being done now; saying the same again changes nothing. */
  step(text: string): void;
  /** Clears the line. Safe to call twice. */
  stop(): void;
}

/**
 * A spinner with elapsed seconds on a terminal, one line a change otherwise, nothing with --json or --quiet. Its first step is on the
 * screen when this returns.
 */
function startProgress(io: CliIo, out: Output, text: string): Progress {
  if (out.json || out.quiet) {
    return { step: () => undefined, stop: () => undefined };
  }
  const startedAt = io.clock.monotonicMs();
  const elapsedSeconds = (): number => (io.clock.monotonicMs() - startedAt) / 1000;
  // A terminal that says it is 0 columns wide (a serial line, some containers) would keep ora clearing lines for ever.
  const canRedraw = io.stderr.isTTY === true && (io.stderr.columns ?? 0) > 0 && io.env.TERM !== 'dumb';
  const progress = canRedraw ? createSpinner(io, elapsedSeconds) : createLines(io, elapsedSeconds);
  progress.step(text);
  return progress;
}

/** Runs `work` under a progress line that goes away however the work ends. */
export async function withProgress<T>({ io, out }: { io: CliIo; out: Output }, text: string, work: (progress: Progress) => Promise<T>): Promise<T> {
  const progress = startProgress(io, out, text);
  try {
    return await work(progress);
  } finally {
    progress.stop();
  }
}

const CLEAR_LINE = '\r\x1b[K';

/** The text stands there plainly until ora is loaded, which takes longer than a person should look at nothing. */
function createSpinner(io: CliIo, elapsedSeconds: () => number): Progress {
  // Input stays the terminal's own: ora would otherwise take it, and Ctrl-C with it. Whether a spinner can be shown is decided above:
  // left to itself, ora would also ask this process's own environment, and show nothing of the time on a terminal where CI is set.
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
