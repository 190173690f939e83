import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { isRefusal } from '../errors.ts'
import type { ConnectionView, Reach } from '../store/grant.ts'
import type { Grant, Scope } from '../words.ts'
import { type Choice, chooseConnection } from './choose-connection.ts'

const page = 'http://gateway.test/providers/withings'
const choice: Choice = {
  ...{ provider: 'withings', scope: 'read', intent: 'read the weight', sandbox: false, page },
}

const view = (id: string, more: Partial<ConnectionView> = {}): ConnectionView => ({
  ...{ id, provider: 'withings', label: `label of ${id}`, owner: null, status: 'connected' },
  ...{ reason: null, generation: 1, sandbox: false, applicationId: null, ...more },
})

let grants = 0
const reach = (scope: Scope, connection: ConnectionView | null): Reach => {
  grants += 1
  const grant: Grant = {
    ...{ id: `grt_${grants}`, agentId: 'agt_1', provider: 'withings', scope },
    ...{ connectionId: connection?.id ?? null, owner: null, only: null, except: [] },
    constraints: {},
  }
  return { grant, connection }
}

function refusalOf(some: readonly Reach[], asked: Partial<Choice> = {}) {
  const chosen = chooseConnection(some, { ...choice, ...asked })
  assert.ok(isRefusal(chosen), 'it was not refused')
  return chosen
}

function chosenBy(some: readonly Reach[], asked: Partial<Choice> = {}) {
  const chosen = chooseConnection(some, { ...choice, ...asked })
  assert.ok(!isRefusal(chosen), JSON.stringify(chosen))
  return chosen
}

suite('which connection a token is for', () => {
  test('is the only one that the agent may use', () => {
    assert.equal(chosenBy([reach('read', view('con_1'))]).connection.id, 'con_1')
  })

  test('is none without a grant', () => {
    assert.equal(refusalOf([]).code, 'provider_not_granted')
  })

  test('is none while nothing is connected, and the page that helps is named', () => {
    for (const connection of [null, view('con_1', { status: 'removed' })]) {
      const refusal = refusalOf([reach('read', connection)])
      assert.equal(refusal.code, 'not_connected')
      assert.deepEqual(refusal.members, { page })
    }
  })

  test('is never guessed among several, not even when only one would do', () => {
    const several = [
      reach('write', view('con_1')),
      reach('read', view('con_2', { status: 'needs_reconnect' })),
    ]
    const refusal = refusalOf(several, { scope: 'write' })
    assert.equal(refusal.code, 'connection_required')
    assert.deepEqual(refusal.members, { connections: ['label of con_1', 'label of con_2'] })
  })

  test('is the one that is named by id or by label', () => {
    const several = [reach('read', view('con_1')), reach('read', view('con_2'))]
    assert.equal(chosenBy(several, { connection: 'con_2' }).connection.id, 'con_2')
    assert.equal(chosenBy(several, { connection: 'label of con_1' }).connection.id, 'con_1')
  })

  test('is the one of that id when another is labelled so', () => {
    const several = [reach('read', view('con_1', { label: 'con_2' })), reach('read', view('con_2'))]
    assert.equal(chosenBy(several, { connection: 'con_2' }).connection.id, 'con_2')
  })

  test('is none when the named one is not granted, and the granted ones are listed', () => {
    const refusal = refusalOf([reach('read', view('con_1'))], { connection: 'con_9' })
    assert.equal(refusal.code, 'not_connected')
    assert.deepEqual(refusal.members, { page, connections: ['label of con_1'] })
  })

  test('is none that was made under a sandbox, unless the provider is one now', () => {
    const sandbox = [reach('read', view('con_1', { sandbox: true }))]
    assert.equal(refusalOf(sandbox).code, 'not_connected')
    assert.equal(chosenBy(sandbox, { sandbox: true }).connection.id, 'con_1')
    assert.equal(refusalOf([reach('read', view('con_1'))], { sandbox: true }).code, 'not_connected')
  })

  test('comes with the grant of the highest level, and of those the oldest', () => {
    const connection = view('con_1')
    const several = [
      reach('read', connection),
      reach('update', connection),
      reach('write', connection),
      reach('update', connection),
    ]
    assert.equal(chosenBy(several).grant, several[1]?.grant)
  })

  test('is refused above the grant, with a request that would do', () => {
    const refusal = refusalOf([reach('write', view('con_1'))], { scope: 'delete' })
    assert.equal(refusal.code, 'insufficient_scope')
    assert.deepEqual(refusal.members, {
      required_scope: 'delete',
      granted_scope: 'write',
      token_request: {
        ...{ provider: 'withings', scope: 'write', intent: 'read the weight' },
        connection: 'con_1',
      },
    })
  })

  test('is refused with the reason while it must be made anew', () => {
    const dead = view('con_1', { status: 'needs_reconnect', reason: 'consent withdrawn' })
    const refusal = refusalOf([reach('read', dead)])
    assert.equal(refusal.code, 'needs_reconnect')
    assert.match(refusal.message, /consent withdrawn/)
  })
})
