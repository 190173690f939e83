import { existsSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { type Finding, fail, warn } from './doctor/finding.ts'
import { checkFolder } from './doctor/folder.ts'
import { checkGateway } from './doctor/gateway.ts'
import type { AddCommand, Session } from './session.ts'
import { Failure } from './terminal/failure.ts'
import { type Output, printable } from './terminal/output.ts'

export const addDoctor: AddCommand = (command, session) => {
  command
    .addHelpText(
      'after',
      `
Each line is ok, warn or fail and says what to do. The exit code is 1 when one of them is fail.

Examples:
  $ okoro doctor
  $ okoro doctor --json | jq '.[] | select(.state != "ok")'`,
    )
    .action(async () => {
      const findings = [
        ...checkFolder(session.settings(), userInfo().username),
        ...(await gatewayFindings(session)),
      ]
      if (session.output.isJson) session.output.json(findings)
      else for (const finding of findings) print(session.output, finding)
      const failed = findings.filter(({ state }) => state === 'fail').length
      if (failed > 0) throw new Failure('failed', `${failed} of ${findings.length} checks failed.`)
    })
}

/** A gateway that does not open is a finding like any other; one that never ran is not begun here. */
async function gatewayFindings(session: Session): Promise<readonly Finding[]> {
  const { databaseUrl, dataDir } = session.settings().config
  if (databaseUrl === null && !existsSync(join(dataDir, 'okoro.db'))) {
    return [warn('gateway', 'has never run on this data folder', 'Start it: okoro serve')]
  }
  try {
    return await session.withAdmin(checkGateway)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return [fail('gateway', message, 'Mend that, then run okoro doctor again.')]
  }
}

const colors = { ok: 'green', warn: 'yellow', fail: 'red' } as const

function print(output: Output, { state, name, message, advice }: Finding): void {
  const label = output.style(colors[state], state.padEnd(4))
  output.text(`${label}  ${name}: ${printable(message)}`)
  if (advice !== null) output.text(`      → ${printable(advice)}`)
}
