import { closeSync, fsyncSync, openSync, rmSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { LoadedSettings } from '../session.ts'
import { type Finding, fail, ok, warn } from './finding.ts'

/** What can be seen of the data folder without opening the gateway. */
export function checkFolder({ config }: LoadedSettings, user: string): readonly Finding[] {
  const { dataDir } = config
  const mode = modeOf(dataDir)
  if (mode === null) {
    return [warn('data folder', `${dataDir} is not there yet`, 'The first `okoro serve` makes it.')]
  }
  return [
    checkMode('data folder', dataDir, mode),
    ...checkKeyFile(config, user),
    ...checkSecretFile(join(dataDir, 'admin.token')),
    checkSync(dataDir),
  ]
}

function checkMode(name: string, path: string, mode: number): Finding {
  if ((mode & 0o077) === 0) return ok(name, `${path} is its owner's alone`)
  const seen = mode.toString(8).padStart(4, '0')
  const command = name === 'data folder' ? `chmod 700 ${path}` : `chmod 600 ${path}`
  return fail(name, `others may look into ${path} (mode ${seen})`, `Run: ${command}`)
}

function checkKeyFile(config: LoadedSettings['config'], user: string): readonly Finding[] {
  if (config.masterKey !== null) return [ok('master key', 'given by OKORO_MASTER_KEY')]
  const path = join(config.dataDir, 'master.key')
  const mode = modeOf(path)
  if (mode === null) return [ok('master key', 'none yet: the first start generates it')]
  return [
    checkMode('master key', path, mode),
    warn(
      'agents',
      `an agent that runs as ${user} can read ${path}, and with it every credential`,
      'Run okoro as a user of its own, so that no agent shares it.',
    ),
  ]
}

function checkSecretFile(path: string): readonly Finding[] {
  const mode = modeOf(path)
  return mode === null ? [] : [checkMode('admin token', path, mode)]
}

/** P1 to P3 stand on it: what is written must still be there after a power cut. */
function checkSync(dataDir: string): Finding {
  const path = join(dataDir, `doctor-${process.pid}`)
  const startedMs = performance.now()
  try {
    const file = openSync(path, 'wx', 0o600)
    writeSync(file, 'okoro doctor')
    fsyncSync(file)
    closeSync(file)
    const tookMs = Math.ceil(performance.now() - startedMs)
    const message = `a write is durable after ${tookMs} ms`
    if (tookMs < 100) return ok('disk', message)
    return warn('disk', message, 'Every call waits for that: a local SSD takes a few ms.')
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return fail('disk', `can't be written: ${why}`, 'Free some space, or mend the disk.')
  } finally {
    rmSync(path, { force: true })
  }
}

/** Permission bits; null when there is no such file. */
function modeOf(path: string): number | null {
  const seen = statSync(path, { throwIfNoEntry: false })
  return seen ? seen.mode & 0o777 : null
}
