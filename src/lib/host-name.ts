/** The rule for names of machines, in the agent and the API: RFC 1123, section 2.1, and the length of the database column. */
export const HOST_NAME = /^(?=.{1,253}$)[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?$/;

/** The same rule as text, for messages. */
export const HOST_NAME_RULE = '1 to 253 letters, digits, dots and hyphens, the first and the last of them a letter or a digit';
