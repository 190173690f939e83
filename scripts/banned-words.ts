/**
 * Words that must not be committed, as a pure function: what ties the repo to one machine, and
 * what leaves a test out.
 */
import { codeOf, lineAt } from './source-text.ts'

type Finding = { readonly line: number; readonly message: string }

type Ban = {
  readonly pattern: RegExp
  readonly message: string
  /** All files, unless given. */
  readonly path?: RegExp
  /** Looked for outside strings and comments. */
  readonly isCode?: true
}

const tests = /\.test\.[cm]?[jt]sx?$/

const bans: readonly Ban[] = [
  {
    pattern: /(?<![\w.~}-])\/(?:home|Users)\/(?!<)[\w.-]+|(?<![\w.~}-])\/root\/[\w.-]+/g,
    message: 'a path of one machine',
  },
  {
    pattern: /(?<![\w.~}-])\/work\/(?:main|shared|\.library)\b/g,
    message: 'a path of one machine',
  },
  {
    pattern:
      /\bhttps?:\/\/[^\s"'`/]*(?:registry|artifactory|nexus|verdaccio|npm-?mirror|pypi)[^\s"'`]*/g,
    message: 'the host of a package registry',
  },
  {
    pattern: /"resolved": "https?:/g,
    path: /package-lock\.json$/,
    message: 'the host of a package registry',
  },
  {
    pattern: /\.(?:only|skip|todo)\b(?=\s*\()/g,
    path: tests,
    isCode: true,
    message: 'a test left out',
  },
  {
    pattern: /\b(?:only\s*:\s*true\b|(?:skip|todo)\s*:\s*(?!false\b))/g,
    path: tests,
    isCode: true,
    message: 'a test left out',
  },
]

export function findBannedWords(path: string, content: string): readonly Finding[] {
  return bans
    .filter((ban) => ban.path?.test(path) ?? true)
    .flatMap(({ pattern, message, isCode }) =>
      [...(isCode ? codeOf(content) : content).matchAll(pattern)].map((match) => ({
        line: lineAt(content, match.index),
        message: `${message}: ${match[0]}`,
      })),
    )
}
