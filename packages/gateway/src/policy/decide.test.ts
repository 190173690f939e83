import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { readProvider } from '../catalog/load.ts'
import type { ProblemMembers } from '../errors.ts'
import { type ComposedRequest, type Grant, type Operation, scopes } from '../words.ts'
import { type Denial, decide, isDenied } from './decide.ts'
import { rulesWithin } from './scope.ts'

/** The table of calls is in each provider's cases.yaml; here is what a denial says, and the laws. */
const withings = await readProvider(join(import.meta.dirname, '../../../../providers/withings'))
const forge = await readProvider(join(import.meta.dirname, '../catalog/examples/forge'))

const grant: Grant = {
  ...{ id: 'gra_1', agentId: 'agt_1', provider: 'withings', scope: 'all', owner: null },
  ...{ connectionId: 'con_1', only: null, except: [], constraints: {} },
}
const operation: Operation = {
  ...{ agentId: 'agt_1', serviceTokenId: 'st_1', provider: 'withings', connectionId: 'con_1' },
  ...{ generation: 1, scope: 'read', intent: 'tidy up', actions: null, jti: 'j', expiresAt: 0 },
}
const composed = (path: string, action: string | null, agentMethod = 'POST'): ComposedRequest => ({
  ...{ provider: 'withings', agentMethod, method: 'POST', origin: 'https://wbsapi.withings.net' },
  ...{ path, query: null, headers: [], body: null, action },
})

function denialOf(request: ComposedRequest, changes: Partial<Grant & Operation> = {}): Denial {
  const context = {
    operation: { ...operation, ...changes, scope: operation.scope },
    grant: { ...grant, ...changes },
    provider: withings,
  }
  const decided = decide(request, context)
  assert.ok(isDenied(decided))
  return decided
}

const membersOf = (denial: Denial): ProblemMembers => denial.refusal.members

test('a denial teaches: what is needed, what is held, why, and the body that gets it', () => {
  const denial = denialOf(composed('/v2/user', 'unlink'))
  assert.equal(denial.rule, 'user.unlink')
  assert.equal(denial.refusal.code, 'insufficient_scope')
  assert.deepEqual(denial.refusal.members, {
    required_scope: 'delete',
    granted_scope: 'read',
    rule: 'user.unlink',
    docs: 'https://developer.withings.com/api-reference/#tag/user',
    token_request: {
      provider: 'withings',
      scope: 'delete',
      intent: 'tidy up',
      connection: 'con_1',
    },
  })
  assert.match(denial.refusal.message, /user\.unlink needs the scope delete; .*holds read/)
})

test('above the grant there is no token to ask for, and the message says who can help', () => {
  const denial = denialOf(composed('/v2/user', 'unlink'), { scope: 'write' })
  assert.equal(membersOf(denial).token_request, undefined)
  assert.match(denial.refusal.message, /Only the operator can widen it, to withings:delete/)
})

test('what the grant leaves out comes without a token to ask for', () => {
  for (const changes of [
    { except: ['user.unlink'] },
    { only: ['user.link'] },
    { constraints: { userid: '1' } },
  ]) {
    const denial = denialOf(composed('/v2/user', 'unlink'), changes)
    assert.equal(denial.refusal.code, 'outside_grant')
    assert.equal(denial.rule, 'user.unlink')
    assert.equal(membersOf(denial).token_request, undefined)
  }
})

test('a narrowed token is told about a token for this rule', () => {
  const denial = denialOf(composed('/measure', 'getmeas'), { actions: ['sleep.get'] })
  assert.equal(denial.refusal.code, 'insufficient_scope')
  assert.deepEqual(membersOf(denial).token_request, {
    ...{ provider: 'withings', scope: 'read', intent: 'tidy up', connection: 'con_1' },
  })
})

test('a call that no rule names has no rule, and its action is quoted at no length', () => {
  const denial = denialOf(composed('/v2/user', `"${'x'.repeat(10_000)}`))
  assert.equal(denial.rule, null)
  assert.equal(membersOf(denial).required_scope, 'all')
  assert.equal(membersOf(denial).docs, withings.docs)
  assert.ok(denial.refusal.message.length < 500)
})

const anyScope = fc.constantFrom(...scopes)
const anyCall = fc.record({
  path: fc.constantFrom('/measure', '/v2/measure', '/v2/user', '/notify', '/v2/notify', '/x'),
  action: fc.constantFrom(...withings.rules.map(({ action }) => action), 'other', null),
  method: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'HEAD'),
})

test('more scope never takes a call away', () => {
  fc.assert(
    fc.property(anyCall, anyScope, anyScope, ({ path, action, method }, one, other) => {
      const allows = (held: typeof one) => {
        const context = { operation: { ...operation, scope: held }, grant, provider: withings }
        return !isDenied(decide(composed(path, action, method), context))
      }
      const [low, high] = [one, other].sort((a, b) => scopes.indexOf(a) - scopes.indexOf(b))
      assert.ok(low && high && (!allows(low) || allows(high)))
    }),
  )
})

test('a call is allowed exactly when its rule is within the scope of token and grant', () => {
  fc.assert(
    fc.property(anyCall, anyScope, anyScope, ({ path, action, method }, held, granted) => {
      const context = {
        operation: { ...operation, scope: held },
        grant: { ...grant, scope: granted },
        provider: withings,
      }
      const decided = decide(composed(path, action, method), context)
      const rule = isDenied(decided) ? decided.rule : decided.decision.rule
      const isWithin =
        rule === null
          ? held === 'all' && granted === 'all'
          : rulesWithin(withings, held).has(rule) && rulesWithin(withings, granted).has(rule)
      assert.equal(!isDenied(decided), isWithin)
    }),
  )
})

test('an allowed request is the very request that was judged', () => {
  const request = composed('/measure', 'getmeas')
  const decided = decide(request, { operation, grant, provider: withings })
  assert.ok(!isDenied(decided))
  assert.equal(decided.composed, request)
  assert.deepEqual(decided.decision, { kind: 'allow', rule: 'measure.getmeas', level: 'read' })
})

test('where unknown calls are refused, not even all helps', () => {
  const context = { operation: { ...operation, scope: 'all' as const }, grant, provider: forge }
  const decided = decide(composed('/repos/a/b', null, 'PUT'), context)
  assert.ok(isDenied(decided) && decided.refusal.code === 'forbidden_target')
})

test('the levels of Withings are these', () => {
  const added = scopes.map((scope, i) => {
    const below = i === 0 ? new Set<string>() : rulesWithin(withings, scopes[i - 1] ?? 'read')
    return [...rulesWithin(withings, scope)].filter((id) => !below.has(id))
  })
  assert.deepEqual(added, [
    [
      ...['measure.getmeas', 'measure.getactivity', 'measure.getintradayactivity'],
      ...['measure.getworkouts', 'sleep.getsummary', 'sleep.get', 'heart.list', 'heart.get'],
      ...['user.getdevice', 'user.getgoals', 'user.get', 'notify.list', 'notify.get'],
    ],
    ['user.link', 'notify.subscribe'],
    ['measure.confirmuser', 'notify.update'],
    ['user.unlink', 'notify.revoke'],
    [],
  ])
})
