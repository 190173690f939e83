import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { type Browser, chromium, type Page } from 'playwright-core'
import { chromiumPath } from '../scripts/prerequisites.ts'
import { forEachHome } from './homes.ts'

/** Pictures for a person to look at; kept out of git. */
const pictures = new URL('.artifacts/', import.meta.url).pathname

let browser: Browser

before(async () => {
  mkdirSync(pictures, { recursive: true })
  browser = await chromium.launch({
    executablePath: chromiumPath() ?? 'chromium',
    args: [
      ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
      ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
    ],
  })
})
after(() => browser?.close())

async function openPage(colorScheme: 'light' | 'dark' = 'light') {
  const context = await browser.newContext({ colorScheme, viewport: { width: 800, height: 600 } })
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text())
  })
  return { page, complaints, context }
}

const picture = (page: Page, name: string) => page.screenshot({ path: `${pictures}${name}.png` })

forEachHome((home) => {
  before(async () => {
    const [clientId, clientSecret] = ['browser-client', 'secret-of-browser-client']
    await home.sandbox.control('POST', '/applications', {
      ...{ client_id: clientId, client_secret: clientSecret },
      redirect_uris: [`${home.url}/connect/callback/withings`],
    })
    await home.admin('POST', '/applications', {
      ...{ provider: 'withings', client_id: clientId, client_secret: clientSecret },
    })
  })

  const beginFlow = async (label: string) => {
    const begun = await home.admin('POST', '/connect-flows', { provider: 'withings', label })
    return String(begun.body.link)
  }

  test('a person connects an account in a browser, and sees that it worked', async () => {
    const { page, complaints, context } = await openPage()
    await page.goto(await beginFlow('default'))
    await picture(page, 'consent')
    await page.getByRole('button', { name: /allow/i }).click()
    await page.getByRole('heading', { name: 'Withings is connected' }).waitFor()
    await picture(page, 'connected')
    assert.deepEqual(complaints, [])
    const { body } = await home.admin('GET', '/connections')
    const [connection] = body.items as unknown as { status: string; label: string }[]
    assert.deepEqual([connection?.status, connection?.label], ['connected', 'default'])
    await context.close()
  })

  test('a person who refuses is told what it means, and nothing is connected', async () => {
    const { page, context } = await openPage('dark')
    await page.goto(await beginFlow('refused'))
    await page.getByRole('button', { name: /deny/i }).click()
    await page.getByRole('heading', { level: 1 }).waitFor()
    await picture(page, 'denied-dark')
    const { body } = await home.admin('GET', '/connections')
    assert.equal((body.items as unknown as unknown[]).length, 1)
    await context.close()
  })

  test('a link that was used says so', async () => {
    const { page, context } = await openPage()
    const link = await beginFlow('used')
    await page.goto(link)
    const response = await page.goto(link)
    assert.ok((response?.status() ?? 0) >= 400)
    await picture(page, 'used-link')
    assert.match((await page.locator('body').textContent()) ?? '', /used/i)
    await context.close()
  })
})
