import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { suite, test } from 'node:test'
import { Malfunction } from '../errors.ts'
import { Secret } from '../secret.ts'
import { localRootKey, parseRootKey } from './local-root-key.ts'

/** Its base64 has every character in which the two alphabets differ, and padding. */
const key = Buffer.from('fbff'.repeat(16), 'hex')

suite('a root key', () => {
  const spellings = {
    base64: key.toString('base64'),
    'base64 without padding': key.toString('base64').replace('=', ''),
    base64url: key.toString('base64url'),
    'lower-case hex': key.toString('hex'),
    'upper-case hex': key.toString('hex').toUpperCase(),
    'base64 and the line end of a file': `${key.toString('base64')}\n`,
  }
  for (const [name, text] of Object.entries(spellings)) {
    test(`is read from ${name}`, () => {
      assert.deepEqual(parseRootKey(new Secret(text), 'OKORO_MASTER_KEY').reveal(), key)
    })
  }

  const mistakes = {
    'an empty text': '',
    'a password': 'correct horse battery staple',
    '16 bytes': randomBytes(16).toString('base64'),
    '33 bytes': randomBytes(33).toString('base64'),
    '63 hex digits': key.toString('hex').slice(1),
    'base64 with stray last bits': `${key.toString('base64').slice(0, 42)}B=`,
    'two keys': `${key.toString('base64')} ${key.toString('base64')}`,
  }
  for (const [name, text] of Object.entries(mistakes)) {
    test(`is refused from ${name}, without showing it`, () => {
      const read = () => parseRootKey(new Secret(text), 'OKORO_MASTER_KEY')
      assert.throws(read, (error: unknown) => {
        assert.ok(error instanceof Malfunction)
        assert.match(error.message, /^OKORO_MASTER_KEY holds no root key: .*openssl rand/)
        assert.ok(text === '' || !error.message.includes(text))
        return true
      })
    })
  }

  test('is named by a hash that starts like no other hash of it', () => {
    const { keyId } = localRootKey(new Secret(key), randomBytes)
    const expected = createHash('sha256').update('okoro root key id').update(Buffer.of(0))
    assert.equal(keyId, expected.update(key).digest('hex').slice(0, 16))
    assert.ok(!createHash('sha256').update(key).digest('hex').startsWith(keyId))
  })
})
