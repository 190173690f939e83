/**
 * The arrows of DESIGN.md, "The house", as a pure function over source files.
 *
 * Tests (`*.test.ts`, `testing.ts` beside them, and `e2e/`) may import anything: they are not judged, only
 * their names are; nothing else may import them. A type-only import is an arrow like any other,
 * since a room that knows another's types knows the other.
 */
import { posix } from 'node:path'
import { codeOf, type Import, importsOf, lineAt } from './source-text.ts'

export type SourceFile = {
  /** From the root of the repo, with forward slashes. */
  readonly path: string
  readonly source: string
}

export type Violation = {
  readonly path: string
  readonly line: number
  readonly message: string
}

/**
 * Lowest first: a file may import its own layer and those above it in this table. An entry is a
 * file without `.ts` or a folder; the longest entry that fits counts (`proxy/target` before `proxy`).
 * In a room of several layers every file is named, so that a new one needs a decision.
 */
const layers: Readonly<Record<string, readonly string[]>> = {
  words: ['words', 'errors', 'secret', 'config', 'reservoir'],
  catalogue: [
    'catalog/provider',
    'catalog/auth',
    'catalog/endpoint',
    'catalog/limits',
    'catalog/path-tree',
    'catalog/vocabulary',
  ],
  rules: [
    'policy',
    'inject',
    'vault/seal',
    'vault/aes-gcm',
    'vault/base64url',
    'vault/show-once',
    'audit/record',
    'audit/tree',
    'audit/checkpoint',
    'audit/verify',
    'proxy/target',
    'proxy/compose',
    'proxy/headers',
    'proxy/parameters',
    'proxy/form',
    'proxy/json',
    'proxy/percent',
    'proxy/escapes',
    'proxy/links',
    'proxy/too-many',
    'limits/chunk',
    'limits/fair-share',
    'limits/refusals',
    'limits/share-out',
  ],
  store: ['store'],
  deeds: [
    'catalog/load',
    'catalog/check',
    'catalog/case',
    'vault/keys',
    'vault/key-file',
    'vault/local-root-key',
    'audit/append',
    'audit/coalesce',
    'audit/boots',
    'audit/sequence',
    'audit/sequencer',
    'connections',
    'limits',
    'tokens',
  ],
  doors: ['proxy', 'tokens/exchange', 'admin', 'hub', 'mcp', 'cli'],
  app: ['app', 'listen', 'rooms'],
  main: ['main'],
}

const layerNames = Object.keys(layers)
const gatewaySource = 'packages/gateway/src/'

/** The one door that may import others: /mcp calls their functions, never HTTP to itself. */
const mcpMayImport = ['proxy', 'tokens']

const badNames = /^(?:utils?|helpers?|common|shared|types|services|managers?)$/

/** Promises beyond the layers: what may appear in the code of which files alone. */
const reserved: readonly {
  readonly pattern: RegExp
  readonly only: readonly string[]
  readonly message: string
}[] = [
  {
    pattern: /\bprocess\s*(?:\?\.|\.|\[)\s*(?:env\b|')|\benv\b[^{}]*\}\s*=\s*process\b/g,
    only: ['main'],
    message: 'only main.ts reads process.env',
  },
  {
    pattern: /\.\s*reveal\b/g,
    only: ['inject', 'vault', 'connections'],
    message: '.reveal() appears in inject, vault and connections alone',
  },
  {
    // The CLI is a process of its own and talks to gateways, not to providers. A method of that
    // name (`app.fetch(request)`) opens no socket.
    pattern: /(?:(?<![.\w$])|\bglobalThis\s*\.\s*)fetch\s*\(/g,
    only: ['proxy/forward', 'connections', 'cli'],
    message: 'only proxy/forward.ts and connections/ send requests to providers',
  },
]

/**
 * Modules that can open a socket to a provider. Our reading: `node:http` is free for doors and app,
 * which listen with it, and for the CLI, which reaches the admin socket with it; providers are TLS.
 * Types and the functions that only judge an address open nothing.
 */
const socketModules: readonly { readonly module: RegExp; readonly only: readonly string[] }[] = [
  {
    module: /^(?:undici(?:\/.*)?|(?:node:)?(?:net|tls|https|http2|dgram))$/,
    only: ['proxy/forward', 'connections'],
  },
  {
    module: /^(?:node:)?http$/,
    only: [...(layers.doors ?? []), ...(layers.app ?? []), 'connections', 'main'],
  },
]
const opensNothing =
  /^\s*\{(?:\s*(?:type\s+\w+|isIP(?:v4|v6)?|BlockList|SocketAddress)\s*,?)+\s*\}\s*$/

/** Judges all files together; an empty answer means that every arrow points the right way. */
export function checkArrows(files: readonly SourceFile[]): readonly Violation[] {
  const judged = files.filter(({ path }) => !isTest(path))
  return [
    ...files.flatMap(checkName),
    ...judged.flatMap(checkTestImports),
    ...judged.flatMap(checkPackageBorder),
    ...judged.filter(({ path }) => path.startsWith(gatewaySource)).flatMap(checkGatewayFile),
    ...checkCycles(judged),
  ]
}

function checkName({ path }: SourceFile): Violation[] {
  const bad = path.split('/').find((part) => badNames.test(part.replace(/\..*$/, '')))
  return bad === undefined ? [] : [{ path, line: 1, message: `"${bad}" names no thing` }]
}

function checkTestImports({ path, source }: SourceFile): Violation[] {
  return importsOf(source)
    .filter(({ specifier }) => isTest(specifier))
    .map(({ specifier, line }) => ({ path, line, message: `imports a test (${specifier})` }))
}

/** Test code; it is not published either. All of `e2e/` is. */
export function isTest(path: string): boolean {
  return /(?:\.test|(?:^|\/)testing)\.tsx?$|(?:^|\/)e2e\//.test(path)
}

function checkPackageBorder({ path, source }: SourceFile): Violation[] {
  const home = packageOf(path)
  if (home === undefined) return []
  return importsOf(source)
    .filter(({ specifier }) =>
      isRelative(specifier)
        ? packageOf(resolve(path, specifier)) !== home
        : /^(?:@okoro\/[^/]+|okoro)\/(?:src|dist)\b/.test(specifier),
    )
    .map(({ specifier, line }) => ({
      path,
      line,
      message: `imports the inside of another package (${specifier})`,
    }))
}

function packageOf(path: string): string | undefined {
  return /^packages\/[^/]+(?=\/)/.exec(path)?.[0]
}

function checkGatewayFile(file: SourceFile): Violation[] {
  const name = gatewayName(file.path)
  const place = placeOf(name)
  if (place === undefined) {
    return [
      { ...at(file, 0), message: `no layer is written down for ${name}: see scripts/arrows.ts` },
    ]
  }
  const imports = importsOf(file.source)
  return [
    ...imports.flatMap((each) => checkArrow(file.path, place, each)),
    ...imports.flatMap((each) => checkModule(file.path, name, each)),
    ...checkReserved(file, name),
  ]
}

type Place = { readonly room: string; readonly layer: number }

function placeOf(name: string): Place | undefined {
  const entries = layerNames.flatMap((layer, index) =>
    (layers[layer] ?? []).map((entry) => ({ entry, layer: index })),
  )
  const [best] = entries
    .filter(({ entry }) => isWithin(name, [entry]))
    .sort((a, b) => b.entry.length - a.entry.length)
  return best && { room: name.split('/', 1)[0] ?? name, layer: best.layer }
}

function checkArrow(path: string, from: Place, { specifier, line }: Import): Violation[] {
  if (!isRelative(specifier)) return []
  const target = resolve(path, specifier)
  const to = target.startsWith(gatewaySource) ? placeOf(gatewayName(target)) : undefined
  const wrong = to && wrongArrow(from, to)
  return wrong ? [{ path, line, message: `${wrong} (imports ${gatewayName(target)})` }] : []
}

function wrongArrow(from: Place, to: Place): string | undefined {
  if (from.room === 'store' && to.room === 'vault') return 'store never imports vault'
  if (to.layer > from.layer) {
    return `${layerNames[from.layer]} never import ${layerNames[to.layer]}`
  }
  const isBetweenDoors = layerNames[to.layer] === 'doors' && to.layer === from.layer
  if (!isBetweenDoors || from.room === to.room) return undefined
  if (from.room === 'mcp' && mcpMayImport.includes(to.room)) return undefined
  return 'no door imports a door'
}

function checkModule(
  path: string,
  name: string,
  { specifier, line, ...each }: Import,
): Violation[] {
  const message = `imports ${specifier}`
  if (/^(?:node:)?process$/.test(specifier) && name !== 'main') {
    return [{ path, line, message: `only main.ts reads process.env (${message})` }]
  }
  const rule = socketModules.find(({ module }) => module.test(specifier))
  if (!rule || each.isTypeOnly || isWithin(name, rule.only)) return []
  if (opensNothing.test(each.clause)) return []
  return [{ path, line, message: `only ${rule.only.join(', ')} may open sockets (${message})` }]
}

function checkReserved(file: SourceFile, name: string): Violation[] {
  const code = codeOf(file.source)
  return reserved
    .filter(({ only }) => !isWithin(name, only))
    .flatMap(({ pattern, message }) =>
      [...code.matchAll(pattern)].map(({ index }) => ({ ...at(file, index), message })),
    )
}

/** One violation per cycle, at the file of it that comes first. */
function checkCycles(files: readonly SourceFile[]): Violation[] {
  const known = new Set(files.map(({ path }) => path))
  const arrows = new Map(
    files.map(({ path, source }) => [
      path,
      importsOf(source)
        .filter(({ specifier }) => isRelative(specifier))
        .map(({ specifier }) => resolve(path, specifier))
        .filter((target) => known.has(target)),
    ]),
  )
  const found: Violation[] = []
  const done = new Set<string>()
  function walk(path: string, trail: readonly string[]): void {
    const start = trail.indexOf(path)
    if (start >= 0) {
      const circle = [...trail.slice(start), path].join(' → ')
      found.push({ path, line: 1, message: `imports run in a circle: ${circle}` })
    }
    if (start >= 0 || done.has(path)) return
    for (const target of arrows.get(path) ?? []) walk(target, [...trail, path])
    done.add(path)
  }
  for (const path of [...known].sort()) walk(path, [])
  return found
}

function isWithin(name: string, entries: readonly string[]): boolean {
  return entries.some((entry) => name === entry || name.startsWith(`${entry}/`))
}

function gatewayName(path: string): string {
  return path.slice(gatewaySource.length).replace(/\.[cm]?tsx?$/, '')
}

function isRelative(specifier: string): boolean {
  return /^\.{1,2}(?:\/|$)/.test(specifier)
}

function resolve(path: string, specifier: string): string {
  return posix.join(posix.dirname(path), specifier)
}

function at({ path, source }: SourceFile, offset: number): Pick<Violation, 'path' | 'line'> {
  return { path, line: lineAt(source, offset) }
}
