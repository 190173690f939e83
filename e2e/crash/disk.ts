import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeSync,
} from 'node:fs'

/** A file system of its own in memory, with a size, that a test can fill to the last byte. */
export type Disk = {
  readonly path: string
  /** Takes whatever is free; once more, and it takes what has become free meanwhile. */
  fill(): void
  free(): void
  remove(): void
}

/** `folder` must not exist. Throws with what to do where this machine lets nobody mount. */
export function smallDisk(folder: string, megabytes: number): Disk {
  mkdirSync(folder)
  const mount = process.getuid?.() === 0 ? mountAsRoot : mountAsUser
  const { path, remove } = mount(folder, megabytes)
  const filler = `${path}/filler`
  return {
    path,
    remove,
    fill: () => {
      assertSmall(path, megabytes)
      const file = openSync(filler, 'a')
      for (const size of [1 << 20, 4096, 1]) while (hasWritten(file, size));
      closeSync(file)
    },
    free: () => rmSync(filler, { force: true }),
  }
}

type Mounted = { readonly path: string; remove(): void }

/** A mount that went missing would let `fill` take the whole disk of the machine. */
function assertSmall(path: string, megabytes: number): void {
  const { blocks, bsize } = statfsSync(path)
  if (blocks * bsize > megabytes * 1024 * 1024) throw new Error(`${path} is no small disk`)
}

function hasWritten(file: number, size: number): boolean {
  try {
    return writeSync(file, Buffer.alloc(size)) > 0
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return false
    throw error
  }
}

function mountAsRoot(folder: string, megabytes: number): Mounted {
  const options = `size=${megabytes}m,mode=0700`
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'okoro-test', folder], {
    encoding: 'utf8',
  })
  if (mounted.status !== 0) throw new Error(`no small disk for this test: ${mounted.stderr}`)
  return { path: folder, remove: () => void spawnSync('umount', ['--lazy', folder]) }
}

/**
 * A process in a user namespace of its own may mount, and whoever runs it reaches what it sees
 * through /proc.
 */
function mountAsUser(folder: string, megabytes: number): Mounted {
  const script = `mount -t tmpfs -o size=${megabytes}m,mode=0700 okoro-test "$0" && exec sleep 3600`
  const flags = ['--user', '--map-root-user', '--mount']
  const holder = spawn('unshare', [...flags, 'sh', '-c', script, folder], { stdio: 'ignore' })
  if (!hasMounted(holder, folder)) {
    throw new Error(
      'no small disk for this test: run it as root, or let users make namespaces with `sudo sysctl -w ' +
        'kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0`',
    )
  }
  return { path: `/proc/${holder.pid}/root${folder}`, remove: () => void holder.kill('SIGKILL') }
}

function hasMounted({ pid }: ChildProcess, folder: string): boolean {
  const mounts = `/proc/${pid}/mountinfo`
  for (let left = 100; left > 0 && pid !== undefined; left -= 1) {
    if (existsSync(mounts) && readFileSync(mounts, 'utf8').includes(` ${folder} `)) return true
    spawnSync('sleep', ['0.05'])
  }
  return false
}
