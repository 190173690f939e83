import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { startedAs } from './instructions.ts'

suite('the demo shows okoro as it was started', () => {
  for (const [env, words] of [
    [{}, 'okoro'],
    [{ npm_lifecycle_event: 'npx' }, 'npx okoro'],
    [{ npm_lifecycle_event: 'demo' }, 'npm run --silent okoro --'],
    [
      { npm_lifecycle_event: 'demo', npm_package_json: '/src/okoro/package.json' },
      'npm run --prefix /src/okoro --silent okoro --',
    ],
    [
      { npm_lifecycle_event: 'demo', npm_package_json: "/my code/it's/package.json" },
      `npm run --prefix '/my code/it'\\''s' --silent okoro --`,
    ],
    [{ npm_lifecycle_event: 'test', npm_package_json: '/other/package.json' }, 'okoro'],
  ] as const) {
    test(words, () => assert.equal(startedAs(env), words))
  }
})
