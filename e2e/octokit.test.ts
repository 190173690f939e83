import assert from 'node:assert/strict'
import { request } from 'node:http'
import { after, before, test } from 'node:test'
import { Octokit } from '@octokit/rest'
import { connectWithings, exchange, tokenOf } from './gateway.ts'
import { type GitHub, oddPath, startGitHub } from './github.ts'
import { forEachHome } from './homes.ts'

/** The stand-in of the home whose suite runs. */
let github: GitHub
const standIns = async () => {
  github = await startGitHub()
  return { github: github.url }
}

const engine = { owner: 'ada', repo: 'engine' }
const notes = { owner: 'ada', repo: 'notes' }

forEachHome(
  (home) => {
    const handedOut: string[] = []
    const serviceTokens: Record<string, string> = {}

    before(async () => {
      const bad = await home.admin('POST', '/connections', {
        ...{ provider: 'github', credential: 'ghp_nobody' },
      })
      assert.equal(bad.status, 400, JSON.stringify(bad.body))
      assert.match(String(bad.body.message), /Nothing was connected.*401 Bad credentials/)
      const { status, body } = await home.admin('POST', '/connections', {
        ...{ provider: 'github', credential: github.credential },
      })
      assert.equal(status, 201, JSON.stringify(body))
      assert.deepEqual([body.account_name, body.sandbox], ['ada', true])
      await connectWithings(home, home.sandbox)
      const grant = { provider: 'github', scope: 'write' }
      await create('writer', [grant, { provider: 'withings', scope: 'read' }])
      await create('bound', [{ ...grant, constraints: engine }])
    })

    after(() => github.close())

    const create = async (name: string, grants: object[]) => {
      const made = await home.admin('POST', '/agents', { name, grants })
      assert.equal(made.status, 201, JSON.stringify(made.body))
      serviceTokens[name] = String(made.body.service_token)
    }
    const tokenFor = async (agent: string, scope: string, provider = 'github') => {
      const ask = { provider, scope, intent: 'triage the new issues' }
      const token = await tokenOf(await exchange(home.url, serviceTokens[agent] ?? '', ask))
      handedOut.push(token)
      return token
    }
    const octokitFor = async (agent: string, scope = 'read') =>
      new Octokit({
        ...{ baseUrl: `${home.url}/p/github`, auth: await tokenFor(agent, scope), log: silent },
      })
    const connection = async () => (await home.admin('GET', '/connections/github@default')).body

    /** The whole log, as `okoro audit export` reads it, with what private fields stand for. */
    const exportedText = async () => {
      let [text, cursor] = ['', '']
      do {
        const page = await home.admin('GET', `/audit?limit=100${cursor && `&cursor=${cursor}`}`)
        assert.equal(page.status, 200, JSON.stringify(page.body))
        text += JSON.stringify(page.body.items)
        cursor = page.body.next_cursor ?? ''
      } while (cursor !== '')
      return text
    }

    test('octokit, which nobody here wrote, reads through okoro', async () => {
      const octokit = await octokitFor('writer')
      const { data: user } = await octokit.rest.users.getAuthenticated()
      assert.equal(user.login, 'ada')
      const { data: repo, headers } = await octokit.rest.repos.get(engine)
      assert.equal(repo.full_name, 'ada/engine')
      assert.ok(Number(headers['x-ratelimit-remaining']) > 0)
      const { data: found } = await octokit.rest.search.issuesAndPullRequests({ q: 'two' })
      assert.ok(found.total_count > 0)
    })

    test('an agent that says nothing about itself is not refused for that', async () => {
      github.forget()
      const authorization = `Bearer ${await tokenFor('writer', 'read')}`
      const status = await new Promise((resolve, reject) => {
        // Unlike fetch, this sends no User-Agent.
        const sent = request(`${home.url}/p/github/user`, { headers: { authorization } })
        sent.once('response', (response) => resolve(response.resume().statusCode))
        sent.once('error', reject)
        sent.end()
      })
      assert.equal(status, 200)
      assert.ok(github.seen[0]?.rawHeaders.includes('okoro'))
    })

    test('octokit reads a file behind an encoded slash, and a label with colon and blank', async () => {
      github.forget()
      const octokit = await octokitFor('bound')
      const { data: file } = await octokit.rest.repos.getContent({ ...engine, path: 'docs/a.md' })
      assert.ok('content' in file && Buffer.from(file.content, 'base64').toString() === '# Docs\n')
      const { data: label } = await octokit.rest.issues.getLabel({ ...engine, name: 'type: bug' })
      assert.equal(label.name, 'type: bug')
      assert.deepEqual(
        github.seen.map(({ target }) => target),
        ['/repos/ada/engine/contents/docs%2Fa.md', '/repos/ada/engine/labels/type%3A%20bug'],
      )
    })

    test('octokit pages, though the links of GitHub lead to another path', async () => {
      github.forget()
      const octokit = await octokitFor('bound')
      const first = await octokit.rest.issues.listForRepo({ ...engine, per_page: 1 })
      const here = `${home.url}/p/github/repos/ada/engine/issues`
      assert.match(
        first.headers.link ?? '',
        new RegExp(`^<${here}\\?per_page=1&page=2>; rel="next"`),
      )
      const issues = await octokit.paginate(octokit.rest.issues.listForRepo, {
        ...{ ...engine, per_page: 1 },
      })
      assert.ok(issues.length >= 3)
      assert.ok(github.seen.every(({ target }) => target.startsWith('/repos/ada/engine/issues?')))
    })

    test('what has not changed is answered with 304', async () => {
      const octokit = await octokitFor('writer')
      const { headers } = await octokit.rest.repos.get(engine)
      const again = octokit.rest.repos.get({
        ...{ ...engine, headers: { 'if-none-match': headers.etag } },
      })
      await assert.rejects(again, { status: 304 })
    })

    test('a read token cannot write, and nothing arrives', async () => {
      const octokit = await octokitFor('writer', 'read')
      github.forget()
      const attempts = [
        () => octokit.rest.issues.create({ ...engine, title: 'no' }),
        () => octokit.rest.issues.update({ ...engine, issue_number: 1, state: 'closed' }),
        () => octokit.rest.activity.starRepoForAuthenticatedUser(engine),
        () => octokit.rest.issues.deleteLabel({ ...engine, name: 'type: bug' }),
      ]
      for (const attempt of attempts) assert.equal(await refusalOf(attempt), 'insufficient_scope')
      assert.deepEqual(github.seen, [])
    })

    test('a write token opens an issue; its bytes arrive, and its Location leads back here', async () => {
      github.forget()
      const octokit = await octokitFor('writer', 'write')
      const { data, headers } = await octokit.rest.issues.create({ ...engine, title: 'vier: ü' })
      assert.equal(data.title, 'vier: ü')
      assert.equal(headers.location, `${home.url}/p/github/repos/ada/engine/issues/${data.number}`)
      assert.equal(github.seen[0]?.body, '{"title":"vier: ü"}')
    })

    test('a grant for one repository refuses every other way to one', async () => {
      const octokit = await octokitFor('bound', 'write')
      assert.equal((await octokit.rest.repos.get(engine)).data.name, 'engine')
      github.forget()
      const attempts = [
        () => octokit.rest.repos.get(notes),
        () => octokit.rest.issues.create({ ...notes, title: 'no' }),
        () => octokit.rest.repos.get({ owner: 'Ada', repo: 'Engine' }),
        () => octokit.rest.search.code({ q: 'repo:ada/notes x' }),
        () => octokit.rest.repos.listForAuthenticatedUser(),
        () => octokit.rest.activity.starRepoForAuthenticatedUser(notes),
      ]
      for (const attempt of attempts) assert.equal(await refusalOf(attempt), 'outside_grant')
      const byNumber = () => octokit.request('GET /repositories/1300192/issues')
      assert.equal(await refusalOf(byNumber), 'forbidden_target')
      const climbing = () =>
        octokit.rest.repos.getContent({ ...engine, path: '../../notes/contents/README.md' })
      assert.equal(await refusalOf(climbing), 'bad_target')
      assert.deepEqual(github.seen, [])
    })

    test('one gateway serves Withings beside it', async () => {
      const token = await tokenFor('writer', 'read', 'withings')
      const response = await fetch(`${home.url}/p/withings/v2/user`, {
        ...{ method: 'POST', headers: { authorization: `Bearer ${token}` } },
      })
      assert.equal(((await response.json()) as { status: number }).status, 0)
      const wrong = new Octokit({ baseUrl: `${home.url}/p/github`, auth: token, log: silent })
      assert.equal(await refusalOf(() => wrong.rest.repos.get(engine)), 'provider_mismatch')
    })

    test('a credential that GitHub takes back is found out, and another one pasted over it', async () => {
      const octokit = await octokitFor('writer')
      const credential = github.replaceCredential()
      await assert.rejects(octokit.rest.repos.get(engine), { status: 401 })
      await until(async () => (await connection()).status === 'needs_reconnect')
      assert.match(String((await connection()).reason), /401 Bad credentials/)
      assert.equal(await refusalOf(() => octokit.rest.repos.get(engine)), 'needs_reconnect')
      const made = await home.admin('POST', '/connections', { provider: 'github', credential })
      assert.deepEqual([made.status, made.body.generation], [201, 1])
      assert.equal((await octokit.rest.repos.get(engine)).data.name, 'engine')
    })

    test('a 401 of one odd endpoint reaches the agent and ends no connection', async () => {
      const octokit = await octokitFor('writer')
      github.forget()
      for (let left = 5; left > 0; left -= 1) {
        await assert.rejects(octokit.rest.rateLimit.get(), { status: 401 })
      }
      await until(async () => github.seen.some(({ target }) => target === '/user'))
      const probes = github.seen.filter(({ target }) => target === '/user').length
      assert.ok(probes <= home.nodes.length, `${probes} probes`)
      assert.equal(github.seen.filter(({ target }) => target === oddPath).length, 5)
      assert.equal((await connection()).status, 'connected')
      assert.equal((await octokit.rest.repos.get(engine)).data.name, 'engine')
    })

    test('GitHub saw nothing but its credential, and no secret stands anywhere', async () => {
      const pasted = [...github.credentials, 'ghp_nobody']
      assert.ok(github.all.length > 20)
      for (const { rawHeaders } of github.all) {
        const [slot, ...more] = rawHeaders.flatMap((name, at) =>
          at % 2 === 0 && name.toLowerCase() === 'authorization' ? [rawHeaders[at + 1]] : [],
        )
        assert.deepEqual(more, [])
        assert.ok(pasted.some((credential) => slot === `Bearer ${credential}`))
        assert.equal(
          rawHeaders.filter((part) => pasted.some((one) => part.includes(one))).length,
          1,
        )
      }
      const ours = [...handedOut, ...Object.values(serviceTokens)]
      assert.ok(ours.length > 8 && ours.every((each) => each.length > 40))
      const arrived = JSON.stringify(github.all)
      for (const secret of ours) assert.ok(!arrived.includes(secret), 'a token of ours arrived')

      const exported = await exportedText()
      assert.match(exported, /repos\.get/)
      const contents = await home.contents()
      for (const secret of [...ours, ...pasted]) {
        assert.ok(!exported.includes(secret), 'a secret stands in the export')
        assert.ok(!contents.includes(secret), 'a secret lies in the database')
        assert.ok(!home.log().includes(secret), 'a secret stands in the log')
      }
    })
  },
  { standIns },
)

const ignore = () => {}
const silent = { debug: ignore, info: ignore, warn: ignore, error: ignore }

/** The code with which the gateway refused. */
async function refusalOf(attempt: () => Promise<unknown>): Promise<unknown> {
  const error = await attempt().then(
    () => null,
    (thrown: unknown) => thrown,
  )
  if (typeof error !== 'object' || error === null || !('response' in error)) {
    throw new Error(`no refusal: ${error}`)
  }
  const { headers } = error.response as { headers: Readonly<Record<string, string>> }
  return headers['okoro-error']
}

/** Waits for what happens soon, if at all. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  for (let left = 600; left > 0; left -= 1) {
    if (await isSo()) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error('it never came')
}
