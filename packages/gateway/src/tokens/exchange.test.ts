import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { suite, test } from 'node:test'
import { createLocalJWKSet, decodeJwt, jwtVerify } from 'jose'
import { isRefusal, Malfunction } from '../errors.ts'
import { deleteGrant } from '../store/grant.ts'
import { revokeServiceToken } from '../store/service-token.ts'
import type { Store } from '../store/store.ts'
import { forEachStore } from '../store/testing.ts'
import { createServiceToken } from './service-token.ts'
import {
  addAgent,
  addConnection,
  addGrant,
  ask,
  changeConnection,
  type Gateway,
  getToken,
  openGateway,
  openWithings,
  postTokens,
  publicUrl,
  recordsOf,
  write,
} from './testing.ts'

type Problem = {
  readonly error: string
  readonly message: string
  readonly [member: string]: unknown
}

async function problemOf(response: Response, status: number, code: string): Promise<Problem> {
  assert.equal(response.status, status)
  assert.equal(response.headers.get('content-type'), 'application/problem+json')
  assert.equal(response.headers.get('cache-control'), 'no-store')
  assert.equal(response.headers.get('okoro-error'), code)
  const body = (await response.json()) as Problem
  assert.equal(body.error, code)
  return body
}

function postRevoke(gateway: Gateway, serviceToken: string, body: string) {
  return gateway.app.request('/t/revoke', {
    method: 'POST',
    headers: {
      authorization: `Bearer ${serviceToken}`,
      'content-type': 'application/x-www-form-urlencoded',
    },
    body,
  })
}

const isVerified = async ({ verifier }: Gateway, token: string) =>
  !isRefusal(await verifier.verify(token, 'withings'))

forEachStore(({ open, reopen }, dialect) => {
  suite('the exchange', () => {
    test('answers with a token, and says for what and until when', async () => {
      const now = Date.UTC(2026, 0, 1, 12, 0, 0, 700)
      const gateway = await openWithings(await open(), () => now)
      const response = await postTokens(gateway, gateway.serviceToken)
      assert.equal(response.status, 200)
      assert.equal(response.headers.get('cache-control'), 'no-store')
      assert.equal(response.headers.get('okoro-request-id'), 'req_1')
      const { token, ...answer } = (await response.json()) as { readonly token: string }
      assert.deepEqual(answer, {
        ...{ token_type: 'Bearer', expires_in: 300, expires_at: '2026-01-01T12:05:00.000Z' },
        ...{ provider: 'withings', connection: 'default', connection_id: 'con_1', scope: 'read' },
      })
      assert.ok(await isVerified(gateway, token))
    })

    test('has recorded the token when it answers', async () => {
      const gateway = await openWithings(await open())
      const token = await getToken(gateway, gateway.serviceToken)
      const { jti } = decodeJwt(token)
      const [record, ...more] = await recordsOf(gateway.store, 'token.issued')
      assert.equal(more.length, 0)
      assert.partialDeepStrictEqual(record, {
        ...{ request_id: 'req_1', agent: 'agt_1', service_token: 'stk_agt_1', jti },
        ...{ provider: 'withings', connection: 'con_1', grant: 'grt_1', scope: 'read' },
        ...{ actions: null, sandbox: false, owner: null },
        disclosed: {
          intent: { value: ask.intent },
          agent_name: { value: 'name of agt_1' },
          connection_label: { value: 'default' },
        },
      })
      assert.ok(!JSON.stringify(record).includes(token.split('.')[2] ?? token))
    })

    test('issues nothing when the record cannot be written', async () => {
      const store = await open()
      const gateway = await openWithings(store)
      const failing: Store = {
        ...store,
        write: () => Promise.reject(new Malfunction('audit_unavailable', 'The disk is full.')),
      }
      const down = await openGateway(failing)
      const response = await postTokens(down, gateway.serviceToken)
      await problemOf(response, 503, 'audit_unavailable')
      assert.deepEqual(await store.db.selectFrom('operation_token').selectAll().execute(), [])
      const refused = await postTokens(down, gateway.serviceToken, '{')
      await problemOf(refused, 503, 'audit_unavailable')
    })

    test('takes the scheme in any letter case and a content type with its charset', async () => {
      const gateway = await openWithings(await open())
      for (const scheme of ['bearer', 'BEARER', 'Bearer ']) {
        const response = await gateway.app.request('/t/tokens', {
          method: 'POST',
          headers: {
            authorization: `${scheme} ${gateway.serviceToken}`,
            'content-type': 'Application/JSON; charset=UTF-8',
          },
          body: JSON.stringify(ask),
        })
        assert.equal(response.status, 200, scheme)
      }
    })

    test('narrows a token to the actions that it asks for, and knows no others', async () => {
      const gateway = await openWithings(await open())
      const actions = ['measure.getmeas']
      const token = await getToken(gateway, gateway.serviceToken, { ...ask, actions })
      assert.deepEqual(decodeJwt(token).actions, actions)
      const unknown = { ...ask, actions: ['measure.getmeas', 'measure.getmoney'] }
      const response = await postTokens(gateway, gateway.serviceToken, unknown)
      const { message } = await problemOf(response, 400, 'invalid_request')
      assert.match(message, /`actions`: measure.getmoney is no rule of withings/)
    })

    test('issues no token for an action that could never be allowed with it', async () => {
      const gateway = await openWithings(await open())
      const unlink = { ...ask, actions: ['measure.getmeas', 'user.unlink'] }
      const refused = async (status: number, code: string) =>
        await problemOf(await postTokens(gateway, gateway.serviceToken, unlink), status, code)
      const beyond = await refused(403, 'insufficient_scope')
      assert.match(beyond.message, /user\.unlink needs the scope delete.*Your grant ends at read/)
      assert.equal(beyond.token_request, undefined)
      await addGrant(gateway.store, { id: 'gra_2', scope: 'delete', connectionId: 'con_1' })
      const { token_request: better } = await refused(403, 'insufficient_scope')
      await getToken(gateway, gateway.serviceToken, better as object)
      const except = ['user.unlink']
      await addGrant(gateway.store, { id: 'gra_3', scope: 'all', connectionId: 'con_1', except })
      assert.match(
        (await refused(403, 'outside_grant')).message,
        /your grant leaves out user\.unlink/,
      )
    })

    test('gives a token no longer life than its service token has', async () => {
      const now = 1_000_000_000_000
      const gateway = await openWithings(await open(), () => now)
      const soon = await addAgent(gateway.store, 'agt_2', now + 60_900)
      await addGrant(gateway.store, { id: 'grt_2', agentId: 'agt_2', connectionId: 'con_1' })
      const response = await postTokens(gateway, soon)
      assert.partialDeepStrictEqual(await response.json(), { expires_in: 60 })
      const tooSoon = await addAgent(gateway.store, 'agt_3', now + 900)
      await addGrant(gateway.store, { id: 'grt_3', agentId: 'agt_3', connectionId: 'con_1' })
      await problemOf(await postTokens(gateway, tooSoon), 401, 'invalid_token')
    })

    test('picks the connection of the owner that the grant names', async () => {
      const gateway = await openWithings(await open())
      const { store } = gateway
      await addConnection(store, { id: 'con_a', owner: 'ada' })
      await addConnection(store, { id: 'con_b', owner: 'bob' })
      await addConnection(store, { id: 'con_t', owner: 'bob', provider: 'trello' })
      const serviceToken = await addAgent(store, 'agt_2')
      await addGrant(store, { id: 'grt_2', agentId: 'agt_2', owner: 'bob' })
      const token = await getToken(gateway, serviceToken)
      assert.equal(decodeJwt(token).connection, 'con_b')
      assert.ok(await isVerified(gateway, token))
      await addConnection(store, { id: 'con_c', owner: 'bob' })
      await problemOf(await postTokens(gateway, serviceToken), 409, 'connection_required')
    })

    test('refuses a connection that belongs to another grant', async () => {
      const gateway = await openWithings(await open())
      await addConnection(gateway.store, { id: 'con_2' })
      const body = { ...ask, connection: 'con_2' }
      const response = await postTokens(gateway, gateway.serviceToken, body)
      const problem = await problemOf(response, 409, 'not_connected')
      assert.deepEqual(problem.connections, ['default'])
    })
  })

  type Refused = {
    readonly name: string
    readonly before?: (gateway: Gateway) => Promise<unknown>
    readonly body?: unknown
    readonly answer: readonly [status: number, code: string, message: RegExp]
  }
  const refusals: readonly Refused[] = [
    {
      name: 'a service token that was revoked',
      before: ({ store }) => write(store, [revokeServiceToken(store.db, 'stk_agt_1', 1)], true),
      answer: [401, 'invalid_token', /was revoked/],
    },
    { name: 'a body that is no JSON', body: '{', answer: [400, 'invalid_request', /JSON/] },
    {
      name: 'a blank intent',
      body: { ...ask, intent: '   ' },
      answer: [400, 'invalid_request', /`intent`/],
    },
    {
      name: 'a body of more than 64 KiB',
      body: { ...ask, intent: 'x'.repeat(65_536) },
      answer: [413, 'payload_too_large', /65536/],
    },
    {
      name: 'a provider that the catalogue does not have',
      body: { ...ask, provider: 'nope' },
      answer: [404, 'unknown_provider', /no provider called nope/],
    },
    {
      name: 'a provider without a grant',
      body: { ...ask, provider: 'trello' },
      answer: [403, 'provider_not_granted', /trello/],
    },
    {
      name: 'a level above the grant',
      body: { ...ask, scope: 'write' },
      answer: [403, 'insufficient_scope', /goes up to read/],
    },
    {
      name: 'a connection that must be made anew',
      before: ({ store }) => changeConnection(store, 'con_1', { status: 'needs_reconnect' }),
      answer: [409, 'needs_reconnect', /must be made anew/],
    },
    {
      name: 'a connection that was removed',
      before: ({ store }) => changeConnection(store, 'con_1', { status: 'removed' }),
      answer: [409, 'not_connected', /okoro connections add withings/],
    },
  ]
  suite('a known agent', () => {
    for (const { name, before, body = ask, answer } of refusals) {
      test(`is refused ${name}, and that is recorded`, async () => {
        const gateway = await openWithings(await open())
        await before?.(gateway)
        const response = await postTokens(gateway, gateway.serviceToken, body)
        const [status, code, message] = answer
        assert.match((await problemOf(response, status, code)).message, message)
        const [record] = await recordsOf(gateway.store, 'token.refused')
        const subject = { agent: 'agt_1', service_token: 'stk_agt_1', reason: code }
        assert.partialDeepStrictEqual(record, { ...subject, request_id: 'req_1' })
        assert.deepEqual(await recordsOf(gateway.store, 'token.issued'), [])
      })
    }

    test('has its intent in the record of a refusal, as a private field', async () => {
      const gateway = await openWithings(await open())
      await postTokens(gateway, gateway.serviceToken, { ...ask, scope: 'all' })
      const [record] = await recordsOf(gateway.store, 'token.refused')
      assert.equal(record.disclosed.intent.value, ask.intent)
      assert.ok(!JSON.stringify(record.intent).includes('weight'))
      assert.deepEqual([record.provider, record.scope], ['withings', 'all'])
    })

    test('that repeats a refusal a hundred times fills two records', async () => {
      const gateway = await openWithings(await open())
      const wrong = { ...ask, scope: 'all' }
      for (let count = 0; count < 100; count += 1) {
        const response = await postTokens(gateway, gateway.serviceToken, wrong)
        assert.equal(response.status, 403)
      }
      await gateway.coalescer.close()
      assert.equal((await recordsOf(gateway.store, 'token.refused')).length, 1)
      const [flood, ...more] = await recordsOf(gateway.store, 'refusals')
      assert.equal(more.length, 0)
      assert.deepEqual([flood.reason, flood.count], ['insufficient_scope', 99])
    })
  })

  suite('a stranger', () => {
    const good = createServiceToken(randomBytes).token.reveal()
    const cases: readonly (readonly [string, string | null, RegExp])[] = [
      ['without a token', null, /is missing/],
      ['with an empty header', '', /is missing/],
      ['with another scheme', `Basic ${good}`, /malformed/],
      ['with two tokens', `Bearer ${good}, Bearer ${good}`, /malformed/],
      ['with a token cut short', `Bearer ${good.slice(0, -3)}`, /mistyped or truncated/],
      ['with an operation token', 'Bearer eyJhbGciOiJFZERTQSJ9.e30.AAAA', /is an operation token/],
      ['with a key of another service', 'Bearer sk-123', /begins with svc_/],
      ['with a token nobody was given', `Bearer ${good}`, /unknown/],
    ]
    for (const [name, authorization, message] of cases) {
      test(`${name} is refused, and not recorded`, async () => {
        const gateway = await openWithings(await open())
        const headers = new Headers({ 'content-type': 'application/json' })
        if (authorization !== null) headers.set('authorization', authorization)
        for (const path of ['/t/tokens', '/t/revoke']) {
          const init = { method: 'POST', headers, body: JSON.stringify(ask) }
          const response = await gateway.app.request(path, init)
          assert.match(response.headers.get('www-authenticate') ?? '', /^Bearer realm="okoro"/)
          assert.match((await problemOf(response, 401, 'invalid_token')).message, message)
        }
        await gateway.coalescer.close()
        assert.deepEqual(await recordsOf(gateway.store, 'token.refused'), [])
      })
    }
  })

  suite('a request', () => {
    const headerCases: readonly (readonly [string, Record<string, string>])[] = [
      ['as a form', { 'content-type': 'application/x-www-form-urlencoded' }],
      ['as text', { 'content-type': 'text/plain' }],
      ['in another charset', { 'content-type': 'application/json; charset=utf-16' }],
      ['compressed', { 'content-type': 'application/json', 'content-encoding': 'gzip' }],
    ]
    for (const [name, headers] of headerCases) {
      test(`sent ${name} is refused`, async () => {
        const gateway = await openWithings(await open())
        const response = await gateway.app.request('/t/tokens', {
          method: 'POST',
          headers: { authorization: `Bearer ${gateway.serviceToken}`, ...headers },
          body: JSON.stringify(ask),
        })
        await problemOf(response, 400, 'invalid_request')
      })
    }

    test('without a length is cut off at 64 KiB all the same', async () => {
      const gateway = await openWithings(await open())
      let pulled = 0
      const body = new ReadableStream<Uint8Array>({
        pull: (controller) => {
          pulled += 1
          controller.enqueue(new Uint8Array(16_384).fill(0x20))
        },
      })
      const response = await gateway.app.request('/t/tokens', {
        method: 'POST',
        headers: {
          authorization: `Bearer ${gateway.serviceToken}`,
          'content-type': 'application/json',
        },
        body,
        duplex: 'half',
      } as RequestInit)
      await problemOf(response, 413, 'payload_too_large')
      assert.ok(pulled < 10)
    })

    test('that breaks off is refused, and recorded', async () => {
      const gateway = await openWithings(await open())
      const body = new ReadableStream<Uint8Array>({
        pull: (controller) => controller.error(new Error('the client hung up')),
      })
      const response = await gateway.app.request('/t/tokens', {
        method: 'POST',
        headers: {
          authorization: `Bearer ${gateway.serviceToken}`,
          'content-type': 'application/json',
        },
        body,
        duplex: 'half',
      } as RequestInit)
      await problemOf(response, 408, 'request_timeout')
      assert.equal((await recordsOf(gateway.store, 'token.refused')).length, 1)
    })

    test('with another method is told which one', async () => {
      const gateway = await openWithings(await open())
      for (const [path, allow] of [
        ['/t/tokens', 'POST'],
        ['/t/revoke', 'POST'],
      ] as const) {
        const response = await gateway.app.request(path, { method: 'PUT' })
        assert.equal(response.headers.get('allow'), allow)
        await problemOf(response, 405, 'method_not_allowed')
      }
    })
  })

  suite('a policy that changes', () => {
    /** Runs `change` in the very moment before the token's own write. */
    const overtaking = (store: Store, change: () => Promise<unknown>): Store => ({
      ...store,
      write: async (asked) => {
        if (asked.ifPolicyEpoch !== undefined) await change()
        return store.write(asked)
      },
    })

    test('while a token is issued is read again', async () => {
      const store = await open()
      const { serviceToken } = await openWithings(store)
      let changes = 0
      const racing = overtaking(store, async () => {
        changes += 1
        if (changes === 1) await changeConnection(store, 'con_1', { generation: 2 })
      })
      const gateway = await openGateway(racing)
      const token = await getToken(gateway, serviceToken)
      assert.equal(decodeJwt(token).gen, 2)
      assert.equal((await recordsOf(store, 'token.issued')).length, 1)
    })

    test('by taking the grant away leaves no token behind', async () => {
      const store = await open()
      const { serviceToken } = await openWithings(store)
      const racing = overtaking(store, () => write(store, [deleteGrant(store.db, 'grt_1')], true))
      const gateway = await openGateway(racing)
      await problemOf(await postTokens(gateway, serviceToken), 403, 'provider_not_granted')
      assert.deepEqual(await store.db.selectFrom('operation_token').selectAll().execute(), [])
    })

    test('without end is given up on, for the agent to try again', async () => {
      const store = await open()
      const { serviceToken } = await openWithings(store)
      const racing = overtaking(store, () => changeConnection(store, 'con_1', { version: 1 }))
      const gateway = await openGateway(racing)
      const response = await postTokens(gateway, serviceToken)
      assert.equal(response.headers.get('retry-after'), '1')
      await problemOf(response, 503, 'overloaded')
    })
  })

  suite('revoking', () => {
    test('ends a token at once, is recorded, and may be repeated', async () => {
      const gateway = await openWithings(await open())
      const token = await getToken(gateway, gateway.serviceToken)
      const other = await getToken(gateway, gateway.serviceToken)
      assert.ok(await isVerified(gateway, token))
      for (let count = 0; count < 2; count += 1) {
        const response = await postRevoke(gateway, gateway.serviceToken, `token=${token}`)
        assert.equal(response.status, 200)
        assert.equal(await response.text(), '')
      }
      assert.ok(!(await isVerified(gateway, token)))
      assert.ok(await isVerified(gateway, other))
      const [record, ...more] = await recordsOf(gateway.store, 'token.revoked')
      assert.equal(more.length, 0)
      const { jti } = decodeJwt(token)
      assert.partialDeepStrictEqual(record, { agent: 'agt_1', jti, connection: 'con_1' })
    })

    test('of a token that is unknown or no token at all is a success and changes nothing', async () => {
      const gateway = await openWithings(await open())
      const epoch = gateway.store.policyEpoch()
      for (const token of ['nonsense', 'eyJ.e30.AAAA', gateway.serviceToken]) {
        const response = await postRevoke(gateway, gateway.serviceToken, `token=${token}`)
        assert.equal(response.status, 200, token)
      }
      assert.equal(gateway.store.policyEpoch(), epoch)
      assert.deepEqual(await recordsOf(gateway.store, 'token.revoked'), [])
    })

    test("of another agent's token is refused, recorded, and ends nothing", async () => {
      const gateway = await openWithings(await open())
      const token = await getToken(gateway, gateway.serviceToken)
      const thief = await addAgent(gateway.store, 'agt_2')
      const response = await postRevoke(gateway, thief, `token=${token}`)
      await problemOf(response, 400, 'invalid_request')
      assert.ok(await isVerified(gateway, token))
      const [record] = await recordsOf(gateway.store, 'token.refused')
      assert.equal(record.agent, 'agt_2')
    })

    for (const body of ['', 'token=', 'token=a&token=b', 'refresh_token=a']) {
      test(`of ${JSON.stringify(body)} is refused`, async () => {
        const gateway = await openWithings(await open())
        const response = await postRevoke(gateway, gateway.serviceToken, body)
        assert.match((await problemOf(response, 400, 'invalid_request')).message, /`token`/)
      })
    }
  })

  test('a client that knows only the JWKS can verify a token', async () => {
    const gateway = await openWithings(await open())
    const token = await getToken(gateway, gateway.serviceToken)
    const response = await gateway.app.request('/.well-known/jwks.json')
    assert.equal(response.status, 200)
    const jwks = createLocalJWKSet((await response.json()) as { keys: [] })
    const expected = { issuer: publicUrl, audience: `${publicUrl}/p/withings`, typ: 'at+jwt' }
    const { payload } = await jwtVerify(token, jwks, expected)
    assert.equal(payload.sub, 'agt_1')
  })

  // An SQLite file has one node.
  if (dialect === 'sqlite') return

  test('a node that has not heard of a rotation signs with the new key all the same', async () => {
    const one = await openWithings(await open())
    const other = await openGateway(await reopen())
    const kid = await one.keys.rotate()
    const token = await getToken(other, one.serviceToken)
    assert.equal(JSON.parse(atob(token.split('.')[0] ?? '')).kid, kid)
  })
})
