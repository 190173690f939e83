import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '../secret.ts'
import { insertGrant } from '../store/grant.ts'
import type { Store } from '../store/store.ts'
import { forEachStore } from '../store/testing.ts'
import { rotateSecret } from './applications.ts'
import { beginFlow, openLink, showFlow } from './connect.ts'
import { listConnections, showConnection } from './connections.ts'
import { finish, finishPasted } from './finish.ts'
import {
  addTestApplication,
  callbackUrl,
  connectAccount,
  goThrough,
  granted,
  linkOf,
  openRoom,
  recordsOf,
  refused,
  startSandbox,
  testClock,
  wholeLog,
} from './testing.ts'

forEachStore((stores) => {
  async function start() {
    const clock = testClock()
    const sandbox = await startSandbox(clock)
    const store = await stores.open(clock)
    const room = await openRoom(store, clock, sandbox.url)
    return { clock, sandbox, store, room, application: await addTestApplication(room, sandbox) }
  }

  test('an account is connected through the real code flow, and the log says so', async () => {
    const { room, store, application } = await start()
    const { flow, back, cookie } = await goThrough(room, { label: 'mine', owner: 'user-7' })
    assert.equal((await showFlow(room, flow.flowId))?.status, 'opened')
    const parameters = back.searchParams
    const result = granted(await finish(room, { provider: 'withings', parameters, cookie }))
    const { id, ...connection } = result.connection
    assert.match(id, /^con_[0-9a-f]{24}$/)
    assert.deepEqual(
      [connection.label, connection.owner, connection.status, connection.sandbox],
      ['mine', 'user-7', 'connected', true],
    )
    assert.equal(connection.generation, 1)
    assert.match(connection.account ?? '', /^\d+$/)
    assert.ok(connection.grantedScopes.includes('user.metrics'))
    assert.deepEqual(await showConnection(room, id), result.connection)
    assert.deepEqual(await listConnections(room), [result.connection])
    const { status, connectionId } = (await showFlow(room, flow.flowId)) ?? {}
    assert.deepEqual([status, connectionId], ['connected', id])
    const [record] = await recordsOf(store, 'connection.connected')
    assert.deepEqual(
      [record?.connection, record?.application, record?.provider, record?.sandbox],
      [id, application.id, 'withings', true],
    )
    assert.equal(record?.generation, 1)
    assert.equal((await recordsOf(store, 'connection.started')).length, 1)
  })

  test('no code, state, link, cookie, secret or token reaches the log', async () => {
    const { room, store, sandbox } = await start()
    const { flow, opened, back, cookie } = await goThrough(room)
    const parameters = back.searchParams
    await finish(room, { provider: 'withings', parameters, cookie })
    await finish(room, { provider: 'withings', parameters, cookie })
    const log = await wholeLog(store)
    const secrets = [
      ...[parameters.get('code'), parameters.get('state'), linkOf(flow.link), flow.session],
      ...[opened.cookie.value, sandbox.clientSecret.reveal()],
    ]
    assert.deepEqual(
      secrets.filter((secret) => log.includes(secret ?? '')),
      [],
    )
    const flows = JSON.stringify(await store.db.selectFrom('connect_flow').selectAll().execute())
    assert.deepEqual(
      secrets.filter((secret) => flows.includes(secret ?? '')),
      [],
    )
  })

  test('a link opens once, and an expired or unknown one not at all', async () => {
    const { room, clock } = await start()
    const flow = granted(await beginFlow(room, { provider: 'withings' }))
    const twice = await Promise.all([1, 2].map(() => openLink(room, linkOf(flow.link))))
    assert.deepEqual(
      twice.map((result) => ('redirectTo' in result ? 'opened' : result.members.reason)).sort(),
      ['opened', 'used_link'],
    )
    const late = granted(await beginFlow(room, { provider: 'withings' }))
    clock.advance(60 * 60_000)
    assert.equal(refused(await openLink(room, linkOf(late.link))).members.reason, 'expired')
    assert.equal(refused(await openLink(room, 'made-up')).members.reason, 'unknown_link')
    assert.equal((await showFlow(room, late.flowId))?.status, 'expired')
  })

  const hostile = [
    { name: 'without the cookie', reason: 'wrong_browser', cookie: () => undefined },
    { name: "with another flow's cookie", reason: 'wrong_browser', isForeign: true },
    { name: "on another provider's callback", reason: 'wrong_provider', provider: 'trello' },
    { name: 'ten minutes after the link was opened', reason: 'expired', wait: 10 * 60_000 },
  ] as const
  for (const attack of hostile) {
    test(`an answer ${attack.name} connects nothing and ends the flow`, async () => {
      const { room, store, clock, sandbox } = await start()
      const { flow, back, cookie } = await goThrough(room)
      const honest = { provider: 'withings', parameters: back.searchParams, cookie }
      const other = await goThrough(room, { label: 'other' })
      const foreign = 'isForeign' in attack ? { cookie: () => other.opened.cookie.value } : {}
      clock.advance('wait' in attack ? attack.wait : 0)
      const result = await finish(room, { ...honest, ...attack, ...foreign })
      assert.equal(refused(result).members.reason, attack.reason)
      const again = await finish(room, honest)
      assert.equal(refused(again).members.reason, 'already_finished')
      assert.deepEqual(await listConnections(room), [])
      assert.equal(await sandbox.tokenCalls('authorization_code'), 0)
      assert.equal((await showFlow(room, flow.flowId))?.status, 'failed')
      const [record, ...more] = await recordsOf(store, 'connection.failed')
      assert.deepEqual([record?.reason, record?.flow, more.length], [attack.reason, flow.flowId, 0])
    })
  }

  test('a state that nobody was given leaves no record', async () => {
    const { room, store } = await start()
    const parameters = new URLSearchParams({ state: 'made-up', code: 'made-up' })
    const result = await finish(room, { provider: 'withings', parameters, cookie: () => 'x' })
    assert.equal(refused(result).members.reason, 'unknown_state')
    assert.deepEqual(await recordsOf(store, 'connection.failed'), [])
  })

  test('two answers at once connect one account', async () => {
    const { room, sandbox } = await start()
    const { back, cookie } = await goThrough(room)
    const answer = { provider: 'withings', parameters: back.searchParams, cookie }
    const results = await Promise.all([finish(room, answer), finish(room, answer)])
    assert.equal(results.filter((result) => result.kind === 'connected').length, 1)
    assert.equal(await sandbox.tokenCalls('authorization_code'), 1)
  })

  test('who denies access is told so, and nothing is connected', async () => {
    const { room } = await start()
    const { back, cookie } = await goThrough(room, {}, 'deny')
    const answer = { provider: 'withings', parameters: back.searchParams, cookie }
    assert.equal(refused(await finish(room, answer)).members.reason, 'denied')
  })

  test('an error of the provider is passed on with what restricts the application', async () => {
    const { room } = await start()
    const { back, cookie } = await goThrough(room)
    const state = back.searchParams.get('state') ?? ''
    const parameters = new URLSearchParams({ state, error: 'unauthorized_client' })
    const result = refused(await finish(room, { provider: 'withings', parameters, cookie }))
    assert.equal(result.members.reason, 'provider_refused')
    assert.match(result.message, /unauthorized_client.*restricted mode/)
  })

  test('a code given twice in one answer is malformed', async () => {
    const { room, sandbox } = await start()
    const { back, cookie } = await goThrough(room)
    const parameters = back.searchParams
    parameters.append('code', 'another')
    const result = await finish(room, { provider: 'withings', parameters, cookie })
    assert.equal(refused(result).members.reason, 'unknown_state')
    assert.equal(await sandbox.tokenCalls('authorization_code'), 0)
  })

  test('a code older than its 30 seconds is refused with the reason', async () => {
    const { room, clock } = await start()
    const { back, cookie } = await goThrough(room)
    clock.advance(31_000)
    const answer = { provider: 'withings', parameters: back.searchParams, cookie }
    const result = refused(await finish(room, answer))
    assert.equal(result.members.reason, 'code_refused')
    assert.match(result.message, /30 seconds.*503 Invalid Params: invalid code/)
  })

  test('a wrong client secret is refused by name and never shown', async () => {
    const { room, store, application } = await start()
    const secret = new Secret('client_secret')
    granted(await rotateSecret(room, { id: application.id, secret }))
    const { back, cookie } = await goThrough(room)
    const answer = { provider: 'withings', parameters: back.searchParams, cookie }
    const result = refused(await finish(room, answer))
    assert.equal(result.members.reason, 'code_refused')
    // The provider's own text is "invalid client_secret": what equals the secret is cut out of it.
    assert.match(result.message, /503 Invalid Params: invalid \[redacted\]/)
    assert.ok(!(await wholeLog(store)).includes('invalid client_secret'))
  })

  const down = [
    { kind: 'http', status: 500 },
    { kind: 'reset' },
    { kind: 'garbage' },
    { kind: 'endless' },
    { kind: 'hang' },
  ]
  for (const fault of down) {
    test(`a provider with the fault ${fault.kind} at the token endpoint is named`, async () => {
      const { room, sandbox } = await start()
      const { back, cookie } = await goThrough(room)
      await sandbox.fault(fault)
      const answer = { provider: 'withings', parameters: back.searchParams, cookie }
      const result = refused(await finish(room, answer))
      assert.equal(result.members.reason, 'provider_unavailable')
    })
  }

  test('a pasted redirect URL needs the session that began the flow', async () => {
    const { room } = await start()
    const { flow, back } = await goThrough(room)
    const pasted = { flowId: flow.flowId, session: flow.session, redirectUrl: back.href }
    const stranger = await finishPasted(room, { ...pasted, session: 'x'.repeat(43) })
    assert.equal(refused(stranger).code, 'not_found')
    assert.equal(granted(await finishPasted(room, pasted)).kind, 'connected')
    const again = refused(await finishPasted(room, pasted))
    assert.equal(again.members.reason, 'already_finished')
  })

  test('a wrong paste uses nothing up', async () => {
    const { room } = await start()
    const { flow, back } = await goThrough(room)
    const pasted = { flowId: flow.flowId, session: flow.session }
    const wrong = ['code', 'https://evil.example/connect/callback/withings?code=1', callbackUrl]
    for (const redirectUrl of wrong) refused(await finishPasted(room, { ...pasted, redirectUrl }))
    const right = await finishPasted(room, { ...pasted, redirectUrl: ` ${back.href}\n` })
    assert.equal(granted(right).kind, 'connected')
  })

  test('a flow begun without an application, or for no provider, says what is missing', async () => {
    const clock = testClock()
    const sandbox = await startSandbox(clock)
    const room = await openRoom(await stores.open(clock), clock, sandbox.url)
    const none = refused(await beginFlow(room, { provider: 'withings' }))
    assert.deepEqual([none.code, /applications add/.test(none.message)], ['not_found', true])
    assert.equal(refused(await beginFlow(room, { provider: 'nope' })).code, 'unknown_provider')
  })

  test('a label is free or a conflict, also when it is taken while connecting', async () => {
    const { room, store } = await start()
    const late = await goThrough(room, { label: 'work' })
    await connectAccount(room, { label: 'work' })
    const taken = refused(await beginFlow(room, { provider: 'withings', label: 'work' }))
    assert.equal(taken.code, 'conflict')
    const parameters = late.back.searchParams
    const answer = { provider: 'withings', parameters, cookie: late.cookie }
    assert.equal(refused(await finish(room, answer)).members.reason, 'label_taken')
    assert.equal((await recordsOf(store, 'connection.connected')).length, 1)
    for (const label of ['', ' x', 'con_1', 'a\nb', 'x'.repeat(65)]) {
      const result = refused(await beginFlow(room, { provider: 'withings', label }))
      assert.equal(result.code, 'invalid_request', JSON.stringify(label))
    }
  })

  test('grants that waited are bound to the first connection, each on record', async () => {
    const { room, store } = await start()
    await grant(store, { id: 'gra_1', owner: null })
    await grant(store, { id: 'gra_2', owner: 'user-7' })
    const epoch = store.policyEpoch()
    const { connection } = await connectAccount(room)
    const rows = await store.db
      .selectFrom('grant')
      .select(['id', 'connection_id'])
      .orderBy('id')
      .execute()
    assert.deepEqual(rows, [
      { id: 'gra_1', connection_id: connection.id },
      { id: 'gra_2', connection_id: null },
    ])
    const [record, ...more] = await recordsOf(store, 'grant.bound')
    assert.deepEqual([record?.grant, record?.agent, more.length], ['gra_1', 'agt_1', 0])
    assert.ok(store.policyEpoch() > epoch)
  })

  test('a grant made while the account is being connected is bound and recorded too', async () => {
    const { room, store } = await start()
    const { back, cookie } = await goThrough(room)
    let isLate = true
    const racing: Store = {
      ...store,
      write: async (write) => {
        const isConnecting = write.records.some((record) => record.kind === 'connection.connected')
        if (isConnecting && isLate) {
          isLate = false
          await grant(store, { id: 'gra_late', owner: null })
        }
        return await store.write(write)
      },
    }
    const answer = { provider: 'withings', parameters: back.searchParams, cookie }
    const { connection } = granted(await finish({ ...room, store: racing }, answer))
    const [record, ...more] = await recordsOf(store, 'grant.bound')
    assert.deepEqual([record?.grant, record?.connection], ['gra_late', connection.id])
    assert.equal(more.length, 0)
  })

  test('connecting the same account again keeps id and generation', async () => {
    const { room, store } = await start()
    const { connection } = await connectAccount(room)
    const again = await connectAccount(room, { connectionId: connection.id })
    assert.deepEqual(
      [again.isReconnected, again.connection.id, again.connection.generation],
      [true, connection.id, 1],
    )
    assert.equal((await recordsOf(store, 'connection.reconnected')).length, 1)
  })

  test('another account takes a connection over only when that was confirmed', async () => {
    const { room, store } = await start()
    const { connection } = await connectAccount(room)
    await store.write({
      statements: [
        { query: store.db.updateTable('connection').set({ account: 'someone-else' }).compile() },
      ],
      records: [],
    })
    const { back, cookie } = await goThrough(room, { connectionId: connection.id })
    const answer = { provider: 'withings', parameters: back.searchParams, cookie }
    assert.equal(refused(await finish(room, answer)).members.reason, 'account_changed')
    const before = granted(await showConnection(room, connection.id))
    assert.deepEqual([before.account, before.generation], ['someone-else', 1])
    const confirmed = { connectionId: connection.id, confirmAccountChange: true }
    const { connection: changed } = await connectAccount(room, confirmed)
    assert.deepEqual([changed.account, changed.generation], [connection.account, 2])
  })

  test('a sandbox connection is not made anew with the real provider', async () => {
    const { room, store, clock } = await start()
    const { connection } = await connectAccount(room)
    const real = await openRoom(store, clock, null)
    const request = { provider: 'withings', connectionId: connection.id }
    assert.match(refused(await beginFlow(real, request)).message, /made with the sandbox/)
    const fresh = refused(await beginFlow(real, { provider: 'withings', label: 'real' }))
    assert.equal(fresh.code, 'not_found')
  })
})

const grant = (store: Store, { id, owner }: { id: string; owner: string | null }) =>
  store.write({
    statements: [
      insertGrant(
        store.db,
        {
          ...{ id, agentId: 'agt_1', provider: 'withings', scope: 'read', connectionId: null },
          ...{ owner, only: null, except: [], constraints: {} },
        },
        1,
      ),
    ],
    records: [],
    bumpsPolicy: true,
  })
