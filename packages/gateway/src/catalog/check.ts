import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { Malfunction } from '../errors.ts'
import { type Case, type CaseResult, casesFile, runCase } from './case.ts'
import { readProvider, readYaml } from './load.ts'
import type { Provider } from './provider.ts'

export type ProviderCheck = {
  readonly ok: boolean
  /** What is wrong with the folder, one sentence each. */
  readonly findings: readonly string[]
  readonly cases: readonly CaseResult[]
}

/** Validates a provider folder and runs its cases: `okoro providers check DIR`. */
export async function checkProvider(dir: string): Promise<ProviderCheck> {
  try {
    const provider = await readProvider(dir)
    const { clock, cases } = await readCases(dir)
    const results = cases.map((each) => runCase(each, provider, Date.parse(clock)))
    const findings = [...findUntested(provider, cases), ...(await findMissing(dir))]
    const ok = findings.length === 0 && results.every((result) => result.ok)
    return { ok, findings, cases: results }
  } catch (error) {
    if (!(error instanceof Malfunction)) throw error
    return { ok: false, findings: [error.message], cases: [] }
  }
}

/** The cases of a provider folder, in their order. */
export async function readCases(dir: string): Promise<z.output<typeof casesFile>> {
  const path = join(dir, 'cases.yaml')
  const file = casesFile.safeParse(await readYaml(path))
  if (file.success) return file.data
  throw new Malfunction('internal_error', `${path}: ${z.prettifyError(file.error)}`)
}

/** A rule without a case is a guess. */
function findUntested({ rules }: Provider, cases: readonly Case[]): string[] {
  const tested = new Set(cases.map(({ allow }) => allow))
  return rules.filter(({ id }) => !tested.has(id)).map(({ id }) => `no case allows ${id}`)
}

const findMissing = (dir: string): Promise<string[]> =>
  access(join(dir, 'guide.md')).then(
    () => [],
    () => ['guide.md is missing: how does a person connect this?'],
  )
