import {
  isSecretSetting,
  type SettingKey,
  settingFlag,
  settingKeys,
  settingName,
  settings,
  settingVariable,
} from '../config/settings.ts'
import type { AddCommand, LoadedSettings } from './session.ts'

export const addConfig: AddCommand = (command, session) => {
  command
    .addHelpText(
      'after',
      `
A flag wins over the environment, that over okoro.yaml, that over the default. Secrets are never
flags: give them as OKORO_NAME, as a file in OKORO_NAME_FILE, or as name_file in okoro.yaml.

Examples:
  $ okoro config
  $ okoro config --port 9000
  $ okoro config --json`,
    )
    .action(() => {
      const loaded = session.settings()
      const { output } = session
      if (output.isJson) return output.json(settingKeys.map((key) => entryOf(key, loaded)))
      output.note(`Settings file: ${loaded.file ?? 'none'}\n`)
      output.table(
        ['SETTING', 'VALUE', 'FROM', 'WHAT IT IS'],
        settingKeys.map((key) => {
          const { name, value, source, about } = entryOf(key, loaded)
          return [name, value, source, about]
        }),
      )
    })
}

function entryOf(key: SettingKey, { config, sources }: LoadedSettings) {
  const value = config[key]
  return {
    name: settingName(key),
    value: value !== null && isSecretSetting(key) ? '[redacted]' : shown(value),
    source: sources[key],
    flag: settingFlag(key),
    variable: settingVariable(key),
    about: settings[key].about,
  }
}

function shown(value: unknown): string | number | null {
  if (value === null || typeof value === 'number') return value
  if (value instanceof Map) return [...value].map(([name, url]) => `${name}=${url}`).join(',')
  return String(value)
}
