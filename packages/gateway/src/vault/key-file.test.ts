import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { Malfunction } from '../errors.ts'
import { readKeyFile, writeKeyFile } from './key-file.ts'

const root = mkdtempSync(join(tmpdir(), 'okoro-key-file-'))
after(() => rmSync(root, { recursive: true, force: true }))

suite('the root key file', () => {
  test('is written into a new folder that only its owner may enter', async () => {
    const path = join(root, 'new', 'master.key')
    await writeKeyFile(path, randomBytes)
    assert.equal(statSync(path).mode & 0o777, 0o600)
    assert.equal(statSync(join(root, 'new')).mode & 0o777, 0o700)
    assert.equal((await readKeyFile(path))?.reveal(), readFileSync(path, 'utf8'))
  })

  test('is one whole key when several write it at once, and nothing is left beside it', async () => {
    const path = join(root, 'race', 'master.key')
    await Promise.all(Array.from({ length: 8 }, () => writeKeyFile(path, randomBytes)))
    const text = readFileSync(path, 'utf8')
    assert.equal(Buffer.from(text, 'base64').length, 32)
    await writeKeyFile(path, randomBytes)
    assert.equal(readFileSync(path, 'utf8'), text)
    assert.deepEqual(readdirSync(join(root, 'race')), ['master.key'])
  })

  test('is null when there is none', async () => {
    assert.equal(await readKeyFile(join(root, 'none', 'master.key')), null)
  })

  for (const mode of [0o640, 0o604, 0o620, 0o601]) {
    test(`is refused with mode ${mode.toString(8)}, with the command that mends it`, async () => {
      const path = join(root, `open-${mode}`, 'master.key')
      await writeKeyFile(path, randomBytes)
      chmodSync(path, mode)
      await assert.rejects(readKeyFile(path), (error: unknown) => {
        assert.ok(error instanceof Malfunction)
        assert.ok(error.message.includes(`chmod 600 ${path}`), error.message)
        return true
      })
    })
  }
})
