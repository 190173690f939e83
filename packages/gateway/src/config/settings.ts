import { hash } from 'node:crypto'
import { resolve } from 'node:path'
import { z } from 'zod'
import { Secret } from '../secret.ts'

/** What a default may depend on; read once, in main.ts. */
export type Machine = {
  readonly env: Env
  readonly home: string
  readonly hostname: string
}

export type Env = Readonly<Record<string, string | undefined>>

type Setting<T, Fallback> = {
  /** Every source gives text: so one parser serves flag, environment and file. */
  readonly parse: z.ZodType<T, string>
  readonly fallback: Fallback
  /** One line for `okoro config`. */
  readonly about: string
  /** Never on the command line, never printed; may be given as a file (`…_FILE`). */
  readonly secret?: true
}

export type AnySetting = Setting<unknown, string | null | ((machine: Machine) => string)>

const text = z.string().min(1, 'is empty')

const path = text
  .refine((value) => !value.startsWith('~'), 'starts with ~, which only a shell expands')
  .transform((value) => resolve(value))

const integer = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, `is no whole number from ${min} to ${max}`)
    .transform(Number)
    .refine((value) => value >= min && value <= max, `is no whole number from ${min} to ${max}`)

const host = text.regex(/^[A-Za-z0-9.:_-]+$/, 'is no host name or IP address')

const webUrl = text
  .refine((value) => isWebUrl(value), 'is no http:// or https:// URL')
  .transform((value) => value.replace(/\/+$/, ''))

/** Unix sockets have short paths: 104 bytes with the ending zero on macOS, 108 on Linux. */
const dataFolder = path.refine(
  (value) => Buffer.byteLength(adminSocketPath(value)) < 104,
  'is too long: its admin.sock would not fit into the 103 bytes that a socket path may have',
)

const sandboxes = text.transform((value, context): ReadonlyMap<string, string> => {
  const entries = value.split(',').map((entry) => /^\s*([a-z0-9-]+)=(\S+)\s*$/.exec(entry))
  const origins = new Map<string, string>()
  for (const entry of entries) {
    const [, provider = '', url = ''] = entry ?? []
    if (!isSandboxUrl(url)) {
      context.addIssue('is not like withings=http://127.0.0.1:8422 (plain HTTP on loopback only)')
      return z.NEVER
    }
    origins.set(provider, new URL(url).origin)
  }
  return origins
})

/**
 * Every setting, once. The key gives all its names: `dataDir` is `--data-dir`, `OKORO_DATA_DIR`
 * and `data_dir` in okoro.yaml; a secret has `OKORO_…_FILE` and `…_file` instead of a flag.
 */
export const settings = {
  dataDir: {
    parse: dataFolder,
    fallback: ({ env, home }) => resolve(env.XDG_DATA_HOME || `${home}/.local/share`, 'okoro'),
    about: 'folder of database, master key and admin socket',
  },
  databaseUrl: {
    parse: text.regex(/^postgres(ql)?:\/\//, 'is no postgres:// URL'),
    fallback: null,
    about: 'PostgreSQL instead of the embedded database',
    secret: true,
  },
  masterKey: {
    parse: text.transform((value) => new Secret(value)),
    fallback: null,
    about: 'root key, 32 bytes as base64 or hex; unset: master.key in the data folder',
    secret: true,
  },
  host: { parse: host, fallback: '127.0.0.1', about: 'address that agents reach' },
  port: { parse: integer(0, 65_535), fallback: '8420', about: 'port that agents reach' },
  publicUrl: {
    parse: webUrl,
    fallback: null,
    about: 'URL that agents and browsers use; unset: http://<host>:<port>',
  },
  adminHost: { parse: host, fallback: '127.0.0.1', about: 'address of the admin API' },
  adminPort: { parse: integer(0, 65_535), fallback: '8421', about: 'port of the admin API' },
  adminToken: {
    // Only ever compared with what a caller sends, for which its hash will do.
    parse: text.min(32, 'is shorter than 32 characters').transform(hashOfToken),
    fallback: null,
    about: 'bearer token of the admin API; unset: admin.token in the data folder',
    secret: true,
  },
  providersDir: {
    parse: path,
    fallback: null,
    about: 'folder of providers of your own, beside those that come with okoro',
  },
  sandbox: {
    parse: sandboxes,
    fallback: null,
    about: 'providers that are sent to a sandbox, as in withings=http://127.0.0.1:8422',
  },
  sandboxCa: { parse: path, fallback: null, about: 'PEM file of the CA of a sandbox with TLS' },
  node: {
    parse: text.regex(/^[A-Za-z0-9._-]{1,64}$/, 'is no name of letters, digits, dots and dashes'),
    fallback: ({ hostname }) => hostname.replace(/[^A-Za-z0-9._-]/g, '-').slice(0, 64) || 'node',
    about: 'name of this process in records; its own for each of several nodes',
  },
  logLevel: {
    parse: z.enum(['silent', 'error', 'warn', 'info', 'debug', 'trace'], {
      error: 'is none of silent, error, warn, info, debug, trace',
    }),
    fallback: 'info',
    about: 'how much is logged to standard error',
  },
  agentRate: {
    parse: integer(1, 100_000),
    fallback: '50',
    about: 'calls that one agent may make per second',
  },
  agentBurst: {
    parse: integer(1, 100_000),
    fallback: '100',
    about: 'calls that one agent may make at once before its rate holds',
  },
  agentConcurrency: {
    parse: integer(1, 100_000),
    fallback: '64',
    about: 'calls of one agent that may be under way',
  },
  connectTimeoutSeconds: {
    parse: integer(1, 3600),
    fallback: '5',
    about: 'how long a provider may take to accept a connection',
  },
} as const satisfies Record<string, AnySetting>

export type SettingKey = keyof typeof settings
export const settingKeys = Object.keys(settings) as readonly SettingKey[]

/** `data_dir`: the key in okoro.yaml, from which the other names follow. */
export const settingName = (key: SettingKey): string =>
  key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

export const settingVariable = (key: SettingKey): string =>
  `OKORO_${settingName(key).toUpperCase()}`

/** null for a secret: those never stand on a command line. */
export const settingFlag = (key: SettingKey): string | null =>
  isSecretSetting(key) ? null : `--${settingName(key).replaceAll('_', '-')}`

export const isSecretSetting = (key: SettingKey): boolean => 'secret' in settings[key]

/** Hex SHA-256: a token of 32 characters and more needs no slow hash. */
export function hashOfToken(token: string): string {
  return hash('sha256', token, 'hex')
}

/** Where the CLI and the gateway meet. */
export const adminSocketPath = (dataDir: string): string => `${dataDir}/admin.sock`

function isWebUrl(value: string): boolean {
  const url = URL.parse(value)
  if (!url || !['http:', 'https:'].includes(url.protocol)) return false
  return url.username === '' && url.password === '' && url.search === '' && url.hash === ''
}

function isSandboxUrl(value: string): boolean {
  const url = URL.parse(value)
  if (url?.pathname !== '/') return false
  const isLoopback = /^(127(\.\d+){3}|\[::1\]|localhost)$/.test(url.hostname)
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback)
}
