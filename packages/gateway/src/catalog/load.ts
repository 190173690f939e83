import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { z } from 'zod'
import { Malfunction } from '../errors.ts'
import { compileProvider, type Provider, providerFile } from './provider.ts'

export type Catalog = {
  readonly providers: ReadonlyMap<string, Provider>
  /** SHA-256, hex, over the names and digests of all providers. */
  readonly digest: string
}

/**
 * Reads every provider folder in `dirs`. A later directory may add providers, but not replace one:
 * that throws a Malfunction, as every mistake in a file does, with the file's path in the message.
 * `sandboxes` is name → origin.
 */
export async function loadCatalog(
  dirs: readonly string[],
  sandboxes: ReadonlyMap<string, string>,
): Promise<Catalog> {
  const providers = new Map<string, Provider>()
  for (const folder of (await Promise.all(dirs.map(foldersIn))).flat()) {
    const provider = await readProvider(folder, sandboxes.get(basename(folder)))
    if (providers.has(provider.name)) fail(folder, `there is another provider ${provider.name}`)
    providers.set(provider.name, provider)
  }
  for (const name of sandboxes.keys()) {
    if (!providers.has(name)) fail('the sandbox setting', `there is no provider ${name}`)
  }
  return { providers, digest: digestOf(providers) }
}

/** Reads, validates and compiles one provider folder. */
export async function readProvider(folder: string, sandbox?: string): Promise<Provider> {
  const path = join(folder, 'provider.yaml')
  const file = providerFile.safeParse(await readYaml(path))
  if (!file.success) fail(path, z.prettifyError(file.error))
  if (file.data.name !== basename(folder)) fail(path, `name is not the folder's name`)
  try {
    return compileProvider(file.data, sandbox === undefined ? {} : { sandbox })
  } catch (error) {
    if (!(error instanceof Malfunction)) throw error
    fail(path, error.message)
  }
}

/** YAML 1.2, each key once. The parser is loaded when it is first needed. */
export async function readYaml(path: string): Promise<unknown> {
  const { parse } = await import('yaml')
  const text = await readFile(path, 'utf8').catch((error: Error) => fail(path, error.message))
  try {
    return parse(text, { uniqueKeys: true, maxAliasCount: 100 })
  } catch (error) {
    fail(path, error instanceof Error ? error.message : String(error))
  }
}

/** In order of their names. Files and hidden folders are none of ours. */
async function foldersIn(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { withFileTypes: true }).catch((error: Error) =>
    fail(dir, error.message),
  )
  return entries
    .filter((entry) => !entry.isFile() && !entry.name.startsWith('.'))
    .map((entry) => join(dir, entry.name))
    .sort()
}

function digestOf(providers: ReadonlyMap<string, Provider>): string {
  const lines = [...providers.values()].map(({ name, digest }) => `${name} ${digest}\n`).sort()
  return createHash('sha256').update(lines.join('')).digest('hex')
}

function fail(where: string, what: string): never {
  throw new Malfunction('internal_error', `${where}: ${what}`)
}
