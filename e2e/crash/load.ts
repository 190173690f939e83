import { setTimeout as sleep } from 'node:timers/promises'
import { type Client, createClient, type Message } from './call.ts'
import type { Answer, Issued } from './evidence.ts'
import type { Random } from './random.ts'

/** Several agents that call as fast as they are answered, until they are told to stop: see `t.after`. */
export type Load = {
  /** What was read to its end. They grow while the load runs. */
  readonly answers: readonly Answer[]
  readonly issued: readonly Issued[]
  /** Calls that were begun; those beyond the answers broke off or were refused a connection. */
  readonly begun: () => number
  /** Resolves when so many more answers have been read. Throws after the deadline. */
  answered(count: number, deadlineMs?: number): Promise<void>
  /** Resolves when the calls under way are over. */
  stop(): Promise<void>
}

export type LoadOptions = {
  /** Where to call; any of them, each time. */
  readonly urls: readonly string[]
  readonly serviceTokens: readonly string[]
  /** Calls under way at a time, for each agent. */
  readonly workers: number
  readonly random: Random
}

type Tally = { begun: number; readonly answers: Answer[]; readonly issued: Issued[] }
type Work = LoadOptions & {
  readonly tally: Tally
  readonly isOver: () => boolean
  readonly serviceToken: string
}

export function startLoad(options: LoadOptions): Load {
  const tally: Tally = { begun: 0, answers: [], issued: [] }
  let isOver = false
  const working = options.serviceTokens.flatMap((serviceToken) =>
    Array.from({ length: options.workers }, () =>
      work({ ...options, tally, serviceToken, isOver: () => isOver }),
    ),
  )
  return {
    answers: tally.answers,
    issued: tally.issued,
    begun: () => tally.begun,
    answered: async (count, deadlineMs = 120_000) => {
      const due = tally.answers.length + count
      const end = Date.now() + deadlineMs
      while (tally.answers.length < due) {
        if (Date.now() > end) throw new Error(`only ${tally.answers.length} of ${due} answers`)
        await sleep(5)
      }
    },
    stop: async () => {
      isOver = true
      await Promise.all(working)
    },
  }
}

/** One worker: a token, calls with it, a new one now and then. Nothing that breaks off ends it. */
async function work(job: Work): Promise<void> {
  const client = createClient()
  let token: string | null = null
  let isDue = true
  while (!job.isOver()) {
    try {
      // A refused exchange takes nothing away: the calls go on with the token that there is.
      if (isDue) token = (await exchange(client, job)) ?? token
      const answer = await call(client, job, token)
      // Whatever the token is good for, another one is asked for again and again.
      isDue = answer.status === 401 || job.random(30) === 0
      if (answer.code !== null) await sleep(10)
    } catch {
      await sleep(50)
    }
  }
  client.close()
}

async function exchange(client: Client, job: Work): Promise<string | null> {
  const message = await client.post({
    ...{ url: `${pick(job, job.urls)}/t/tokens`, bearer: job.serviceToken },
    contentType: 'application/json',
    body: JSON.stringify({ provider: 'withings', scope: 'read', intent: 'see what a crash does' }),
  })
  if (message.status !== 200) return null
  const { token } = JSON.parse(message.body.toString()) as { token: string }
  const claims = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()
  job.tally.issued.push(JSON.parse(claims) as Issued)
  return token
}

async function call(client: Client, job: Work, token: string | null): Promise<Answer> {
  if (token === null) throw new Error('no token')
  job.tally.begun += 1
  const marker = `m${job.random(2 ** 48).toString(36)}`
  const message = await client.post({
    url: `${pick(job, job.urls)}/p/withings/${pick(job, paths)}`,
    ...{ bearer: token, contentType: 'application/x-www-form-urlencoded' },
    body: `marker=${marker}`,
  })
  const answer = answerOf(message, marker)
  job.tally.answers.push(answer)
  return answer
}

/** Small and middling answers of several services. */
const paths = ['v2/user', 'v2/heart', 'v2/notify', 'measure', 'v2/measure']

const pick = <One>({ random }: Work, from: readonly One[]): One => from[random(from.length)] as One

export function answerOf({ status, headers, body }: Message, marker: string): Answer {
  const code = headers['okoro-error']
  const isEnvelope = code === undefined && status === 200
  return {
    ...{ requestId: String(headers['okoro-request-id']), marker, status, bytes: body.length },
    providerStatus: isEnvelope ? (JSON.parse(body.toString()) as { status: number }).status : null,
    code: code === undefined ? null : String(code),
  }
}
