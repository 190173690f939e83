import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { isRefusal } from '../errors.ts'
import { parseTokenRequest } from './token-request.ts'

const ask = { provider: 'withings', scope: 'read', intent: 'read the weight' }
const parse = (members: object) => parseTokenRequest(JSON.stringify({ ...ask, ...members }))

suite('a token request', () => {
  const accepted: Readonly<Record<string, readonly [object, object]>> = {
    'gets five minutes when it asks for none': [{}, { ttl: 300 }],
    'may ask for 30 seconds': [{ ttl: 30 }, { ttl: 30 }],
    'may ask for 15 minutes': [{ ttl: 900 }, { ttl: 900 }],
    'loses space around its intent': [{ intent: ' \n read it \t' }, { intent: 'read it' }],
    'may have an intent of three characters': [{ intent: '体重！' }, { intent: '体重！' }],
    'counts an emoji as one character': [
      { intent: `${'⚖'.repeat(499)}🏃` },
      { intent: `${'⚖'.repeat(499)}🏃` },
    ],
    'may name rules': [{ actions: ['measure.getmeas'] }, { actions: ['measure.getmeas'] }],
    'may carry the expired token of old clients': [{ refresh_token: 'eyJ' }, {}],
    'may carry what nobody knows': [{ colour: 'blue', toString: 1 }, {}],
  }
  for (const [name, [members, expected]] of Object.entries(accepted)) {
    test(name, () => {
      const parsed = parse(members)
      assert.ok(!isRefusal(parsed), JSON.stringify(parsed))
      assert.partialDeepStrictEqual(parsed, expected)
      assert.ok(!('refresh_token' in parsed) && !('colour' in parsed))
    })
  }

  const refused: Readonly<Record<string, readonly [object, RegExp]>> = {
    'without a provider': [{ provider: undefined }, /^`provider` /],
    'with a number for a provider': [{ provider: 7 }, /^`provider` /],
    'with a level that does not exist': [{ scope: 'admin' }, /^`scope` .*read, write/],
    'with a level in capitals': [{ scope: 'READ' }, /^`scope` /],
    'without an intent': [{ intent: undefined }, /^`intent` /],
    'with a blank intent': [{ intent: ' \n\t ' }, /^`intent` .*3 to 500/],
    'with an intent of two characters': [{ intent: ' ab ' }, /^`intent` .*3 to 500/],
    'with an intent of 501 characters': [{ intent: 'x'.repeat(501) }, /^`intent` .*3 to 500/],
    'with an intent of 10,000 characters': [{ intent: 'x'.repeat(10_000) }, /^`intent` /],
    'with a line break in its intent': [{ intent: 'read\nit' }, /^`intent` .*control/],
    'with a NUL in its intent': [{ intent: 'read\0it' }, /^`intent` .*control/],
    'with an escape sequence in its intent': [{ intent: 'read \u001b[31m' }, /^`intent` .*control/],
    'with a C1 control in its intent': [{ intent: 'read \u009bit' }, /^`intent` .*control/],
    'with half a surrogate pair in its intent': [{ intent: 'read \ud800' }, /^`intent` .*Unicode/],
    'with 29 seconds': [{ ttl: 29 }, /^`ttl` .*30 seconds/],
    'with 901 seconds': [{ ttl: 901 }, /^`ttl` .*900 seconds/],
    'with half a second more': [{ ttl: 60.5 }, /^`ttl` /],
    'with seconds as text': [{ ttl: '60' }, /^`ttl` /],
    'with no action among its actions': [{ actions: [] }, /^`actions` /],
    'with a number among its actions': [{ actions: ['a', 1] }, /^`actions\.1` /],
    'on behalf of someone': [{ on_behalf_of: 'usr_1' }, /^`on_behalf_of` is reserved/],
    'with a subject token': [{ subject_token: null }, /^`subject_token` is reserved/],
    'with an empty connection': [{ connection: '' }, /^`connection` /],
  }
  for (const [name, [members, message]] of Object.entries(refused)) {
    test(`${name} is refused`, () => {
      const parsed = parse(members)
      assert.ok(isRefusal(parsed))
      assert.equal(parsed.code, 'invalid_request')
      assert.match(parsed.message, message)
    })
  }

  for (const body of ['', '{', 'null', '[]', '"withings"', '{"provider":"withings"}{}', '{,}']) {
    test(`that is ${JSON.stringify(body)} is refused`, () => {
      const parsed = parseTokenRequest(body)
      assert.ok(isRefusal(parsed))
      assert.match(parsed.message, /^The body must be a JSON object/)
    })
  }
})
