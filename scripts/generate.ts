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
import { root } from './repo-files.ts'

type Artefact = {
  /** From the root of the repo; its ending decides how it is formatted. */
  readonly path: string
  readonly render: () => Promise<string>
}

/** A new generated file is one line here. */
const artefacts: readonly Artefact[] = [
  { path: 'providers/provider.schema.json', render: async () => jsonSchema(providerFile) },
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

/** As an editor needs it: what a person may write, before defaults are filled in. */
function jsonSchema(schema: z.ZodType): string {
  return JSON.stringify(z.toJSONSchema(schema, { io: 'input' }))
}

/** By Biome where it knows the ending, so that a generated file passes the checks of all others. */
async function format(path: string, content: string): Promise<string> {
  if (!/\.(?:json|ts|css)$/.test(path)) return content
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
