import assert from 'node:assert/strict'
import { test } from 'node:test'
import { insertOperationToken } from '../store/operation-token.ts'
import type { Store } from '../store/store.ts'
import { forEachStore } from '../store/testing.ts'
import { createExpiredTokenSweep } from './expired-tokens.ts'
import { write } from './testing.ts'

const minute = 60_000

async function addTokens(store: Store, expiries: readonly number[]): Promise<void> {
  const rows = expiries.map((expires_at, index) => ({
    ...{
      jti: `jti_${expires_at}_${index}`,
      agent_id: 'agt_1',
      service_token_id: 'stk_1',
      expires_at,
    },
  }))
  await write(
    store,
    rows.map((row) => insertOperationToken(store.db, row)),
  )
}
const left = async (store: Store) =>
  (
    await store.db
      .selectFrom('operation_token')
      .select('expires_at')
      .orderBy('expires_at')
      .execute()
  ).map(({ expires_at }) => expires_at)

forEachStore((stores) => {
  test('what expired an hour ago goes, and nothing that could still be asked for', async () => {
    const store = await stores.open()
    const nowMs = 100 * minute
    const kept = [nowMs - 60 * minute, nowMs - 1, nowMs, nowMs + 15 * minute]
    await addTokens(store, [minute, nowMs - 60 * minute - 1, ...kept])
    await createExpiredTokenSweep({ store, clock: () => nowMs }).sweep()
    assert.deepEqual(await left(store), kept)
  })

  test('many go in batches, the oldest first', async () => {
    const store = await stores.open()
    await addTokens(
      store,
      Array.from({ length: 1_100 }, (_, index) => index + 1),
    )
    const { sweep } = createExpiredTokenSweep({ store, clock: () => 100 * minute })
    const counts: number[] = []
    for (let look = 0; look < 3; look += 1) {
      await sweep()
      counts.push((await left(store)).length)
    }
    assert.deepEqual(counts, [600, 100, 0])
  })

  test('where none has expired it looks again a minute later', async () => {
    const store = await stores.open()
    let nowMs = 100 * minute
    const { sweep } = createExpiredTokenSweep({ store, clock: () => nowMs })
    await sweep()
    await addTokens(store, [1])
    nowMs += minute - 1
    await sweep()
    assert.deepEqual(await left(store), [1])
    nowMs += 1
    await sweep()
    assert.deepEqual(await left(store), [])
  })
})
