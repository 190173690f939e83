import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { test } from 'node:test'
import { decodeJwt, decodeProtectedHeader, type JWTPayload, SignJWT } from 'jose'
import { isRefusal } from '../errors.ts'
import { revokeAgent } from '../store/agent.ts'
import { deleteGrant } from '../store/grant.ts'
import { endOtherServiceTokens, revokeServiceToken } from '../store/service-token.ts'
import type { Store } from '../store/store.ts'
import { forEachStore } from '../store/testing.ts'
import { createVerifier, type Judged, type Verified } from './operation-token.ts'
import {
  addGrant,
  ask,
  changeConnection,
  type Gateway,
  getToken,
  openWithings,
  publicUrl,
  write,
} from './testing.ts'

function assertVerified(judged: Judged): asserts judged is Verified {
  assert.ok(!isRefusal(judged), JSON.stringify(judged))
}

function assertRefused(judged: Judged, code: string, message = /./): void {
  assert.ok(isRefusal(judged), 'it was verified')
  assert.equal(judged.code, code)
  assert.match(judged.message, message)
}

/** A store that counts its reads, to see that there are none. */
function counting(store: Store) {
  const reads = { count: 0 }
  const db = store.db.withPlugin({
    transformQuery: ({ node }) => {
      reads.count += 1
      return node
    },
    transformResult: async ({ result }) => result,
  })
  return { store: { ...store, db }, reads }
}

type Forgery = {
  readonly key?: KeyObject
  readonly header?: object
  readonly claims?: JWTPayload
}

/** A token like `token`, but for what is given; signed with the gateway's own key if none is. */
async function forge({ keys }: Gateway, token: string, { key, header, claims }: Forgery) {
  const own = await keys.current()
  return new SignJWT({ ...decodeJwt(token), ...claims })
    .setProtectedHeader({ alg: 'EdDSA', typ: 'at+jwt', kid: own.kid, ...header })
    .sign(key ?? own.privateKey)
}

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

forEachStore(({ open, reopen }, dialect) => {
  test('a token says what the contract says, and nothing else', async () => {
    const gateway = await openWithings(await open())
    const token = await getToken(gateway, gateway.serviceToken)
    const { kid } = await gateway.keys.current()
    assert.deepEqual(decodeProtectedHeader(token), { alg: 'EdDSA', typ: 'at+jwt', kid })
    const { jti, iat, exp, ...claims } = decodeJwt(token)
    assert.match(String(jti), /^[0-9A-Za-z]{22}$/)
    assert.equal(Number(exp) - Number(iat), 300)
    assert.deepEqual(claims, {
      iss: publicUrl,
      aud: `${publicUrl}/p/withings`,
      ...{ sub: 'agt_1', client_id: 'stk_agt_1', gen: 1, connection: 'con_1' },
      ...ask,
    })
  })

  test('a verified token comes with its grant, its connection and the policy epoch', async () => {
    const gateway = await openWithings(await open())
    const token = await getToken(gateway, gateway.serviceToken)
    const verified = await gateway.verifier.verify(token, 'withings')
    assertVerified(verified)
    assert.equal(verified.operation.intent, ask.intent)
    assert.equal(verified.grant.id, 'grt_1')
    assert.equal(verified.agentName, 'name of agt_1')
    assert.deepEqual(verified.connection, {
      ...{ id: 'con_1', provider: 'withings', label: 'default', owner: null },
      ...{ status: 'connected', reason: null, generation: 1, sandbox: false, applicationId: null },
    })
    assert.equal(verified.policyEpoch, gateway.store.policyEpoch())
  })

  test('the second use is answered at once: no signature check, no database', async () => {
    const gateway = await openWithings(await open())
    const token = await getToken(gateway, gateway.serviceToken)
    const { store, reads } = counting(gateway.store)
    const lookups = { count: 0 }
    const find = (kid: string) => {
      lookups.count += 1
      return gateway.keys.find(kid)
    }
    const verifier = createVerifier({
      ...gateway,
      store,
      keys: { ...gateway.keys, find },
      publicUrl,
    })
    const first = await verifier.verify(token, 'withings')
    assert.ok(reads.count > 0 && lookups.count === 1)
    reads.count = 0
    const second = verifier.verify(token, 'withings')
    assert.ok(!(second instanceof Promise))
    assertVerified(second)
    assert.equal(second, first)
    assert.deepEqual([reads.count, lookups.count], [0, 1])
  })

  test('a new policy epoch reads the authority again, once, without a signature check', async () => {
    const gateway = await openWithings(await open())
    const token = await getToken(gateway, gateway.serviceToken)
    await gateway.verifier.verify(token, 'withings')
    await addGrant(gateway.store, { id: 'grt_2', connectionId: 'con_1', scope: 'write' })
    const renewed = gateway.verifier.verify(token, 'withings')
    assert.ok(renewed instanceof Promise)
    const verified = await renewed
    assertVerified(verified)
    assert.equal(verified.grant.id, 'grt_2')
    assert.equal(gateway.verifier.verify(token, 'withings'), verified)
  })

  test('what is remembered is bounded, and what was forgotten is verified anew', async () => {
    const gateway = await openWithings(await open())
    const verifier = createVerifier({ ...gateway, publicUrl, capacity: 2 })
    const tokens = []
    for (let count = 0; count < 3; count += 1) {
      const token = await getToken(gateway, gateway.serviceToken)
      assertVerified(await verifier.verify(token, 'withings'))
      tokens.push(token)
    }
    const isPending = tokens.map((token) => verifier.verify(token, 'withings') instanceof Promise)
    assert.deepEqual(isPending, [true, false, false])
    const [, second = ''] = tokens
    verifier.forget(second)
    assert.ok(verifier.verify(second, 'withings') instanceof Promise)
  })

  test('a token that is not one canonical JWT is refused, and the reason given', async () => {
    const gateway = await openWithings(await open())
    const token = await getToken(gateway, gateway.serviceToken)
    const [head = '', body = '', signature = ''] = token.split('.')
    const last = signature.at(-1) ?? ''
    const stray = String.fromCharCode(last.charCodeAt(0) + 1)
    const cases: readonly (readonly [string, RegExp])[] = [
      ['', /is missing/],
      [gateway.serviceToken, /is a service token/],
      ['nonsense', /is truncated/],
      [token.slice(0, -1), /is truncated/],
      [token.slice(0, -20), /is truncated/],
      [`${head}.${body}`, /is truncated/],
      [`${token}.${signature}`, /is malformed/],
      [`${token}=`, /is malformed/],
      [`${head}=.${body}.${signature}`, /is malformed/],
      [`${head}.${body}.${signature.slice(0, -1)}${stray}`, /canonical/],
      [`${head}.${body}.+${signature.slice(1)}`, /is malformed/],
      [`${head}.${body} .${signature}`, /is malformed/],
      [`.${body}.${signature}`, /canonical/],
      [`${head}.${body}.${signature}AAAA`, /wrong signature/],
    ]
    // The genuine one is remembered: a sloppy spelling of it must not find it there.
    assertVerified(await gateway.verifier.verify(token, 'withings'))
    for (const [sloppy, message] of cases) {
      assertRefused(await gateway.verifier.verify(sloppy, 'withings'), 'invalid_token', message)
    }
  })

  test('a remembered signature vouches for no other header or claims', async () => {
    const gateway = await openWithings(await open())
    const token = await getToken(gateway, gateway.serviceToken)
    assertVerified(await gateway.verifier.verify(token, 'withings'))
    const [head = '', , signature = ''] = token.split('.')
    const more = encode({ ...decodeJwt(token), scope: 'all' })
    const forged = `${head}.${more}.${signature}`
    assertRefused(await gateway.verifier.verify(forged, 'withings'), 'invalid_token', /signature/)
    assertVerified(await gateway.verifier.verify(token, 'withings'))
  })

  test('a token that this gateway did not sign for this use is refused', async () => {
    const gateway = await openWithings(await open())
    const token = await getToken(gateway, gateway.serviceToken)
    const stranger = generateKeyPairSync('ed25519').privateKey
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
    const unsigned = `${encode({ alg: 'none', typ: 'at+jwt' })}.${token.split('.')[1]}.${'A'.repeat(86)}`
    const tokens: Readonly<Record<string, string>> = {
      'another key under our key id': await forge(gateway, token, { key: stranger }),
      'a key id that is not ours': await forge(gateway, token, { header: { kid: 'other' } }),
      'no key id': await forge(gateway, token, { header: { kid: undefined } }),
      'another algorithm': await forge(gateway, token, { key: rsa, header: { alg: 'RS256' } }),
      'no signature': unsigned,
      'another type': await forge(gateway, token, { header: { typ: 'JWT' } }),
      'another issuer': await forge(gateway, token, { claims: { iss: 'http://other.test' } }),
      'another audience': await forge(gateway, token, { claims: { aud: publicUrl } }),
      'an audience of another provider': await forge(gateway, token, {
        claims: { aud: `${publicUrl}/p/trello` },
      }),
      'no expiry': await forge(gateway, token, { claims: { exp: undefined } as never }),
      'a level that does not exist': await forge(gateway, token, { claims: { scope: 'root' } }),
      'actions that are no list': await forge(gateway, token, { claims: { actions: 'all' } }),
      'a generation as text': await forge(gateway, token, { claims: { gen: '1' } }),
    }
    for (const [name, forged] of Object.entries(tokens)) {
      const judged = await gateway.verifier.verify(forged, 'withings')
      assert.ok(isRefusal(judged), name)
      assert.equal(judged.code, 'invalid_token', name)
      assert.equal(judged.operation, null, name)
    }
  })

  test('a signed token that was never issued is refused', async () => {
    const gateway = await openWithings(await open())
    const token = await getToken(gateway, gateway.serviceToken)
    for (const claims of [{ jti: 'x'.repeat(22) }, { sub: 'agt_2' }, { client_id: 'stk_2' }]) {
      const forged = await forge(gateway, token, { claims })
      assertRefused(await gateway.verifier.verify(forged, 'withings'), 'invalid_token', /unknown/)
    }
  })

  test('a token expires to the second, also when it is remembered', async () => {
    let now = 1_000_000_000_000
    const gateway = await openWithings(await open(), () => now)
    const token = await getToken(gateway, gateway.serviceToken, { ...ask, ttl: 30 })
    now += 29_999
    assertVerified(await gateway.verifier.verify(token, 'withings'))
    now += 1
    assertRefused(await gateway.verifier.verify(token, 'withings'), 'invalid_token', /expired/)
    gateway.verifier.forget(token)
    const judged = await gateway.verifier.verify(token, 'withings')
    assertRefused(judged, 'invalid_token', /expired/)
    assert.ok(isRefusal(judged) && judged.operation?.agentId === 'agt_1')
  })

  test('a token for another provider is refused with the request for the right one', async () => {
    const gateway = await openWithings(await open())
    const token = await getToken(gateway, gateway.serviceToken)
    for (const use of ['first', 'remembered']) {
      const judged = await gateway.verifier.verify(token, 'trello')
      assertRefused(judged, 'provider_mismatch', /is for withings/)
      assert.ok(isRefusal(judged), use)
      assert.deepEqual(judged.members, { token_request: { ...ask, provider: 'trello' } })
      assertVerified(await gateway.verifier.verify(token, 'withings'))
    }
  })

  type Ending = {
    readonly name: string
    readonly end: (gateway: Gateway) => Promise<void>
    readonly code: string
    readonly message: RegExp
  }
  const endings: readonly Ending[] = [
    {
      name: 'its agent was revoked',
      end: ({ store }) => write(store, [revokeAgent(store.db, 'agt_1', 1)], true),
      ...{ code: 'invalid_token', message: /agent, which was revoked/ },
    },
    {
      name: 'its service token was revoked',
      end: ({ store }) => write(store, [revokeServiceToken(store.db, 'stk_agt_1', 1)], true),
      ...{ code: 'invalid_token', message: /service token, which was revoked/ },
    },
    {
      name: 'the grace period of its service token was cut to nothing',
      end: ({ store }) => {
        const rotation = { agentId: 'agt_1', keptId: 'stk_new', expiresAt: 1 }
        return write(store, [endOtherServiceTokens(store.db, rotation)], true)
      },
      ...{ code: 'invalid_token', message: /service token, which has expired/ },
    },
    {
      name: 'its grant was taken away',
      end: ({ store }) => write(store, [deleteGrant(store.db, 'grt_1')], true),
      ...{ code: 'provider_not_granted', message: /no grant/ },
    },
    {
      name: 'another account was connected',
      end: ({ store }) => changeConnection(store, 'con_1', { generation: 2 }),
      ...{ code: 'invalid_token', message: /another account/ },
    },
    {
      name: 'its connection must be made anew',
      end: ({ store }) =>
        changeConnection(store, 'con_1', {
          status: 'needs_reconnect',
          reason: 'consent withdrawn',
        }),
      ...{ code: 'needs_reconnect', message: /default must be made anew: consent withdrawn/ },
    },
    {
      name: 'its connection was removed',
      end: ({ store }) => changeConnection(store, 'con_1', { status: 'removed' }),
      ...{ code: 'not_connected', message: /was removed/ },
    },
  ]
  for (const { name, end, code, message } of endings) {
    test(`a token that worked is refused once ${name}`, async () => {
      const gateway = await openWithings(await open())
      const token = await getToken(gateway, gateway.serviceToken)
      assertVerified(await gateway.verifier.verify(token, 'withings'))
      await end(gateway)
      const judged = await gateway.verifier.verify(token, 'withings')
      assertRefused(judged, code, message)
      assert.ok(isRefusal(judged) && judged.operation?.agentId === 'agt_1')
      assertRefused(await gateway.verifier.verify(token, 'withings'), code, message)
    })
  }

  test('a connection that was mended serves the tokens of the same account again', async () => {
    const gateway = await openWithings(await open())
    const token = await getToken(gateway, gateway.serviceToken)
    await changeConnection(gateway.store, 'con_1', { status: 'needs_reconnect', reason: 'gone' })
    assertRefused(await gateway.verifier.verify(token, 'withings'), 'needs_reconnect')
    await changeConnection(gateway.store, 'con_1', { status: 'connected', reason: null })
    assertVerified(await gateway.verifier.verify(token, 'withings'))
  })

  test('a remembered token ends when its service token expires', async () => {
    let now = 1_000_000_000_000
    const gateway = await openWithings(await open(), () => now)
    const token = await getToken(gateway, gateway.serviceToken)
    const rotation = { agentId: 'agt_1', keptId: 'stk_new', expiresAt: now + 10_000 }
    const { store } = gateway
    await write(store, [endOtherServiceTokens(store.db, rotation)], true)
    assertVerified(await gateway.verifier.verify(token, 'withings'))
    now += 10_000
    const judged = gateway.verifier.verify(token, 'withings')
    assert.ok(!(judged instanceof Promise))
    assertRefused(judged, 'invalid_token', /service token, which has expired/)
  })

  // An SQLite file has one node.
  if (dialect === 'sqlite') return

  test('a token of one node is verified by another, and its revocation heard there', async () => {
    const gateway = await openWithings(await open())
    const store = await reopen()
    const verifier = createVerifier({ ...gateway, store, publicUrl })
    const token = await getToken(gateway, gateway.serviceToken)
    const verified = await verifier.verify(token, 'withings')
    assertVerified(verified)
    await write(gateway.store, [revokeServiceToken(gateway.store.db, 'stk_agt_1', 1)], true)
    // What the proxy does before a byte leaves: an attempt, conditional on the epoch.
    const records = [store.draft({ kind: 'config.test' })]
    const { kind } = await store.write({ records, ifPolicyEpoch: verified.policyEpoch })
    assert.equal(kind, 'stale')
    assertRefused(await verifier.verify(token, 'withings'), 'invalid_token', /revoked/)
  })
})
