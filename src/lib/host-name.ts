/** The one rule for names of machines, of agents and API alike: RFC 1123, section 2.1, and what a database column holds. */
export const HOST_NAME = /^(?=.{1,253}$)[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?$/;

/** The same in words, for messages. */
export const HOST_NAME_RULE = '1 to 253 letters, digits, dots and hyphens, the first and the last of them a letter or a digit';
