declare module 'swagger-ui-dist/absolute-path.js' {
  /** The folder of the page's assets. */
  function absolutePath(): string;
  export = absolutePath;
}
