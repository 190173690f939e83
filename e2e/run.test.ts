import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { connectWithings, exchange, type Process, start } from './gateway.ts'
import { forEachHome, type Home } from './homes.ts'

const main = fileURLToPath(new URL('../packages/gateway/src/main.ts', import.meta.url))
const leaseSeconds = 10

/** What an agent does: read as it was granted, and say in JSON what became of it. */
const reader = `
const { OKORO_URL: url, OKORO_SERVICE_TOKEN: own } = process.env
const say = (fact) => console.log(JSON.stringify(fact))
const ask = () => fetch(url + '/t/tokens', {
  method: 'POST',
  headers: { authorization: 'Bearer ' + own, 'content-type': 'application/json' },
  body: JSON.stringify({ provider: 'withings', scope: 'read', intent: 'read for a moment', ttl: 900 }),
})
const call = async (token) => await fetch(url + '/p/withings/measure', {
  method: 'POST', headers: { authorization: 'Bearer ' + token },
})
const names = Object.keys(process.env).filter((name) => name.startsWith('OKORO_'))
say({ pid: process.pid, own, names, mask: process.umask() })
`

/** Reads once and ends with a code of its own. */
const readOnce = `${reader}
const { token } = await (await ask()).json()
say({ status: (await (await call(token)).json()).status })
process.exit(7)
`

/** Reads an answer without end; once it breaks off, asks for more. */
const readOn = `${reader}
const { token } = await (await ask()).json()
try {
  let isFirst = true
  for await (const _ of (await call(token)).body) {
    if (isFirst) say({ streaming: true })
    isFirst = false
  }
  say({ cut: false })
} catch {
  say({ cut: true, call: (await call(token)).status, exchange: (await ask()).status })
}
`

/** Counts the signals that reach it; ends when it is told so. */
const countSignals = `
let count = 0
for (const name of ['SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGTERM', 'SIGUSR1']) {
  process.on(name, () => console.log(name + ' number ' + ++count))
}
process.on('SIGUSR2', () => process.exit(5))
process.on('SIGALRM', () => process.kill(process.pid, 'SIGSTOP'))
setInterval(() => {}, 1000)
console.log('counting in ' + process.pid + '.')
`

const runOf = (script: string, ...options: readonly string[]) => [
  ...['run', '--grant', 'withings:read', ...options],
  ...['--', process.execPath, '--input-type=module', '-e', script],
]

const operator = {
  OKORO_ADMIN_TOKEN: 'an-admin-token-that-nobody-else-may-see',
  OKORO_SERVICE_TOKEN: 'svc_of_another_agent',
}

function startRun(home: Home, script: string, options: readonly string[] = []) {
  const env = { ...operator, OKORO_DATA_DIR: home.nodes[0].dataDir }
  const until = (output: string) => /agent (run-node-\w+) may/.exec(output)?.[1] ?? null
  return start([main, ...runOf(script, ...options)], { env, until })
}

/** Resolves with the first group once it was printed: by the command, or by okoro run about it. */
async function printed(process: Pick<Process, 'log'>, pattern: RegExp): Promise<string> {
  for (let left = 500; left > 0; left -= 1) {
    const match = pattern.exec(process.log())
    if (match) return match[1] ?? match[0]
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`never printed ${pattern}: ${process.log()}`)
}

/** Whether it is a zombie does not matter. */
async function ended(pid: number): Promise<void> {
  const isRunning = () =>
    existsSync(`/proc/${pid}`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  for (let left = 500; left > 0 && isRunning(); left -= 1) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

async function recordsOf(home: Home, name: string): Promise<readonly AuditRecord[]> {
  const { body: agent } = await home.admin('GET', `/agents/${name}`)
  const { body } = await home.admin('GET', `/audit?limit=500&agent=${agent.id}`)
  return body.items as unknown as readonly AuditRecord[]
}

type AuditRecord = {
  readonly kind: string
  readonly reason?: string
  readonly error?: string
  readonly lease_seconds?: number
}

/** Its place in the log is given twice a second. */
async function recorded(home: Home, name: string, is: (record: AuditRecord) => boolean) {
  for (let left = 100; left > 0; left -= 1) {
    const found = (await recordsOf(home, name)).find(is)
    if (found) return found
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`not recorded: ${JSON.stringify(await recordsOf(home, name))}`)
}

forEachHome((home) => {
  before(() => connectWithings(home, home.sandbox))

  test('a command reads with what it was granted, and what it was given ends with it', async () => {
    const run = await startRun(home, readOnce)
    assert.equal(await run.ended, 7)
    const [line = '', ...facts] = run.log().trimEnd().split('\n')
    assert.match(line, /^okoro: agent run-node-\w+ may read withings \(.+\) until it ends, .* 8 h$/)
    const [own, read] = facts.map((fact) => JSON.parse(fact))
    assert.equal(read.status, 0)
    assert.deepEqual(own.names.sort(), ['OKORO_SERVICE_TOKEN', 'OKORO_URL'])
    assert.equal(own.mask, process.umask())
    assert.equal((await exchange(home.url, own.own)).status, 401)
    await recorded(home, run.found, ({ kind }) => kind === 'token.refused')
    const ended = await recorded(home, run.found, ({ kind }) => kind === 'agent.revoked')
    assert.equal(ended.reason, 'lease_ended')
    const records = await recordsOf(home, run.found)
    const kinds = records.map(({ kind }) => kind).sort()
    const did = ['agent.created', 'agent.revoked', 'attempt', 'grant.created']
    assert.deepEqual(kinds, [...did, 'token.issued', 'token.refused'])
    assert.equal(records.find(({ kind }) => kind === 'agent.created')?.lease_seconds, 30)
    assert.ok(!`${home.log()}${await home.contents()}`.includes(own.own))
  })

  test('the token stands in no list of processes', async () => {
    const run = await startRun(home, `${reader}\nsetInterval(() => {}, 1000)`)
    const { own, pid } = JSON.parse(await printed(run, /^\{"pid".*\}$/m))
    for (const one of [run.pid, pid]) {
      assert.ok(!readFileSync(`/proc/${one}/cmdline`, 'utf8').includes(own))
    }
    assert.ok(!readFileSync(`/proc/${run.pid}/environ`, 'utf8').includes(own))
    assert.equal(await run.kill('SIGTERM'), 'SIGTERM')
  })

  test('after kill -9 of okoro run its orphan is cut off and refused', async () => {
    const fault = { kind: 'endless', path: '/measure', times: 1 }
    await home.sandbox.control('POST', '/faults', { faults: [fault] })
    const run = await startRun(home, readOn, ['--lease', `${leaseSeconds}s`])
    await printed(run, /"streaming"/)
    await run.kill('SIGKILL')
    const end = JSON.parse(await printed(run, /^\{"cut".*\}$/m))
    assert.deepEqual(end, { cut: true, call: 401, exchange: 401 })
    const ended = await recorded(home, run.found, ({ kind }) => kind === 'agent.revoked')
    assert.equal(ended.reason, 'lease_lapsed')
    await home.sandbox.control('DELETE', '/faults')
  })

  test('okoro run that was stopped for too long says so when it goes on', async () => {
    const run = await startRun(home, countSignals, ['--lease', '5s'])
    const pid = Number(await printed(run, /counting in (\d+)\./))
    process.kill(run.pid, 'SIGSTOP')
    await recorded(home, run.found, ({ reason }) => reason === 'lease_lapsed')
    process.kill(run.pid, 'SIGCONT')
    await printed(run, /agent run-node-\w+ was revoked: its calls are refused from now on\./)
    process.kill(pid, 'SIGUSR2')
    assert.equal(await run.ended, 5)
  })

  test('an agent outlives its gateway, which comes back after longer than a lease', async () => {
    const [node] = home.nodes
    const run = await startRun(home, countSignals, ['--lease', `${leaseSeconds}s`])
    const pid = Number(await printed(run, /counting in (\d+)\./))
    // Two nodes away: the other one would rightly see the lease lapse.
    for (const one of home.nodes) await one.kill('SIGKILL')
    await printed(run, /can't be reached.* Trying on;/)
    await new Promise((resolve) => setTimeout(resolve, (leaseSeconds + 1) * 1000))
    for (const one of home.nodes) await one.start()
    await printed(run, /the gateway is back/)
    const { body } = await node.admin('GET', `/agents/${run.found}`)
    assert.equal(body.status, 'active')
    process.kill(pid, 'SIGUSR2')
    assert.equal(await run.ended, 5)
    await recorded(home, run.found, ({ reason }) => reason === 'lease_ended')
    assert.equal(run.log().match(/can't be reached/g)?.length, 1)
  })

  test('without a terminal every signal is passed on, once', async () => {
    const run = await startRun(home, countSignals)
    const pid = Number(await printed(run, /counting in (\d+)\./))
    for (const [index, signal] of (['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1'] as const).entries()) {
      process.kill(run.pid, signal)
      await printed(run, new RegExp(`${signal} number ${index + 1}$`, 'm'))
    }
    process.kill(pid, 'SIGKILL')
    assert.equal(await run.ended, 'SIGKILL')
    await recorded(home, run.found, ({ reason }) => reason === 'lease_ended')
  })

  test('whoever does not want to wait for the revocation presses Ctrl-C once more', async () => {
    const run = await startRun(home, countSignals)
    const pid = Number(await printed(run, /counting in (\d+)\./))
    for (const node of home.nodes) node.pause()
    process.kill(pid, 'SIGUSR2')
    await ended(pid)
    // In between its end is noticed and the revocation begun; before, the signal would be for it.
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    process.kill(run.pid, 'SIGINT')
    assert.equal(await run.ended, 5)
    for (const node of home.nodes) node.resume()
    assert.match(run.log(), /could not be revoked; it ends by itself within 30 s\. Stopped\.\n$/)
  })

  test('two at once are two agents, and the end of one leaves the other alone', async () => {
    const [one, other] = await Promise.all([
      startRun(home, countSignals),
      startRun(home, countSignals),
    ])
    await printed(one, /counting/)
    await printed(other, /counting/)
    assert.notEqual(one.found, other.found)
    await one.kill('SIGKILL')
    process.kill(Number(await printed(one, /counting in (\d+)\./)), 'SIGKILL')
    process.kill(other.pid, 'SIGUSR2')
    assert.equal(await other.ended, 5)
  })
})

forEachHome((home) => {
  /** A person at a terminal with bash, and everything that it shows. */
  function openTerminal() {
    const { PATH = '', HOME = '' } = process.env
    const env = { PATH, HOME, TERM: 'dumb', PS1: '$ ', OKORO_DATA_DIR: home.nodes[0].dataDir }
    const child = spawn('script', ['-qfc', 'bash --norc --noprofile -i', '/dev/null'], { env })
    let shown = ''
    child.stdout.on('data', (chunk: Buffer) => {
      shown += chunk.toString().replaceAll('\r', '')
    })
    // Its side of the terminal closes with it, as when a window is closed.
    const close = () => child.kill('SIGKILL')
    after(close)
    return { type: (keys: string) => child.stdin.write(keys), log: () => shown, close }
  }
  const lineOf = (argv: readonly string[]) =>
    [process.execPath, '--disable-warning=ExperimentalWarning', main, ...argv]
      .map((word) => `'${word.replaceAll("'", "'\\''")}'`)
      .join(' ')

  test('at a terminal Ctrl-C reaches the command once, and okoro run outlives it', async () => {
    const terminal = openTerminal()
    terminal.type(`${lineOf(runOf(countSignals))}; echo "ended with $?."\n`)
    const pid = Number(await printed(terminal, /counting in (\d+)\./))
    for (const [keys, signal, number] of [
      ['\x03', 'SIGINT', 1],
      ['\x1c', 'SIGQUIT', 2],
      ['\x03', 'SIGINT', 3],
    ] as const) {
      terminal.type(keys)
      await printed(terminal, new RegExp(`${signal} number ${number}$`, 'm'))
    }
    process.kill(pid, 'SIGUSR2')
    await printed(terminal, /ended with 5\./)
    terminal.close()
  })

  test('Ctrl-C at a command that ends by it ends okoro run by it, and the agent is revoked', async () => {
    const terminal = openTerminal()
    terminal.type(`${lineOf(['run', '--grant', 'withings:read', '--', 'sleep', '300'])}\n`)
    const name = await printed(terminal, /agent (run-sleep-\w+) may/)
    await new Promise((resolve) => setTimeout(resolve, 500))
    terminal.type('\x03')
    await recorded(home, name, ({ reason }) => reason === 'lease_ended')
    terminal.type('echo "ended with $?."\n')
    await printed(terminal, /ended with 130\./)
    terminal.close()
  })

  test('Ctrl-Z stops both and fg goes on with both', async () => {
    const terminal = openTerminal()
    terminal.type(`${lineOf(runOf(countSignals))}\n`)
    const pid = Number(await printed(terminal, /counting in (\d+)\./))
    terminal.type('\x1a')
    await printed(terminal, /Stopped/)
    assert.match(readFileSync(`/proc/${pid}/stat`, 'utf8'), /\) T /)
    terminal.type('fg\n')
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    terminal.type('\x03')
    await printed(terminal, /SIGINT number 1$/m)
    process.kill(pid, 'SIGUSR2')
    terminal.type('\necho "ended with $?."\n')
    await printed(terminal, /ended with 5\./)
    terminal.close()
  })

  test('a command that stops itself alone gives the terminal back, and fg goes on with it', async () => {
    const terminal = openTerminal()
    terminal.type(`${lineOf(runOf(countSignals))}\n`)
    const pid = Number(await printed(terminal, /counting in (\d+)\./))
    process.kill(pid, 'SIGALRM')
    await printed(terminal, /Stopped/)
    terminal.type('fg\n')
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    process.kill(pid, 'SIGUSR2')
    terminal.type('\necho "ended with $?."\n')
    await printed(terminal, /ended with 5\./)
    terminal.close()
  })

  test('a terminal that goes away takes the command with it, and the agent is revoked', async () => {
    const terminal = openTerminal()
    const marker = join(home.folder, 'gone')
    const script = `process.on('SIGHUP', () => { fs.writeFileSync('${marker}', ''); process.exit(0) })
import fs from 'node:fs'
setInterval(() => {}, 1000)
console.log('waiting')`
    terminal.type(`${lineOf(runOf(script))}\n`)
    const name = await printed(terminal, /agent (run-node-\w+) may/)
    await printed(terminal, /waiting$/m)
    terminal.close()
    await recorded(home, name, ({ reason }) => reason === 'lease_ended')
    assert.ok(existsSync(marker))
  })
})
