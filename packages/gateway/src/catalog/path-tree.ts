import { mistake } from './vocabulary.ts'

/**
 * Path templates, compiled once into a tree of segments. `{name}` captures one non-empty segment
 * without a `:`, `{name}:verb` one with exactly that suffix (so that a capture never swallows a
 * verb that no rule knows), `**` at the end everything below, and `{+name}` the same by a name (RFC
 * 6570, section 3.2.3). A literal wins over a capture, and a capture over everything below, segment
 * by segment from the left. A look-up visits each node at most once and compiles nothing: its cost
 * does not grow with the number of templates beside the path.
 */
export class PathTree<T extends object> {
  readonly #root: Node<T> = emptyNode()

  /** The value at `template`, made by `make` when the template is new. */
  at(template: string, make: () => T): T {
    const segments = template.split('/').slice(1)
    const tail = isTail.exec(segments.at(-1) ?? '')
    if (!tail) {
      const node = this.#grow(segments, template)
      node.value ??= make()
      return node.value
    }
    const node = this.#grow(segments.slice(0, -1), template)
    node.below ??= { value: make(), isCaptured: tail[1] !== undefined }
    return node.below.value
  }

  /** The value whose template fits, with the captured segments as they stand in the path. */
  match(path: string): PathMatch<T> | null {
    const captures: string[] = []
    const value = descend(this.#root, path.split('/'), 1, captures)
    return value && { value, captures }
  }

  #grow(segments: readonly string[], template: string): Node<T> {
    return segments.reduce((node, segment) => branch(node, segment, template), this.#root)
  }
}

export type PathMatch<T> = { readonly value: T; readonly captures: readonly string[] }

/** The names that a template captures, in the order of its segments. */
export const captureNames = (template: string): string[] =>
  [...template.matchAll(/\{\+?([a-z0-9_]+)\}/g)].map(([, name = '']) => name)

/** `**`, or `{+name}`: everything below. */
const isTail = /^(?:\*\*|\{\+([a-z0-9_]+)\})$/

type Node<T> = {
  readonly literals: Map<string, Node<T>>
  /** `{name}:verb`, by verb. */
  readonly verbs: Map<string, Node<T>>
  capture: Node<T> | null
  /** What ends here. */
  value: T | null
  /** What everything below stands for. */
  below: { readonly value: T; readonly isCaptured: boolean } | null
}

const emptyNode = <T>(): Node<T> => ({
  literals: new Map(),
  verbs: new Map(),
  capture: null,
  value: null,
  below: null,
})

const capturing = /^\{[a-z0-9_]+\}(?::([A-Za-z]+))?$/

function branch<T>(node: Node<T>, segment: string, template: string): Node<T> {
  const capture = capturing.exec(segment)
  if (capture?.[1] !== undefined) return child(node.verbs, capture[1])
  if (capture) {
    node.capture ??= emptyNode()
    return node.capture
  }
  if (/[{}]/.test(segment))
    mistake(`path ${template}`, 'a capture is a whole segment: {name}, or {+name} at the end')
  if (segment === '**') mistake(`path ${template}`, '** stands only at the end')
  return child(node.literals, segment)
}

function child<T>(children: Map<string, Node<T>>, key: string): Node<T> {
  const known = children.get(key)
  if (known) return known
  const node = emptyNode<T>()
  children.set(key, node)
  return node
}

function descend<T>(
  node: Node<T>,
  segments: readonly string[],
  depth: number,
  captures: string[],
): T | null {
  const segment = segments[depth]
  if (segment === undefined) return node.value
  const literal = node.literals.get(segment)
  const found = literal ? descend(literal, segments, depth + 1, captures) : null
  if (found) return found
  const colon = segment.indexOf(':')
  const next = colon === -1 ? node.capture : node.verbs.get(segment.slice(colon + 1))
  if (next && segment !== '' && colon !== 0) {
    captures.push(colon === -1 ? segment : segment.slice(0, colon))
    const value = descend(next, segments, depth + 1, captures)
    if (value) return value
    captures.pop()
  }
  if (!node.below || segments.at(-1) === '') return null
  if (node.below.isCaptured) captures.push(segments.slice(depth).join('/'))
  return node.below.value
}
