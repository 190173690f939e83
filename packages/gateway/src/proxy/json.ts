/**
 * JSON as RFC 8259 has it and no wider, for bodies that are judged: a name twice in one object is
 * refused, since readers differ in which one counts, and so is a string that is no Unicode. Numbers
 * keep their source text, since readers differ in how much of it they keep.
 */
export type JsonValue = string | boolean | null | JsonNumber | readonly JsonValue[] | JsonObject

export type JsonObject = ReadonlyMap<string, JsonValue>

export class JsonNumber {
  readonly source: string

  constructor(source: string) {
    this.source = source
  }
}

export const maxJsonDepth = 32

/** Reads the whole text or throws a SyntaxError that says what is wrong and where. */
export function readJson(text: string): JsonValue {
  const reader = new Reader(text)
  const value = reader.value(1)
  reader.end()
  return value
}

const numberGrammar = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y
const simpleEscapes: Readonly<Record<string, string>> = {
  ...{ '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' },
}

class Reader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  value(depth: number): JsonValue {
    if (depth > maxJsonDepth) this.#fail(`nested deeper than ${maxJsonDepth}`)
    this.#space()
    const first = this.#text[this.#at]
    if (first === '{') return this.#object(depth)
    if (first === '[') return this.#array(depth)
    if (first === '"') return this.#string()
    if (first === 't') return this.#word('true', true)
    if (first === 'f') return this.#word('false', false)
    if (first === 'n') return this.#word('null', null)
    return this.#number()
  }

  end(): void {
    this.#space()
    if (this.#at < this.#text.length) this.#fail('something follows the value')
  }

  #object(depth: number): JsonObject {
    const members = new Map<string, JsonValue>()
    this.#at++
    if (this.#takes('}')) return members
    do {
      this.#space()
      if (this.#text[this.#at] !== '"') this.#fail('a member name in quotes is missing')
      const name = this.#string()
      if (members.has(name)) this.#fail(`the name ${JSON.stringify(name)} is there twice`)
      if (!this.#takes(':')) this.#fail('":" is missing')
      members.set(name, this.value(depth + 1))
    } while (this.#takes(','))
    if (!this.#takes('}')) this.#fail('"," or "}" is missing')
    return members
  }

  #array(depth: number): readonly JsonValue[] {
    const items: JsonValue[] = []
    this.#at++
    if (this.#takes(']')) return items
    do items.push(this.value(depth + 1))
    while (this.#takes(','))
    if (!this.#takes(']')) this.#fail('"," or "]" is missing')
    return items
  }

  #string(): string {
    let read = ''
    let from = ++this.#at
    for (;;) {
      const code = this.#text.charCodeAt(this.#at)
      if (code === 0x22) break
      if (!(code >= 0x20)) this.#fail('a string has no end, or a control character in it')
      if (code !== 0x5c) {
        this.#at++
        continue
      }
      read += this.#text.slice(from, this.#at) + this.#escape()
      from = this.#at
    }
    read += this.#text.slice(from, this.#at++)
    if (!read.isWellFormed()) this.#fail('a string contains half of a surrogate pair')
    return read
  }

  #escape(): string {
    const kind = this.#text[this.#at + 1] ?? ''
    if (kind === 'u') {
      const hex = this.#text.slice(this.#at + 2, this.#at + 6)
      if (!/^[0-9A-Fa-f]{4}$/.test(hex)) this.#fail('a \\u escape is incomplete')
      this.#at += 6
      return String.fromCharCode(Number.parseInt(hex, 16))
    }
    const char = simpleEscapes[kind]
    if (char === undefined) this.#fail('a string contains an unknown escape')
    this.#at += 2
    return char
  }

  #number(): JsonNumber {
    numberGrammar.lastIndex = this.#at
    const source = numberGrammar.exec(this.#text)?.[0]
    if (source === undefined) this.#fail('a value is missing')
    this.#at += source.length
    return new JsonNumber(source)
  }

  #word<T extends JsonValue>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) this.#fail('a value is missing')
    this.#at += word.length
    return value
  }

  #takes(char: string): boolean {
    this.#space()
    if (this.#text[this.#at] !== char) return false
    this.#at++
    return true
  }

  #space(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at)
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return
      this.#at++
    }
  }

  #fail(what: string): never {
    throw new SyntaxError(`${what} (at position ${this.#at})`)
  }
}
