/**
 * Reads TypeScript without a compiler: just enough to tell code from comments, strings and
 * regular expressions, so that a check over the source isn't fooled by what a comment says.
 */

export type Import = {
  readonly specifier: string
  readonly line: number
  /** `import type …`, or only `type` names between the braces: no trace of it at run time. */
  readonly isTypeOnly: boolean
  /** What stands between `import` and `from`; empty for the other forms. */
  readonly clause: string
}

/** The source with the inside of comments, strings and regular expressions blanked; offsets stay. */
export function codeOf(source: string): string {
  let code = ''
  for (const { text, isCode } of tokens(source)) code += isCode ? text : blank(text)
  return code
}

/** Every module that the source names: import, export … from, import(), and `new URL` for workers. */
export function importsOf(source: string): readonly Import[] {
  const code = codeOf(source)
  const imports: Import[] = []
  for (const form of forms) {
    for (const match of code.matchAll(form)) {
      const { index } = match
      const clause = match.groups?.clause ?? ''
      const specifier = /(['"`])(.*?)\1/s.exec(source.slice(index + match[0].length - 1))?.[2] ?? ''
      if (form === workerForm && !/^\.{1,2}\//.test(specifier)) continue
      imports.push({
        specifier,
        line: lineAt(source, index),
        isTypeOnly: isTypeOnly(clause),
        clause,
      })
    }
  }
  return imports.sort((a, b) => a.line - b.line)
}

export function lineAt(source: string, offset: number): number {
  return source.slice(0, offset).split('\n').length
}

/** Each ends at the opening quote of the specifier. */
const fromForm =
  /\b(?:import|export)\b(?<clause>(?:(?!\b(?:import|export)\b)[^'"`;()=])*?)\bfrom\s*['"]/g
const bareForm = /\bimport\s*['"]/g
const dynamicForm = /\bimport(?:\.meta\.resolve)?\s*\(\s*['"`]/g
const workerForm = /\bnew\s+URL\s*\(\s*['"`]/g
const forms = [fromForm, bareForm, dynamicForm, workerForm]

function isTypeOnly(clause: string): boolean {
  if (/^\s*type\b(?!\s*,)/.test(clause)) return true
  const names = /^\s*\{(.*)\}\s*$/s.exec(clause)?.[1]?.split(',') ?? []
  const given = names.filter((name) => name.trim() !== '')
  return given.length > 0 && given.every((name) => /^\s*type\s/.test(name))
}

type Token = { readonly text: string; readonly isCode: boolean }

/** Template literals are cut at their `${…}`, whose inside is code again. */
function* tokens(source: string): Generator<Token> {
  const templates: number[] = []
  let depth = 0
  let code = ''
  let at = 0
  while (at < source.length) {
    const char = source.charAt(at)
    const closesHole = char === '}' && templates.at(-1) === depth
    const length = closesHole ? templateLength(source, at) : opaqueLength(source, at, code)
    if (length > 0) {
      const text = source.slice(at, at + length)
      if (closesHole) templates.pop()
      if (text.endsWith('${') && (closesHole || char === '`')) templates.push(depth)
      yield { text, isCode: false }
      code = isComment(text) ? code : `${code}'`
      at += length
      continue
    }
    if (char === '{') depth += 1
    if (char === '}') depth -= 1
    code = (code + char).slice(-40)
    yield { text: char, isCode: true }
    at += 1
  }
}

/** The length of the comment, string, template or regular expression that begins here, or 0. */
function opaqueLength(source: string, at: number, before: string): number {
  const rest = source.slice(at)
  switch (rest.charAt(0)) {
    case "'":
    case '"':
      return /^(['"])(?:\\.|(?!\1)[^\\\n])*\1?/s.exec(rest)?.[0].length ?? 0
    case '`':
      return templateLength(source, at)
    case '/':
      return (
        /^(?:\/\/[^\n]*|\/\*.*?(?:\*\/|$))/s.exec(rest)?.[0].length ??
        (mayBeginRegex(before) ? regexLength(rest) : 0)
      )
    default:
      return 0
  }
}

/** From a backtick or a hole's `}` to the closing backtick or the next `${`, both included. */
function templateLength(source: string, at: number): number {
  return /^.(?:\\.|(?!\$\{)[^\\`])*(?:`|\$\{|$)/s.exec(source.slice(at))?.[0].length ?? 0
}

function regexLength(rest: string): number {
  return /^\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/\w*/.exec(rest)?.[0].length ?? 0
}

/** After a value a slash divides; after an operator or a keyword it begins a regular expression. */
function mayBeginRegex(before: string): boolean {
  return /(?:^|[^\w$)\]}'.]|\b(?:return|typeof|case|in|of|void|throw|await|yield|else))$/.test(
    before.trimEnd(),
  )
}

function isComment(text: string): boolean {
  return text.startsWith('//') || text.startsWith('/*')
}

/** Keeps line breaks, and the quotes of a string so that its place can still be found. */
function blank(text: string): string {
  if (isComment(text)) return text.replace(/[^\n]/g, ' ')
  const inside = text.slice(1, -1).replace(/[^\n]/g, ' ')
  return text.length < 2 ? text : text.charAt(0) + inside + text.slice(-1)
}
