/** Exit codes of the program. Scripts may rely on them. `orion ssh` instead returns the exit code of the remote command. */
export const EXIT = {
  ok: 0,
  failure: 1,
  usage: 2,
  refused: 3,
  notFound: 4,
  unavailable: 5,
  conflict: 6,
  noAnswer: 7,
} as const;

const BY_STATUS: Record<number, number> = {
  400: EXIT.usage,
  401: EXIT.refused,
  403: EXIT.refused,
  404: EXIT.notFound,
  409: EXIT.conflict,
  422: EXIT.conflict,
  429: EXIT.unavailable,
  502: EXIT.noAnswer,
  503: EXIT.unavailable,
  504: EXIT.noAnswer,
};

/** The exit code for an HTTP status that is not a success. */
export function exitCodeOf(status: number): number {
  return BY_STATUS[status] ?? EXIT.failure;
}

export const EXIT_CODES_HELP = `
Exit codes:
  0  done
  1  failed
  2  wrong usage, or a request that the server calls invalid
  3  not logged in, or not allowed
  4  there is no such thing, or it belongs to another
  5  not now: no node free, unavailable, too many requests
  6  conflict, or refused by a rule (quota, duration, state)
  7  no answer from the server
  \`orion ssh\` ends with the code of the remote command; 255 when the connection failed.

Environment: ORION_SERVER, ORION_TOKEN, ORION_CONFIG_DIR, ORION_CA_FILE (certificates to trust besides the usual ones),
NO_COLOR, ORION_DEBUG (stack traces).
`;
