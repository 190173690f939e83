/**
 * Finds the number that a JSON object holds under one of its own (top-level) names, while the
 * bytes stream by: the whole need never be held. Nested members and strings that merely look like
 * it are passed over. A value that is no integer, or a document that is no object, is null.
 */
export class EnvelopeStatus {
  readonly #name: string
  #depth = 0
  #inString = false
  #isEscaped = false
  #text = ''
  #key: string | null = null
  #number = ''
  #value: number | null = null
  #isDone = false

  /** `pointer` is a JSON pointer of one step, as in `/status`. */
  constructor(pointer: string) {
    this.#name = pointer.slice(1)
  }

  /** Null until found, and for ever when it is not there. */
  get value(): number | null {
    return this.#value
  }

  get isDone(): boolean {
    return this.#isDone
  }

  read(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length && !this.#isDone; at += 1) this.#step(chunk[at] ?? 0)
  }

  #step(byte: number): void {
    if (this.#inString) this.#inside(byte)
    else if (byte === quote) this.#open()
    else if (byte === openObject || byte === openArray) this.#depth += 1
    else if (byte === closeObject || byte === closeArray || byte === comma) this.#next(byte)
    else if (this.#depth === 1 && this.#key === this.#name) this.#digit(byte)
  }

  #open(): void {
    this.#inString = true
    this.#text = ''
  }

  #inside(byte: number): void {
    if (this.#isEscaped) this.#isEscaped = false
    else if (byte === backslash) this.#isEscaped = true
    else if (byte === quote) {
      this.#inString = false
      // At depth 1 a string is a name unless one is waiting for its value.
      if (this.#depth === 1 && this.#key === null) this.#key = this.#text
      return
    }
    if (this.#depth === 1 && this.#text.length <= maxName) this.#text += String.fromCharCode(byte)
  }

  #digit(byte: number): void {
    if (byte !== colon && byte > space && this.#number.length < 20) {
      this.#number += String.fromCharCode(byte)
    }
  }

  /** A comma or a closing bracket: the value that was being read is over. */
  #next(byte: number): void {
    if (this.#depth === 1) {
      if (this.#key === this.#name) {
        if (/^-?\d{1,15}$/.test(this.#number)) this.#value = Number(this.#number)
        this.#isDone = true
      }
      this.#key = null
      this.#number = ''
    }
    if (byte !== comma) this.#depth -= 1
    if (this.#depth <= 0) this.#isDone = true
  }
}

const quote = 0x22
const backslash = 0x5c
const openObject = 0x7b
const closeObject = 0x7d
const openArray = 0x5b
const closeArray = 0x5d
const comma = 0x2c
const colon = 0x3a
const space = 0x20
const maxName = 64
