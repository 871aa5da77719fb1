/** No control characters (Unicode's Cc). Without a flag: JSON Schema has none, and so the document says what is checked. */
export const PRINTABLE = /^[^\u0000-\u001f\u007f-\u009f]*$/;
