/**
 * Names that a new account may have. No machine ever sees the name, so `root` is as good as any. Digits alone are no name, because a
 * command that names an account reads them as the number of one.
 */
export const USERNAME = /^(?!\d+$)[a-z0-9][a-z0-9._-]{1,31}$/;
export const USERNAME_RULE = 'use 2 to 32 of a-z, 0-9, dot, dash and underscore, beginning with a letter or digit, and not digits alone';
