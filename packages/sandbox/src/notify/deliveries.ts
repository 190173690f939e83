import type { State } from '../state.ts'
import { isCallable, send } from './callback.ts'
import { afterFailure, type Delivery } from './schedule.ts'
import { afterLoss, cancelledAt, goodStanding } from './standing.ts'
import { change, find, isLive, type Subscription, without } from './subscriptions.ts'

/** Something that a person's applications want to know. `userId` null is about nobody. */
export type News = {
  readonly userId: number | null
  readonly appli: number
  readonly fields: Readonly<Record<string, string | number>>
}

/** One try, as the control listener shows it. */
export type Try = {
  readonly delivery: number
  readonly callbackurl: string
  readonly appli: number
  /** 1 to 10. */
  readonly number: number
  /** When it was due; the sandbox's clock, epoch seconds. */
  readonly at: number
  /** HTTP status, null when there was no answer in time. */
  readonly http: number | null
  readonly delivered: boolean
}

const KEPT_TRIES = 1000
const LONGEST_NAP_MS = 3_600_000

type Parts = {
  readonly state: State
  readonly seed: string
  /** The sandbox's clock, epoch seconds. */
  readonly now: () => number
}

/**
 * Brings news to callback URLs, as often as the schedule says, by the sandbox's clock.
 *
 * What is on its way is kept with the state: a sandbox that was killed goes on with it.
 */
export class Deliveries {
  readonly #parts: Parts
  readonly #closing = new AbortController()
  #tries: readonly Try[] = []
  #round: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined
  #lastId: number

  constructor(parts: Parts) {
    this.#parts = parts
    this.#lastId = Math.max(0, ...parts.state.deliveries.map(({ id }) => id))
  }

  get tries(): readonly Try[] {
    return this.#tries
  }

  /** Does the URL answer HEAD with 2xx? Judged before a subscription is made. */
  async isReachable(url: string): Promise<boolean> {
    if (!isCallable(url)) return false
    const http = await this.#send(url, 'HEAD', '')
    return http !== null && http >= 200 && http < 300
  }

  /** Puts the news on its way to all who subscribed to it, and returns how many they are. */
  announce({ userId, appli, fields }: News): number {
    const { state, now } = this.#parts
    const at = now()
    const subscribers = state.subscriptions.filter(
      (it) =>
        it.userId === userId &&
        it.appli === appli &&
        isLive(it, at) &&
        // The subscription that a person starts with names a host that is not here.
        isCallable(it.callbackUrl),
    )
    const about = userId === null ? {} : { userid: userId }
    const added = subscribers.map(({ clientId, callbackUrl }) => ({
      id: ++this.#lastId,
      to: { clientId, userId, appli, callbackUrl },
      form: { ...about, appli, ...fields },
      tries: 0,
      dueAt: at,
    }))
    state.deliveries = [...state.deliveries, ...added]
    state.save()
    this.#setTimer()
    return added.length
  }

  /** Makes every try that is due, the longest due first, and sets the timer for the next one. */
  run(): Promise<void> {
    this.#round = this.#round.catch(() => undefined).then(() => this.#makeRound())
    return this.#round
  }

  close(): void {
    this.#closing.abort()
    clearTimeout(this.#timer)
  }

  async #makeRound(): Promise<void> {
    for (let due = this.#longestDue(); due !== undefined; due = this.#longestDue()) {
      if (this.#closing.signal.aborted) return
      this.#cancel(due.dueAt)
      await this.#try(due)
    }
    this.#cancel(this.#parts.now())
    this.#setTimer()
  }

  #longestDue(): Delivery | undefined {
    const { state, now } = this.#parts
    return state.deliveries.filter(({ dueAt }) => dueAt <= now()).sort(byTime)[0]
  }

  async #try(delivery: Delivery): Promise<void> {
    const { state } = this.#parts
    const subscriber = find(state.subscriptions, delivery.to)
    if (subscriber === undefined || !isLive(subscriber, delivery.dueAt)) {
      this.#replace(delivery, null)
      return
    }
    const http = await this.#send(delivery.to.callbackUrl, 'POST', formOf(delivery))
    // A sandbox that closes has not tried.
    if (this.#closing.signal.aborted) return
    const delivered = http !== null && http < 400
    this.#remember({ ...describeTry(delivery), http, delivered })
    const next = delivered ? null : afterFailure(delivery, this.#parts.seed)
    if (delivered) this.#judge(subscriber, { standing: goodStanding })
    else if (next === null) {
      this.#judge(subscriber, { standing: afterLoss(subscriber.standing, delivery.dueAt) })
    }
    this.#replace(delivery, next)
  }

  #replace(delivery: Delivery, next: Delivery | null): void {
    const { state } = this.#parts
    state.deliveries = state.deliveries.flatMap((it) => {
      if (it.id !== delivery.id) return [it]
      return next === null ? [] : [next]
    })
    state.save()
  }

  #judge(subscriber: Subscription, changes: Pick<Subscription, 'standing'>): void {
    const { state } = this.#parts
    state.subscriptions = change(state.subscriptions, subscriber, changes)
  }

  /** Gives up the subscriptions whose time after a warning is over. */
  #cancel(now: number): void {
    const { state } = this.#parts
    const lost = state.subscriptions.filter(
      ({ standing }) => (cancelledAt(standing) ?? Number.POSITIVE_INFINITY) <= now,
    )
    if (lost.length === 0) return
    state.subscriptions = lost.reduce(without, state.subscriptions)
    state.save()
  }

  #remember(made: Try): void {
    this.#tries = [...this.#tries, made].slice(-KEPT_TRIES)
  }

  #setTimer(): void {
    clearTimeout(this.#timer)
    if (this.#closing.signal.aborted) return
    const { state, now } = this.#parts
    const dates = [
      ...state.deliveries.map(({ dueAt }) => dueAt),
      ...state.subscriptions.flatMap(({ standing }) => cancelledAt(standing) ?? []),
    ]
    if (dates.length === 0) return
    const waitMs = Math.max(0, Math.min(...dates) - now()) * 1000
    this.#timer = setTimeout(
      () => {
        this.run().catch(console.error)
      },
      Math.min(waitMs, LONGEST_NAP_MS),
    )
    this.#timer.unref()
  }

  #send(url: string, method: 'HEAD' | 'POST', body: string): Promise<number | null> {
    return send({ url, method, body, signal: this.#closing.signal })
  }
}

function byTime(a: Delivery, b: Delivery): number {
  return a.dueAt - b.dueAt || a.id - b.id
}

function formOf({ form }: Delivery): string {
  const pairs = Object.entries(form).map(([name, value]): [string, string] => [name, `${value}`])
  return `${new URLSearchParams(pairs)}`
}

function describeTry({ id, to, tries, dueAt }: Delivery) {
  const { callbackUrl: callbackurl, appli } = to
  return { delivery: id, callbackurl, appli, number: tries + 1, at: dueAt }
}
