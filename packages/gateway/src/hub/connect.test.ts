import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { beginFlow } from '../connections/connect.ts'
import { listConnections } from '../connections/connections.ts'
import {
  addTestApplication,
  consent,
  granted,
  openRoom,
  type Room,
  startSandbox,
  testClock,
} from '../connections/testing.ts'
import { Malfunction } from '../errors.ts'
import { forEachStore } from '../store/testing.ts'
import { connectRoutes } from './connect.ts'
import { page } from './page.ts'

forEachStore((stores) => {
  async function start(change: Partial<Room> = {}) {
    const clock = testClock()
    const sandbox = await startSandbox(clock)
    const room = await openRoom(await stores.open(clock), clock, sandbox.url)
    await addTestApplication(room, sandbox)
    const reported: unknown[] = []
    const routes = connectRoutes({ ...room, ...change }, (error) => reported.push(error))
    const begin = async () => granted(await beginFlow(room, { provider: 'withings' })).link
    return { clock, sandbox, room, routes, reported, begin }
  }

  type Routes = Awaited<ReturnType<typeof start>>['routes']

  async function openInBrowser(routes: Routes, link: string) {
    const answer = await routes.request(link)
    assert.equal(answer.status, 303)
    const cookie = answer.headers.getSetCookie()
    const back = await consent(answer.headers.get('location') ?? '')
    return { answer, cookie: cookie[0] ?? '', back: back.href }
  }

  const withCookie = (cookie: string) => ({ headers: { cookie: cookie.split(';')[0] ?? '' } })

  test('a browser goes through link, consent and callback, and reads that it worked', async () => {
    const { routes, begin, room } = await start()
    const { answer, cookie, back } = await openInBrowser(routes, await begin())
    assert.match(
      cookie,
      /^okoro_connect_[0-9a-f]{16}=[\w-]{43}; Max-Age=600; Path=\/connect\/callback; HttpOnly; SameSite=Lax$/,
    )
    assert.equal(answer.headers.get('referrer-policy'), 'no-referrer')
    assert.equal(answer.headers.get('cache-control'), 'no-store')
    const done = await routes.request(back, withCookie(cookie))
    const html = await done.text()
    assert.equal(done.status, 200)
    assert.match(html, /<h1>Withings is connected<\/h1>/)
    assert.match(html, /This is the sandbox/)
    assert.equal((await listConnections(room)).length, 1)
  })

  test('behind https the cookie is Secure and says so in its name', async () => {
    const { routes, begin } = await start({ publicUrl: 'https://okoro.example/gateway' })
    const link = new URL(await begin())
    const answer = await routes.request(link.pathname)
    const [cookie] = answer.headers.getSetCookie()
    assert.match(cookie ?? '', /^__Secure-okoro_connect_/)
    assert.match(
      cookie ?? '',
      /; Path=\/gateway\/connect\/callback; HttpOnly; Secure; SameSite=Lax$/,
    )
  })

  test('a link preview (HEAD) uses up neither link nor answer', async () => {
    const { routes, begin } = await start()
    const link = await begin()
    assert.equal((await routes.request(link, { method: 'HEAD' })).status, 200)
    const { cookie, back } = await openInBrowser(routes, link)
    assert.equal((await routes.request(back, { method: 'HEAD' })).status, 200)
    assert.equal((await routes.request(back, withCookie(cookie))).status, 200)
  })

  test('two links opened in one browser both lead home', async () => {
    const { routes, room } = await start()
    const links = await Promise.all(
      ['a', 'b'].map(async (label) =>
        granted(await beginFlow(room, { provider: 'withings', label })),
      ),
    )
    const opened = []
    for (const { link } of links) opened.push(await openInBrowser(routes, link))
    const jar = opened.map(({ cookie }) => cookie.split(';')[0]).join('; ')
    for (const { back } of opened) {
      assert.equal((await routes.request(back, { headers: { cookie: jar } })).status, 200)
    }
    assert.equal((await listConnections(room)).length, 2)
  })

  const failures = [
    { name: 'an unknown link', status: 404, title: 'This link is not known', link: 'made-up' },
    { name: 'a used link', status: 409, title: 'This link was already used', isTwice: true },
    { name: 'an expired link', status: 409, title: 'This link has expired', wait: 61 * 60_000 },
  ] as const
  for (const failure of failures) {
    test(`${failure.name} gets a page that says so, and no cookie`, async () => {
      const { routes, begin, clock } = await start()
      const link = 'link' in failure ? `/connect/start/${failure.link}` : await begin()
      if ('isTwice' in failure) await routes.request(link)
      if ('wait' in failure) clock.advance(failure.wait)
      const answer = await routes.request(link)
      const html = await answer.text()
      assert.equal(answer.status, failure.status)
      assert.ok(html.includes(`<h1>${failure.title}</h1>`))
      assert.match(html, /What to do next/)
      assert.deepEqual(answer.headers.getSetCookie(), [])
    })
  }

  test('another browser gets a page that repeats neither code nor state', async () => {
    const { routes, begin } = await start()
    const { back } = await openInBrowser(routes, await begin())
    const answer = await routes.request(back)
    const html = await answer.text()
    assert.equal(answer.status, 400)
    assert.match(html, /This is not the browser that opened the link/)
    for (const secret of new URL(back).searchParams.values()) assert.ok(!html.includes(secret))
  })

  test('what the provider says is shown as text, never as markup', async () => {
    const { routes, begin } = await start()
    const { cookie, back } = await openInBrowser(routes, await begin())
    const url = new URL(back)
    url.searchParams.delete('code')
    url.searchParams.set('error', '<script>alert(1)</script>')
    const answer = await routes.request(url.href, withCookie(cookie))
    const html = await answer.text()
    assert.ok(html.includes('&lt;script&gt;'))
    assert.ok(!html.includes('<script'))
  })

  test('a malfunction is reported and shown as a page', async () => {
    const broken = new Malfunction('audit_unavailable', 'The audit log cannot be written.')
    const { room } = await start()
    const write = () => Promise.reject(broken)
    const store = { ...room.store, write }
    const reported: unknown[] = []
    const routes = connectRoutes({ ...room, store }, (error) => reported.push(error))
    const { link } = granted(await beginFlow(room, { provider: 'withings' }))
    const answer = await routes.request(link)
    assert.equal(answer.status, 503)
    assert.match(await answer.text(), /The audit log cannot be written/)
    assert.deepEqual(reported, [broken])
  })
})

test('a page runs no script, loads nothing and may not be framed', async () => {
  const answer = page({ status: 200, title: 'T', what: ['W'], next: 'N', tone: 'good' })
  const html = await answer.text()
  const style = /<style>([\s\S]*?)<\/style>/.exec(html)?.[1] ?? ''
  const hash = createHash('sha256').update(style).digest('base64')
  assert.equal(
    answer.headers.get('content-security-policy'),
    `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; ` +
      "frame-ancestors 'none'",
  )
  assert.match(html, /^<!doctype html>\n<html lang="en">/)
  assert.ok(!/<script|<link|<img|\son\w+=/.test(html))
})
