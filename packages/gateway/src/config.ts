import { resolve } from 'node:path'
import { parse as parseYaml } from 'yaml'
import type { z } from 'zod'
import { suggest } from './config/nearest.ts'
import {
  type AnySetting,
  type Env,
  isSecretSetting,
  type Machine,
  type SettingKey,
  settingFlag,
  settingKeys,
  settingName,
  settings,
  settingVariable,
} from './config/settings.ts'

type Parsed<K extends SettingKey> = z.output<(typeof settings)[K]['parse']>
type Values = {
  readonly [K in SettingKey]: (typeof settings)[K]['fallback'] extends null
    ? Parsed<K> | null
    : Parsed<K>
}

/** `publicUrl` has no trailing slash; port 0 in it stands for the one that the system will give. */
export type Config = Omit<Values, 'publicUrl'> & { readonly publicUrl: string }

/** Where a value came from: a flag, a variable, a file or `default`. */
export type Sources = Readonly<Record<SettingKey, string>>

export type LoadedConfig =
  | {
      readonly kind: 'config'
      readonly config: Config
      readonly sources: Sources
      /** The okoro.yaml that was read; null when there was none. */
      readonly file: string | null
      /** Nothing wrong, but probably not what was meant: one line each. */
      readonly warnings: readonly string[]
    }
  /** All of them at once, one line each. */
  | { readonly kind: 'problems'; readonly problems: readonly string[] }

export type ConfigInput = Machine & {
  /** By setting key; secrets are never among them. */
  readonly flags: Readonly<Partial<Record<SettingKey, string>>>
  /** Path of okoro.yaml when it was named with `--config`; null to read none at all. */
  readonly configFile?: string | null | undefined
  /** The text of a file, or null when there is none. */
  readonly readFile: (path: string) => string | null
}

/** The file that is read when neither `--config` nor `OKORO_CONFIG` names one. */
export const defaultConfigFile = ({ env, home }: Machine): string =>
  resolve(env.XDG_CONFIG_HOME || `${home}/.config`, 'okoro', 'okoro.yaml')

/**
 * Puts the settings together: flag, then environment, then okoro.yaml, then default. okoro.yaml is
 * never looked for in the working folder, which may be an agent's.
 */
export function loadConfig(input: ConfigInput): LoadedConfig {
  const problems: string[] = []
  const file = readSettingsFile(input, problems)
  const values: Record<string, unknown> = {}
  const sources: Record<string, string> = {}
  for (const key of settingKeys) {
    const given = findSetting(key, { ...input, file, problems })
    sources[key] = given.source
    values[key] = parseSetting(key, given, problems)
  }
  if (problems.length > 0) return { kind: 'problems', problems }
  const parsed = values as Values
  const config = { ...parsed, publicUrl: parsed.publicUrl ?? listenUrl(parsed.host, parsed.port) }
  return {
    ...{ kind: 'config', config, sources: sources as Sources },
    ...{ file: file.wasRead ? file.path : null, warnings: warningsOf(input.env) },
  }
}

/** `http://<host>:<port>` as a browser on this machine can open it. */
export function listenUrl(host: string, port: number): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`
}

type Given = { readonly value: string | null; readonly source: string }
type Reading = ConfigInput & { readonly file: SettingsFile; readonly problems: string[] }
type SettingsFile = {
  readonly path: string
  readonly wasRead: boolean
  readonly values: Readonly<Record<string, string>>
}

function readSettingsFile(input: ConfigInput, problems: string[]): SettingsFile {
  const named = input.configFile ?? input.env.OKORO_CONFIG
  const path = resolve(named ?? defaultConfigFile(input))
  const none = { path, wasRead: false, values: {} }
  if (input.configFile === null) return none
  const content = readText(input, path, problems)
  if (content === undefined) return none
  if (content === null) {
    if (named !== undefined) problems.push(`${path}: there is no such file (named as okoro.yaml)`)
    return none
  }
  try {
    return { path, wasRead: true, values: settingsIn(parseYaml(content), path, problems) }
  } catch (error) {
    problems.push(`${path}: ${firstLine(error)}`)
    return none
  }
}

function settingsIn(document: unknown, path: string, problems: string[]): Record<string, string> {
  if (document === null || document === undefined) return {}
  if (typeof document !== 'object' || Array.isArray(document)) {
    problems.push(`${path}: is no list of settings such as "port: 8420"`)
    return {}
  }
  const names = namesInFile()
  const values: Record<string, string> = {}
  for (const [name, value] of Object.entries(document)) {
    if (!names.includes(name)) {
      problems.push(`${path}: there is no setting "${name}"${suggest(name, names)}`)
    } else if (value !== null && typeof value === 'object') {
      problems.push(`${path}: ${name} is no single value`)
    } else if (value !== null) {
      values[name] = String(value)
    }
  }
  return values
}

type Place = {
  readonly value: string | undefined
  readonly source: string
  readonly isPath: boolean
}

/** Environment, then okoro.yaml; a secret stands in either as itself or as the path of its file. */
function placesOf(key: SettingKey, env: Env, file: SettingsFile): readonly (readonly Place[])[] {
  const variable = settingVariable(key)
  const name = settingName(key)
  const variableOfPath = isSecretSetting(key) ? env[`${variable}_FILE`] : undefined
  return [
    [
      { value: env[variable], source: variable, isPath: false },
      { value: variableOfPath, source: `${variable}_FILE`, isPath: true },
    ],
    [
      { value: file.values[name], source: `${name} in ${file.path}`, isPath: false },
      { value: file.values[`${name}_file`], source: `${name}_file in ${file.path}`, isPath: true },
    ],
  ]
}

function findSetting(key: SettingKey, reading: Reading): Given {
  const flag = reading.flags[key]
  if (flag !== undefined) return { value: flag, source: settingFlag(key) ?? 'flag' }
  for (const places of placesOf(key, reading.env, reading.file)) {
    // An empty variable is what shells and compose files make of an unset one.
    const [first, second] = places.filter(({ value }) => value !== undefined && value !== '')
    if (first && second) {
      const both = `${first.source} and ${second.source}`
      reading.problems.push(`${settingName(key)}: both ${both} are set; keep one`)
    }
    if (first) return takeSetting(key, first, reading)
  }
  return { value: fallbackOf(key, reading), source: 'default' }
}

function takeSetting(
  key: SettingKey,
  { value = '', source, isPath }: Place,
  reading: Reading,
): Given {
  if (!isPath) return { value, source }
  const content = readText(reading, value, reading.problems)
  const name = settingName(key)
  if (content === null) reading.problems.push(`${name} (from ${source}): there is no file ${value}`)
  return { value: content?.trim() ?? null, source }
}

function parseSetting(key: SettingKey, { value, source }: Given, problems: string[]): unknown {
  if (value === null) return null
  const result = settings[key].parse.safeParse(value)
  if (result.success) return result.data
  const shown = isSecretSetting(key) ? '' : ` "${value}"`
  const reason = result.error.issues[0]?.message ?? 'is not valid'
  problems.push(`${settingName(key)}${shown} (from ${source}) ${reason}`)
  return null
}

function fallbackOf(key: SettingKey, machine: Machine): string | null {
  const { fallback }: AnySetting = settings[key]
  return typeof fallback === 'function' ? fallback(machine) : fallback
}

/** undefined when it could not be read; the problem has been noted then. */
function readText(input: ConfigInput, path: string, problems: string[]): string | null | undefined {
  try {
    return input.readFile(path)
  } catch (error) {
    problems.push(`${path}: cannot be read: ${firstLine(error)}`)
    return undefined
  }
}

/** Variables of ours that are no settings: the agent side, and what single commands ask for. */
const otherVariables = [
  'OKORO_CONFIG',
  'OKORO_URL',
  'OKORO_SERVICE_TOKEN',
  'OKORO_SERVICE_TOKEN_FILE',
  'OKORO_CLIENT_SECRET',
  'OKORO_CLIENT_SECRET_FILE',
  'OKORO_CREDENTIAL',
  'OKORO_CREDENTIAL_FILE',
]

function warningsOf(env: Env): string[] {
  const known = [...otherVariables, ...settingKeys.flatMap(variablesOf)]
  return Object.keys(env)
    .filter((name) => name.startsWith('OKORO_') && !known.includes(name))
    .map((name) => `${name} is set, but okoro knows no such variable${suggest(name, known)}`)
}

const variablesOf = (key: SettingKey): string[] =>
  isSecretSetting(key)
    ? [settingVariable(key), `${settingVariable(key)}_FILE`]
    : [settingVariable(key)]

const namesInFile = (): string[] =>
  settingKeys.flatMap((key) =>
    isSecretSetting(key) ? [settingName(key), `${settingName(key)}_file`] : [settingName(key)],
  )

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return message.split('\n', 1)[0]?.replace(/:$/, '') ?? message
}
