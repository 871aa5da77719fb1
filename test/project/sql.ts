import ts from 'typescript';
import { projectFiles, readProjectFile } from './files';

interface SqlText {
  file: string;
  /** A string or template of the program; what a template inserts reads `?`. */
  text: string;
}

function textOf(node: ts.Node): string | undefined {
  if (ts.isStringLiteralLike(node)) {
    return node.text;
  }
  return ts.isTemplateExpression(node) ? [node.head.text, ...node.templateSpans.map(({ literal }) => literal.text)].join('?') : undefined;
}

function textsOf(file: string): SqlText[] {
  const texts: SqlText[] = [];
  const visit = (node: ts.Node): void => {
    const text = textOf(node);
    if (text !== undefined) {
      texts.push({ file, text });
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, readProjectFile(file), ts.ScriptTarget.Latest));
  return texts;
}

/** All strings in src, tests aside. */
export const programTexts: SqlText[] = projectFiles.filter((file) => /^src\/.*(?<!\.test)\.ts$/.test(file)).flatMap(textsOf);
