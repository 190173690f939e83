import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { suite, test } from 'node:test'
import { parseDuration } from './duration.ts'
import { collectConstraints, collectNames, parseGrant } from './grant-syntax.ts'
import { createInput } from './input.ts'
import { printable } from './output.ts'

suite('a grant as people type it', () => {
  for (const [text, expected] of [
    ['withings:read', { provider: 'withings', scope: 'read' }],
    ['trello:write@work', { provider: 'trello', scope: 'write', connection: 'work' }],
    [
      'trello:all@my team @ home',
      { provider: 'trello', scope: 'all', connection: 'my team @ home' },
    ],
  ] as const) {
    test(text, () => assert.deepEqual(parseGrant(text), expected))
  }
  for (const text of ['withings', 'withings:', 'withings:admin', ':read', 'withings:read@', '']) {
    test(`"${text}" is none`, () => assert.throws(() => parseGrant(text), /A grant is PROVIDER/))
  }
  test('names come as lists, again and again', () => {
    assert.deepEqual(collectNames('a, b', ['c']), ['c', 'a', 'b'])
  })
  test('a constraint is a name and a value', () => {
    assert.deepEqual(collectConstraints('repo=a=b', { owner: 'c' }), { owner: 'c', repo: 'a=b' })
    assert.throws(() => collectConstraints('repo'), /NAME=VALUE/)
  })
})

suite('a duration', () => {
  for (const [text, seconds] of [
    ['45s', 45],
    ['30m', 1800],
    ['12h', 43_200],
    ['90d', 7_776_000],
  ] as const) {
    test(`${text} is ${seconds} seconds`, () => assert.equal(parseDuration(text), seconds))
  }
  for (const text of ['90', 'd', '1.5h', '-1d', '1w', '']) {
    test(`"${text}" is none`, () => assert.throws(() => parseDuration(text), /a number and a unit/))
  }
})

suite('what is shown of values that agents and providers chose', () => {
  for (const [what, value] of [
    ['an escape sequence', '\x1b[2Jgone'],
    ['a line break', 'one\ntwo'],
    ['a tab', 'one\ttwo'],
    ['text that runs backwards', '\u202Egpj.exe'],
    ['a line separator', 'one\u2028two'],
  ] as const) {
    test(`${what} cannot act on the terminal`, () => {
      assert.match(printable(value), /\uFFFD/)
      assert.doesNotMatch(printable(value), /[\p{Cc}\p{Cf}\p{Zl}]/u)
    })
  }
  test('letters of any language stay', () => assert.equal(printable('Zoë 体重'), 'Zoë 体重'))
  test('nothing is a dash', () => assert.equal(printable(null), '-'))
})

suite('input', () => {
  const typing = () => {
    const raw: boolean[] = []
    const stream = Object.assign(new PassThrough(), {
      isTTY: true,
      setRawMode: (isRaw: boolean) => raw.push(isRaw),
    })
    return { stream, raw }
  }

  test('a hidden line is read in raw mode, with what was erased left out', async () => {
    const { stream, raw } = typing()
    const line = createInput(stream).hiddenLine()
    stream.write('secrex')
    stream.write('\x7ft\r')
    assert.equal(await line, 'secret')
    assert.deepEqual(raw, [true, false])
  })

  test('Ctrl-C ends a hidden line and gives the terminal back', async () => {
    const { stream, raw } = typing()
    const line = createInput(stream).hiddenLine()
    stream.write('sec\x03')
    await assert.rejects(line, /Stopped/)
    assert.deepEqual(raw, [true, false])
  })

  test('lines come one after the other, then nothing', async () => {
    const stream = new PassThrough()
    const input = createInput(stream)
    stream.end('one\n two \n')
    assert.deepEqual(
      [await input.line(), await input.hiddenLine(), await input.line()],
      ['one', 'two', null],
    )
  })

  test('waiting for a line can be given up', async () => {
    const give = new AbortController()
    const line = createInput(new PassThrough()).line(give.signal)
    give.abort()
    assert.equal(await line, null)
  })
})
