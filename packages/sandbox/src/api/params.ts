import type { Params } from '../http/request.ts'

/** Reads one parameter; `undefined` in means that it was not sent. Null says badly typed. */
export type Param<T> = (text: string | undefined) => { readonly value: T } | null

/** How to read the parameters that become these values. */
export type Shape<Values> = { readonly [Name in keyof Values]: Param<Values[Name]> }

/** Returns null for a text that is not of this kind. */
export type Kind<T> = (text: string) => T | null

export function required<T>(kind: Kind<T>): Param<T> {
  return (text) => (text === undefined ? null : wrap(kind(text)))
}

export function optional<T>(kind: Kind<T>): Param<T | undefined> {
  return (text) => (text === undefined ? { value: undefined } : wrap(kind(text)))
}

export type Read<Values> =
  | { readonly ok: true; readonly values: Values }
  | { readonly ok: false; readonly name: string }

/** Reads the parameters of an action; names the first that is missing or badly typed. */
export function readParams<Values>(shape: Shape<Values>, params: Params): Read<Values> {
  const values: Record<string, unknown> = {}
  for (const [name, param] of Object.entries<Param<unknown>>(shape)) {
    const read = param(params.get(name))
    if (read === null) return { ok: false, name }
    values[name] = read.value
  }
  return { ok: true, values: values as Values }
}

/** A whole number from 0 on: epoch seconds, an offset, an id. */
export const whole: Kind<number> = (text) => (/^\d{1,15}$/.test(text) ? Number(text) : null)

export const wholes: Kind<readonly number[]> = (text) => list(text, whole)

export const text: Kind<string> = (value) => (value === '' ? null : value)

export const flag: Kind<boolean> = (value) => {
  if (value === 'true' || value === '1') return true
  return value === 'false' || value === '0' ? false : null
}

export const fieldNames: Kind<readonly string[]> = (value) =>
  list(value, (name) => (/^[a-z0-9_]+$/i.test(name) ? name : null))

/**
 * A calendar day. Live clients send a time behind it (`2021-01-01 00:00:00+00:00`), which is
 * ignored.
 */
export const day: Kind<string> = (value) => {
  const ymd = /^(\d{4}-\d{2}-\d{2})([ T][\d:.]+([+-][\d:]+|Z)?)?$/.exec(value)?.[1]
  if (ymd === undefined) return null
  const date = new Date(`${ymd}T00:00:00Z`)
  return Number.isNaN(date.getTime()) || !date.toISOString().startsWith(ymd) ? null : ymd
}

function list<T>(value: string, kind: Kind<T>): readonly T[] | null {
  const items = value.split(',').map((item) => kind(item.trim()))
  return items.every((item) => item !== null) ? items : null
}

function wrap<T>(value: T | null): { readonly value: T } | null {
  return value === null ? null : { value }
}
