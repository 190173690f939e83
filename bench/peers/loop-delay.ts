/**
 * Loaded into a gateway that is measured (`--import`), and into no other: SIGUSR2 begins to watch
 * the event loop, the next one ends it and writes what was seen to BENCH_LOOP_DELAY.
 */
import { renameSync, writeFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { isMainThread } from 'node:worker_threads'

const file = process.env.BENCH_LOOP_DELAY

if (isMainThread && file !== undefined) {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  let isWatching = false
  process.on('SIGUSR2', () => {
    isWatching = !isWatching
    if (isWatching) {
      delay.reset()
      delay.enable()
      return
    }
    delay.disable()
    const ms = (nanoseconds: number) => nanoseconds / 1e6
    const seen = {
      ...{ p50Ms: ms(delay.percentile(50)), p99Ms: ms(delay.percentile(99)) },
      maxMs: ms(delay.max),
    }
    writeFileSync(`${file}.new`, JSON.stringify(seen))
    renameSync(`${file}.new`, file)
  })
}
