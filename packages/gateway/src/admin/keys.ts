import { Hono } from 'hono'
import { type AdminEnv, answer, timeOf } from './answer.ts'
import type { AdminDeps } from './deps.ts'

/** `/keys`: which keys are in use, and a new one for operation tokens. Never a key itself. */
export function keyRoutes({ vault, signingKeys }: AdminDeps): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>()

  const status = async () => {
    const { keyId, createdAt } = vault.status()
    const [current, known] = await Promise.all([signingKeys.current(), signingKeys.publicKeys()])
    return {
      root_key: { id: keyId, created_at: timeOf(createdAt) },
      signing_keys: known.map(({ kid }) => ({
        id: kid,
        purpose: 'operation_token',
        status: kid === current.kid ? 'signing' : 'verifying',
      })),
    }
  }

  app.get('/', async (c) => answer(c, await status()))

  app.post('/rotate', async (c) => {
    await signingKeys.rotate()
    return answer(c, await status())
  })

  return app
}
