/**
 * `npm run generate`: writes every file that is derived from code. With `--check` it writes
 * nothing, names what differs and exits with 1.
 */
import { spawn } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { z } from 'zod'
import { providerFile } from '../packages/gateway/src/catalog/provider.ts'
import {
  type AnySetting,
  isSecretSetting,
  type Machine,
  type SettingKey,
  settingFlag,
  settingKeys,
  settingName,
  settings,
  settingVariable,
} from '../packages/gateway/src/config/settings.ts'
import { errors } from '../packages/gateway/src/errors.ts'
import { root } from './repo-files.ts'

type Artefact = {
  /** From the root of the repo; its ending decides how it is formatted. */
  readonly path: string
  readonly render: () => Promise<string>
}

/** A new generated file is one line here. */
const artefacts: readonly Artefact[] = [
  { path: 'providers/provider.schema.json', render: async () => jsonSchema(providerFile) },
  { path: 'docs/errors.md', render: () => readPage('docs/errors.md').then(errorPage) },
  { path: 'docs/settings.md', render: () => readPage('docs/settings.md').then(settingPage) },
]

/** Paths of the generated files that are missing or differ from what would be generated now. */
export async function findStale(): Promise<readonly string[]> {
  const stale = await Promise.all(
    artefacts.map(async ({ path, render }) => {
      const [now, then] = await Promise.all([
        render().then((content) => format(path, content)),
        readFile(join(root, path), 'utf8').catch(() => undefined),
      ])
      return now === then ? [] : [path]
    }),
  )
  return stale.flat()
}

async function generate(): Promise<void> {
  for (const { path, render } of artefacts) {
    await writeFile(join(root, path), await format(path, await render()))
    console.log(path)
  }
}

const readPage = (path: string): Promise<string> => readFile(join(root, path), 'utf8')

/** As an editor needs it: what a person may write, before defaults are filled in. */
function jsonSchema(schema: z.ZodType): string {
  return JSON.stringify(z.toJSONSchema(schema, { io: 'input' }))
}

// Pages whose tables are derived, and whose prose is not.

/** docs/errors.md: the table of all codes. Throws when a code has no section, or a section no code. */
function errorPage(page: string): string {
  const codes = Object.keys(errors)
  const sections = [...page.matchAll(/^### (\w+)$/gm)].map((match) => match[1] ?? '')
  const odd = codes.filter((code) => !sections.includes(code))
  const dead = sections.filter((name) => !codes.includes(name))
  if (odd.length + dead.length > 0) {
    throw new Error(`docs/errors.md: sections missing: ${odd}; sections of no code: ${dead}`)
  }
  const rows = Object.entries(errors).map(([code, { status, title }]) => [
    `[\`${code}\`](#${code})`,
    `${status}`,
    title,
  ])
  return withTable(page, [['code', 'status', 'title'], ...rows])
}

/** docs/settings.md: the table of all settings. */
function settingPage(page: string): string {
  const rows = settingKeys.map((key) => [
    `\`${settingName(key)}\``,
    variablesOf(key),
    flagOf(key),
    defaultOf(key),
    settings[key].about.replaceAll('<', '\\<'),
  ])
  return withTable(page, [['okoro.yaml', 'environment', 'flag', 'default', 'what it is'], ...rows])
}

const variablesOf = (key: SettingKey): string => {
  const variable = settingVariable(key)
  return isSecretSetting(key) ? `\`${variable}\`, \`${variable}_FILE\`` : `\`${variable}\``
}

function flagOf(key: SettingKey): string {
  const flag = settingFlag(key)
  return flag === null ? 'none: a secret' : `\`${flag}\``
}

const someMachine: Machine = { env: {}, home: '/~', hostname: 'hostname' }

function defaultOf(key: SettingKey): string {
  const { fallback }: AnySetting = settings[key]
  if (fallback === null) return 'unset'
  const text = typeof fallback === 'function' ? fallback(someMachine) : fallback
  return `\`${text.replace('/~/', '~/')}\``
}

const marked = /(<!-- generated: table -->\n)[\s\S]*?(<!-- \/generated -->)/

function withTable(page: string, [head = [], ...rows]: readonly (readonly string[])[]): string {
  if (!marked.test(page)) throw new Error('a page has no place for its table')
  const lines = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |\n`)
  return page.replace(marked, (_, begin, end) => `${begin}\n${lines.join('')}\n${end}`)
}

/** By Biome where it knows the ending, so that a generated file passes the checks of all others. */
async function format(path: string, content: string): Promise<string> {
  if (!/\.(?:json|ts|css|md)$/.test(path)) return content
  const biome = spawn(
    process.execPath,
    [join(root, 'node_modules/@biomejs/biome/bin/biome'), 'format', `--stdin-file-path=${path}`],
    { cwd: root, stdio: ['pipe', 'pipe', 'inherit'] },
  )
  biome.stdin.end(content)
  return text(biome.stdout)
}

async function main(): Promise<void> {
  if (!process.argv.includes('--check')) return generate()
  const stale = await findStale()
  for (const path of stale) console.error(`${path} is out of date: type \`npm run generate\``)
  if (stale.length > 0) process.exitCode = 1
}

if (import.meta.main) await main()
