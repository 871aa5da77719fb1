/**
 * Matches a text without control characters (Unicode's Cc). The pattern has no flag, because JSON Schema has none. So the API document
 * contains exactly the pattern that is checked.
 */
export const PRINTABLE = /^[^\u0000-\u001f\u007f-\u009f]*$/;
