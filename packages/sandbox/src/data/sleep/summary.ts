import { timezone, ymdOf } from '../calendar.ts'
import { deviceId, devices } from '../devices.ts'
import { randomFor } from '../random.ts'
import { arrival, type Night, type Stage, stages } from './night.ts'

/** One night in numbers; seconds unless the name says otherwise. */
export function sleepSummary(seed: string, night: Night) {
  const random = randomFor(seed, 'summary', night.id)
  const modified = arrival(night)
  return {
    id: night.id,
    timezone,
    // 32 is the mat, 16 a tracker; model_id says which mat.
    model: 32,
    model_id: devices.sleepMat.modelId,
    hash_deviceid: deviceId(seed, devices.sleepMat),
    startdate: night.start,
    enddate: night.end,
    date: ymdOf(night.day),
    data: { ...durations(night), ...vitals(night, random) },
    created: modified,
    modified,
  }
}

function durations(night: Night) {
  const { segments } = night
  const first = segments[0]
  const last = segments.at(-1)
  const latency = first === undefined ? 0 : first.end - first.start
  const wakeup = last === undefined ? 0 : last.end - last.start
  const awake = total(night, stages.awake)
  const asleep = night.end - night.start - awake
  return {
    wakeupduration: awake,
    wakeupcount: segments.filter(({ state }) => state === stages.awake).length - 2,
    durationtosleep: latency,
    remsleepduration: total(night, stages.rem),
    durationtowakeup: wakeup,
    total_timeinbed: night.end - night.start,
    total_sleep_time: asleep,
    sleep_efficiency: Math.round((asleep / (night.end - night.start)) * 100) / 100,
    sleep_latency: latency,
    wakeup_latency: wakeup,
    waso: awake - latency - wakeup,
    nb_rem_episodes: segments.filter(({ state }) => state === stages.rem).length,
    out_of_bed_count: 0,
    lightsleepduration: total(night, stages.light),
    deepsleepduration: total(night, stages.deep),
    asleepduration: asleep,
    night_events: eventsOf(night, { latency, wakeup }),
  }
}

/** When the person got in bed (1), fell asleep (2), woke up (3) and got out of bed (4). */
function eventsOf({ segments, start, end }: Night, { latency, wakeup }: Edges) {
  const lyingAwake = segments.filter(
    (it) => it.state === stages.awake && it.start > start && it.end < end,
  )
  return {
    1: [start],
    2: [start + latency, ...lyingAwake.map((it) => it.end)],
    3: [...lyingAwake.map((it) => it.start), end - wakeup],
    4: [end],
  }
}

/** Seconds awake at the beginning and at the end. */
type Edges = { readonly latency: number; readonly wakeup: number }

function vitals(night: Night, random: ReturnType<typeof randomFor>) {
  const snoring = Math.round((night.snoring * (night.end - night.start)) / 60) * 60
  const apnea = random.whole(1, 9)
  return {
    hr_average: night.hr + 3,
    hr_min: night.hr - random.whole(3, 6),
    hr_max: night.hr + random.whole(14, 26),
    rr_average: night.rr,
    rr_min: night.rr - 3,
    rr_max: night.rr + 5,
    breathing_disturbances_intensity: apnea,
    snoring,
    snoringepisodecount: Math.round(snoring / 600),
    sleep_score: random.whole(58, 94),
    apnea_hypopnea_index: apnea,
    breathing_quality_assessment: apnea,
    withings_index: random.whole(1, 12),
    mvt_score_avg: random.whole(8, 40),
    mvt_active_duration: random.whole(4, 40) * 60,
    rmssd_start_avg: random.whole(28, 50),
    rmssd_end_avg: random.whole(36, 64),
    chest_movement_rate_average: night.rr,
    chest_movement_rate_min: night.rr - 4,
    chest_movement_rate_max: night.rr + 6,
    chest_movement_rate_wellness_average: night.rr,
    chest_movement_rate_wellness_min: night.rr - 4,
    chest_movement_rate_wellness_max: night.rr + 6,
    breathing_sounds: snoring,
    breathing_sounds_episode_count: Math.round(snoring / 600),
    core_body_temperature_min: 36.2,
    core_body_temperature_max: 37.1,
    core_body_temperature_avg: 36.6,
    core_body_temperature_status: 'usual',
  }
}

function total({ segments }: Night, wanted: Stage): number {
  return segments
    .filter(({ state }) => state === wanted)
    .reduce((sum, { start, end }) => sum + end - start, 0)
}
