import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Failure } from '../terminal/failure.ts'

/** What a demo remembers in `demo.json` (0600), so that the next start goes on with it. */
export type DemoState = {
  /** The credential of the connection is sealed for this port of the sandbox. */
  readonly sandbox_port?: number
  readonly client_secret?: string
  /** The agent's name: another one than `demo` once that was revoked. */
  readonly agent?: string
  readonly service_token?: string
}

const pathOf = (dataDir: string): string => join(dataDir, 'demo.json')

/** Null when this folder never had a demo. */
export function readDemoState(dataDir: string): DemoState | null {
  const path = pathOf(dataDir)
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw new Failure('failed', `${path} can't be read: delete ${dataDir} to begin anew.`)
  }
}

export function writeDemoState(dataDir: string, state: DemoState): void {
  const draft = `${pathOf(dataDir)}.new`
  writeFileSync(draft, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600, flush: true })
  renameSync(draft, pathOf(dataDir))
}
