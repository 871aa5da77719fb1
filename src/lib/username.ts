/** Names that a new account may have. No machine ever sees the name, so `root` is as good as any. */
export const USERNAME = /^[a-z0-9][a-z0-9._-]{1,31}$/;
