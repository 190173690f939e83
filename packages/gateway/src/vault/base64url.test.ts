import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { decodeBase64url } from './base64url.ts'

suite('base64url', () => {
  test('is decoded from its canonical spelling', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const decoded = decodeBase64url(Buffer.from(bytes).toString('base64url'))
        assert.deepEqual(decoded, Buffer.from(bytes))
      }),
    )
  })

  for (const text of ['QQ==', 'QR', 'Q', '+w', '_w ', '\n_w', '_w\u0000', 'Q.Q']) {
    test(`${JSON.stringify(text)} is refused`, () => {
      assert.equal(decodeBase64url(text), null)
    })
  }
})
