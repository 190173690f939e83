import { deviceId, devices } from '../data/devices.ts'
import type { Happening, HappeningKind } from '../data/happening.ts'
import { dateOfExtra } from '../data/measures.ts'
import { seedOf } from '../data/person.ts'
import { nap } from '../data/sleep/night.ts'
import { extraWorkout } from '../data/workouts.ts'
import { unassociatedDevice } from '../notify/categories.ts'
import type { News } from '../notify/deliveries.ts'
import { disconnect } from '../oauth/signed.ts'
import type { World } from '../world.ts'

type Told = Pick<News, 'appli' | 'fields'>

/** Data that appears; what the notification says of it. Source: "Notification content". */
const dataEvents: Readonly<Record<HappeningKind, (seed: string, it: Happening) => Told>> = {
  weight: (_, { at }) => ({ appli: 1, fields: range(dateOfExtra(at), dateOfExtra(at) + 1) }),
  blood_pressure: (_, { at }) => ({
    appli: 4,
    fields: range(dateOfExtra(at), dateOfExtra(at) + 1),
  }),
  sleep: (seed, it) => {
    const { start, end } = nap(seed, it)
    return { appli: 44, fields: range(start, end) }
  },
  workout: (seed, it) => ({ appli: 16, fields: { date: extraWorkout(seed, it).date } }),
  ecg: (_, { at }) => ({ appli: 54, fields: range(at - 30, at) }),
}

/** Moments that leave no data behind: a device tells of them and that is all. */
const moments = {
  bed_in: { appli: 50, device: devices.sleepMat },
  bed_out: { appli: 51, device: devices.sleepMat },
  mat_inflated: { appli: 52, device: devices.sleepMat },
  ecg_failed: { appli: 55, device: devices.watch },
} as const

const profileActions = ['update', 'unlink', 'delete'] as const

/** All that may happen. */
export const eventNames: readonly string[] = [
  ...Object.keys(dataEvents),
  ...Object.keys(moments),
  'profile',
  'unassociated_device',
]

type Happened = { readonly userid: number | null; readonly at: number; readonly notified: number }
type Input = Readonly<Record<string, unknown>>

/**
 * Makes something happen to a person and brings the news to whoever subscribed to it; returns once
 * each was tried. A text says what is wrong with the input.
 *
 * `unlink` and `delete` of the profile end the person's connections after the first tries.
 */
export async function makeHappen(world: World, input: Input): Promise<Happened | string> {
  const { event } = input
  if (typeof event !== 'string') return 'event must be a text'
  if (event === 'unassociated_device') return await tell(world, null, newDevice(world))
  const userId = personOf(world, input)
  if (typeof userId === 'string') return userId
  if (isDataEvent(event)) return await tell(world, userId, addData(world, userId, event))
  if (isMoment(event)) return await tell(world, userId, momentOf(world, userId, event))
  if (event === 'profile') return await changeProfile(world, userId, input.action)
  return `unknown event: ${event}`
}

/** The person that the input names, or the only one who is connected. */
function personOf({ state }: World, { userid }: Input): number | string {
  const connected = [...new Set(state.tokens.all().map((it) => it.userId))]
  if (userid === undefined && connected.length === 1) return connected[0] ?? ''
  const named = connected.find((it) => `${it}` === `${userid}`)
  return named ?? `userid must be one of: ${connected.join(', ')}`
}

function addData(world: World, userId: number, kind: HappeningKind): Told {
  const { happenings } = world.state.editsOf(userId)
  const happening = { id: happenings.length + 1, kind, at: world.now() }
  world.state.edit(userId, { happenings: [...happenings, happening] })
  return dataEvents[kind](seedOf(world.seed, userId), happening)
}

function momentOf(world: World, userId: number, event: keyof typeof moments): Told {
  const { appli, device } = moments[event]
  const deviceid = deviceId(seedOf(world.seed, userId), device)
  return { appli, fields: { date: world.now(), deviceid } }
}

function newDevice({ seed }: World): Told {
  const deviceid = deviceId(`${seed}\nnobody`, devices.scale)
  return { appli: unassociatedDevice, fields: { deviceid } }
}

async function changeProfile(world: World, userId: number, action: unknown) {
  const known = profileActions.find((it) => it === action)
  if (known === undefined) return `action must be one of: ${profileActions.join(', ')}`
  const happened = await tell(world, userId, { appli: 46, fields: { action: known } })
  if (known !== 'update') {
    const applications = new Set(world.state.tokens.all().map(({ clientId }) => clientId))
    for (const clientId of applications) disconnect(world, { clientId, userId })
  }
  return happened
}

async function tell(world: World, userId: number | null, told: Told): Promise<Happened> {
  const notified = world.deliveries.announce({ userId, ...told })
  await world.deliveries.run()
  return { userid: userId, at: world.now(), notified }
}

function range(startdate: number, enddate: number) {
  return { startdate, enddate }
}

function isDataEvent(event: string): event is HappeningKind {
  return Object.hasOwn(dataEvents, event)
}

function isMoment(event: string): event is keyof typeof moments {
  return Object.hasOwn(moments, event)
}
