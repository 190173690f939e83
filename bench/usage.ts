import { readdir, readFile } from 'node:fs/promises'

/** What the kernel has counted for a process: Linux's /proc, all threads included. */

/** Microseconds of CPU time, user and system, since the processes began. */
export async function cpuUsOf(pids: readonly number[]): Promise<number> {
  const perProcess = await Promise.all(pids.map(cpuUsOfProcess))
  return perProcess.reduce((sum, one) => sum + one, 0)
}

/** schedstat counts nanoseconds where `stat` counts hundredths of a second. */
async function cpuUsOfProcess(pid: number): Promise<number> {
  let nanoseconds = 0
  for (const thread of await readdir(`/proc/${pid}/task`)) {
    const stat = await readFile(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').catch(() => '0')
    nanoseconds += Number(stat.split(' ')[0])
  }
  return nanoseconds / 1000
}

/** MiB of memory that the processes hold at this moment. */
export async function rssMibOf(pids: readonly number[]): Promise<number> {
  const perProcess = await Promise.all(
    pids.map(async (pid) => {
      const status = await readFile(`/proc/${pid}/status`, 'utf8')
      return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024
    }),
  )
  return perProcess.reduce((sum, one) => sum + one, 0)
}
