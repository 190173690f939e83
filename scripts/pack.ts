/**
 * `npm run pack:okoro [-- --out DIR]`: builds the tarball that is published as `okoro` and prints
 * its path. What goes into it is staged in build/package, as it will lie in node_modules/okoro.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, glob, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { root } from './repo-files.ts'

/** Workspaces that go along inside the tarball, under their own names. */
const bundled = ['client', 'sandbox'] as const

/** From the root of the repo to the same place in the package. */
const plainParts = ['providers', 'docs', 'README.md', 'LICENSE', 'CHANGELOG.md'] as const

const emitted = join(root, 'build/emit')
const stage = join(root, 'build/package')

type PackageJson = {
  readonly version: string
  readonly exports?: Readonly<Record<string, string>>
  readonly [member: string]: unknown
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { out: { type: 'string', default: 'build' } } })
  const out = resolve(values.out)
  const missing = plainParts.filter((part) => !existsSync(join(root, part)))
  if (missing.length > 0) return fail(`Nothing was packed: ${missing.join(', ')} missing.`)
  await rm(emitted, { recursive: true, force: true })
  await rm(stage, { recursive: true, force: true })
  if (!emit()) return fail('Nothing was packed: the types have errors, see above.')
  await stageGateway()
  for (const name of bundled) await stageBundled(name)
  await mkdir(out, { recursive: true })
  const packed = execFileSync('npm', ['pack', '--silent', '--pack-destination', out], {
    cwd: stage,
    encoding: 'utf8',
  })
  console.log(join(out, packed.trim()))
}

function emit(): boolean {
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  // The client comes last, so that its declarations join the JavaScript of the first run.
  return ['tsconfig.build.json', 'packages/client/tsconfig.build.json'].every((project) => {
    const command = [tsc, '-p', project]
    return spawnSync(process.execPath, command, { cwd: root, stdio: 'inherit' }).status === 0
  })
}

function fail(message: string): void {
  console.error(message)
  process.exitCode = 1
}

async function stageGateway(): Promise<void> {
  await stageSource('gateway', stage)
  await cp(join(root, 'packages/gateway/bin'), join(stage, 'bin'), { recursive: true })
  for (const part of plainParts) {
    await cp(join(root, part), join(stage, part), { recursive: true })
  }
  const manifest = await readManifest('gateway')
  await writeManifest(stage, {
    ...manifest,
    bundleDependencies: bundled.map((name) => `@okoro/${name}`),
    files: ['bin', 'dist', ...plainParts],
  })
}

async function stageBundled(name: string): Promise<void> {
  const folder = join(stage, 'node_modules/@okoro', name)
  await stageSource(name, folder)
  const { exports = {}, ...manifest } = await readManifest(name)
  const built = Object.entries(exports).map(([path, source]) => [path, builtPaths(source, name)])
  await writeManifest(folder, {
    ...manifest,
    exports: Object.fromEntries(built),
    files: ['dist'],
  })
}

/** What tsc emitted, and what the code reads at run time. Examples for tests stay at home. */
async function stageSource(name: string, folder: string): Promise<void> {
  const dist = join(folder, 'dist')
  const source = join(root, 'packages', name, 'src')
  await cp(join(emitted, name, 'src'), dist, { recursive: true })
  for await (const path of glob('**/*.{sql,json,css,html,svg}', { cwd: source })) {
    await cp(join(source, path), join(dist, path))
  }
  await mendDeclarations(dist)
}

/** tsc rewrites `./a.ts` to `./a.js` in JavaScript, but not in declarations. */
async function mendDeclarations(dist: string): Promise<void> {
  for await (const path of glob('**/*.d.ts', { cwd: dist })) {
    const declarations = await readFile(join(dist, path), 'utf8')
    const mended = declarations.replace(/(from '\.{1,2}\/[^']*)\.ts'/g, "$1.js'")
    await writeFile(join(dist, path), mended)
  }
}

function builtPaths(source: string, name: string): Readonly<Record<string, string>> {
  const base = source.replace('./src/', './dist/').replace(/\.ts$/, '')
  const hasTypes = name === 'client'
  return { ...(hasTypes && { types: `${base}.d.ts` }), default: `${base}.js` }
}

async function readManifest(name: string): Promise<PackageJson> {
  return JSON.parse(await readFile(join(root, 'packages', name, 'package.json'), 'utf8'))
}

async function writeManifest(folder: string, manifest: PackageJson): Promise<void> {
  await writeFile(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
}

await main()
